"""The legends that data sets publish: names, numbers and colours that their layouts do not carry along."""

from functools import cache

from smalti.legend import Entry, Legend, voc_color

__all__ = [
    "ADE20K_CHALLENGE",
    "BDD100K_INSTANCES",
    "BDD100K_PANOPTIC",
    "CITYSCAPES",
    "VOC",
    "ade20k_challenge",
    "bdd100k",
    "camvid",
    "camvid_index",
    "cityscapes",
    "cityscapes_train",
    "voc",
]

# id, training id, name, colour, whether objects of it are counted (cityscapesScripts, helpers/labels.py).
CITYSCAPES: tuple[tuple[int, int, str, tuple[int, int, int], bool], ...] = (
    (0, 255, "unlabeled", (0, 0, 0), False),
    (1, 255, "ego vehicle", (0, 0, 0), False),
    (2, 255, "rectification border", (0, 0, 0), False),
    (3, 255, "out of roi", (0, 0, 0), False),
    (4, 255, "static", (0, 0, 0), False),
    (5, 255, "dynamic", (111, 74, 0), False),
    (6, 255, "ground", (81, 0, 81), False),
    (7, 0, "road", (128, 64, 128), False),
    (8, 1, "sidewalk", (244, 35, 232), False),
    (9, 255, "parking", (250, 170, 160), False),
    (10, 255, "rail track", (230, 150, 140), False),
    (11, 2, "building", (70, 70, 70), False),
    (12, 3, "wall", (102, 102, 156), False),
    (13, 4, "fence", (190, 153, 153), False),
    (14, 255, "guard rail", (180, 165, 180), False),
    (15, 255, "bridge", (150, 100, 100), False),
    (16, 255, "tunnel", (150, 120, 90), False),
    (17, 5, "pole", (153, 153, 153), False),
    (18, 255, "polegroup", (153, 153, 153), False),
    (19, 6, "traffic light", (250, 170, 30), False),
    (20, 7, "traffic sign", (220, 220, 0), False),
    (21, 8, "vegetation", (107, 142, 35), False),
    (22, 9, "terrain", (152, 251, 152), False),
    (23, 10, "sky", (70, 130, 180), False),
    (24, 11, "person", (220, 20, 60), True),
    (25, 12, "rider", (255, 0, 0), True),
    (26, 13, "car", (0, 0, 142), True),
    (27, 14, "truck", (0, 0, 70), True),
    (28, 15, "bus", (0, 60, 100), True),
    (29, 255, "caravan", (0, 0, 90), True),
    (30, 255, "trailer", (0, 0, 110), True),
    (31, 16, "train", (0, 80, 100), True),
    (32, 17, "motorcycle", (0, 0, 230), True),
    (33, 18, "bicycle", (119, 11, 32), True),
)

VOC = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

_CAMVID = """64 128 64 Animal;192 0 128 Archway;0 128 192 Bicyclist;0 128 64 Bridge;128 0 0 Building;64 0 128 Car
64 0 192 CartLuggagePram;192 128 64 Child;192 192 128 Column_Pole;64 64 128 Fence;128 0 192 LaneMkgsDriv
192 0 64 LaneMkgsNonDriv;128 128 64 Misc_Text;192 0 192 MotorcycleScooter;128 64 64 OtherMoving;64 192 128 ParkingBlock
64 64 0 Pedestrian;128 64 128 Road;128 128 192 RoadShoulder;0 0 192 Sidewalk;192 128 128 SignSymbol;128 128 128 Sky
64 128 192 SUVPickupTruck;0 0 64 TrafficCone;0 64 64 TrafficLight;192 64 128 Train;128 128 0 Tree
192 128 192 Truck_Bus;64 0 64 Tunnel;192 192 0 VegetationMisc;0 0 0 Void;64 192 0 Wall"""
# SegNet's reduction: index masks of half the size.
_CAMVID_INDEX = "Sky,Building,Pole,Road,Pavement,Tree,SignSymbol,Fence,Car,Pedestrian,Bicyclist,Unlabelled"

# Scene parsing challenge: index 1 is the first; 0 is everything else.
ADE20K_CHALLENGE = """wall;building;sky;floor;tree;ceiling;road;bed;windowpane;grass;cabinet;sidewalk;person;earth;door;table
mountain;plant;curtain;chair;car;water;painting;sofa;shelf;house;sea;mirror;rug;field;armchair;seat;fence;desk;rock;wardrobe
lamp;bathtub;railing;cushion;base;box;column;signboard;chest of drawers;counter;sand;sink;skyscraper;fireplace;refrigerator
grandstand;path;stairs;runway;case;pool table;pillow;screen door;stairway;river;bridge;bookcase;blind;coffee table;toilet
flower;book;hill;bench;countertop;stove;palm;kitchen island;computer;swivel chair;boat;bar;arcade machine;hovel;bus;towel
light;truck;tower;chandelier;awning;streetlight;booth;television receiver;airplane;dirt track;apparel;pole;land;bannister
escalator;ottoman;bottle;buffet;poster;stage;van;ship;fountain;conveyer belt;canopy;washer;plaything;swimming pool;stool
barrel;basket;waterfall;tent;bag;minibike;cradle;oven;ball;food;step;tank;trade name;microwave;pot;animal;bicycle;lake
dishwasher;screen;blanket;sculpture;hood;sconce;vase;traffic light;tray;ashcan;fan;pier;crt screen;plate;monitor
bulletin board;shower;radiator;glass;clock;flag""".replace("\n", ";").split(";")

# Instance segmentation and tracking: R of the bitmask.
BDD100K_INSTANCES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
# Panoptic segmentation: R of the bitmask; 0 is unlabeled.
BDD100K_PANOPTIC = (
    "dynamic",
    "ego vehicle",
    "ground",
    "static",
    "parking",
    "rail track",
    "road",
    "sidewalk",
    "bridge",
    "building",
    "fence",
    "garage",
    "guard rail",
    "tunnel",
    "wall",
    "banner",
    "billboard",
    "lane divider",
    "parking sign",
    "pole",
    "polegroup",
    "street light",
    "traffic cone",
    "traffic device",
    "traffic light",
    "traffic sign",
    "traffic sign frame",
    "terrain",
    "vegetation",
    "sky",
    "person",
    "rider",
    "bicycle",
    "bus",
    "car",
    "caravan",
    "motorcycle",
    "trailer",
    "train",
    "truck",
)


def _cityscapes_entries() -> list[Entry]:
    return [Entry((name,), color=color, code=code) for code, _, name, color, _ in CITYSCAPES]


@cache
def cityscapes(kind: str = "indices") -> Legend:
    """labelIds ("indices"), instanceIds ("ids") or the colour pictures ("colors": names that share a colour are one)."""
    if kind == "colors":
        return Legend.from_entries(
            [Entry(e.labels, color=e.color) for e in _cityscapes_entries()], kind="colors", shared="merge"
        )
    if kind == "ids":
        return Legend.from_entries(_cityscapes_entries(), kind="ids", scheme="cityscapes")
    return Legend.from_entries(_cityscapes_entries(), kind="indices")


@cache
def cityscapes_train() -> Legend:
    """labelTrainIds: 0..18, and 255 for what is not trained on."""
    rows = [Entry((name,), color=color, code=train) for _, train, name, color, _ in CITYSCAPES if train != 255]
    return Legend.from_entries([*rows, Entry(("ignored",), color=(0, 0, 0), code=255)], kind="indices")


@cache
def voc(kind: str = "indices") -> Legend:
    """Pascal VOC: 21 classes and the border of objects, 255."""
    rows = [Entry((name,), color=voc_color(i), code=i) for i, name in enumerate(VOC)]
    rows.append(Entry(("border",), color=voc_color(255), code=255))
    return Legend.from_entries(rows, kind="colors" if kind == "colors" else "indices")


@cache
def camvid() -> Legend:
    """The 32 classes and colours of CamVid."""
    rows = [line.split(" ", 3) for line in _CAMVID.replace("\n", ";").split(";")]
    return Legend.from_entries([Entry((n,), color=(int(r), int(g), int(b))) for r, g, b, n in rows], kind="colors")


@cache
def camvid_index() -> Legend:
    """SegNet's 11 classes as indices, 11 = unlabelled."""
    return Legend.from_entries([Entry((n,), code=i) for i, n in enumerate(_CAMVID_INDEX.split(","))], kind="indices")


@cache
def ade20k_challenge() -> Legend:
    """The 150 classes of the scene parsing challenge; 0 = other objects."""
    rows = [Entry((name,), code=i) for i, name in enumerate(ADE20K_CHALLENGE, 1)]
    return Legend.from_entries([Entry(("other",), code=0), *rows], kind="indices")


@cache
def bdd100k(task: str) -> Legend:
    """Categories of BDD100K's bitmasks: "panoptic", else instances (segmentation and tracking)."""
    names = BDD100K_PANOPTIC if task == "panoptic" else BDD100K_INSTANCES
    return Legend.from_entries(
        [Entry((name,), code=i) for i, name in enumerate(names, 1)], kind="ids", scheme="bdd100k"
    )
