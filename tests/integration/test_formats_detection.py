"""What a folder is taken for, on every real set: the layout, the masks, the images and how values are read."""

from pathlib import Path

import pytest

from smalti import formats
from smalti.errors import FrameError
from smalti.formats.folder import read_folder

pytestmark = pytest.mark.realdata

LAYOUTS = {
    "ade20k": "ade20k",
    "bdd100k_rgba": "bdd100k",
    "camvid_segnet_index": "folder",
    "camvid_seq": "camvid",
    "camvid_val": "folder",
    "cityscapes": "cityscapes",
    "cityscapes_small": "cityscapes",
    "coco_panoptic": "coco-panoptic",
    "coco_stuff": "folder",
    "davis17_palette": "davis",
    "davis_car_shadow": "folder",
    "drive_gif_tiff/chase": "folder",
    "drive_gif_tiff/drive": "folder",
    "idd_vehicle_rgb": "folder",
    "jpeg_masks_kvasir": "folder",
    "labelme_semantic_segmentation": "voc",
    "lossy_colour_masks": "folder",
    "membrane_L": "folder",
    "palette_vs_classdict": "folder",
    "slag_legend_off_by_one": "folder",
    "suim_bmp": "folder",
    "tiff_instance_stardist": "folder",
    "vipseg_deva": "davis",
    "voc": "folder",
}


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items())
def test_every_set_is_taken_for_what_it_is(realdata: Path, name: str, layout: str) -> None:
    assert formats.detect(realdata / name)[0].format == layout


@pytest.mark.parametrize("name", ["formats_misc", "hostile", "pngsuite", "videos"])
def test_pictures_that_are_no_dataset_are_refused(realdata: Path, name: str) -> None:
    assert formats.detect(realdata / name) == []


@pytest.mark.parametrize(
    ("name", "masks", "images", "paired", "encoding"),
    [
        ("camvid_val", "masks", None, 0, None),  # binary_people beside it holds masks too, and no photographs
        ("coco_stuff", "val_label", "val_img", 2, "index"),  # not val_inst
        ("camvid_segnet_index", "labels", "frames", 2, "index"),
        ("voc", "voc_aug", None, 0, None),  # no name says so: the pictures do
        ("membrane_L", "membrane_L", None, 0, "index"),
        ("lossy_colour_masks", "lossy_colour_masks", "lossy_colour_masks", 2, None),
        ("drive_gif_tiff/chase", "chase", "chase", 4, "index"),
        ("tiff_instance_stardist", "tiff_instance_stardist", "tiff_instance_stardist", 2, None),
    ],
)
def test_masks_and_images_are_found(
    realdata: Path, name: str, masks: str, images: str | None, paired: int, encoding: str | None
) -> None:
    found = read_folder(realdata / name)
    assert {mask.parent.name for _, mask in found.pairs} == {masks}
    assert {image.parent.name for image, _ in found.pairs if image} == ({images} if images else set())
    assert sum(image is not None for image, _ in found.pairs) == paired
    assert found.encoding == encoding


def test_a_folder_without_masks_says_what_was_looked_for(realdata: Path) -> None:
    with pytest.raises(FrameError, match="look like label maps; name the folder"):
        read_folder(realdata / "videos")
