"""What the names of folders and files say where no annotation does: which are masks, which are images, who goes with whom."""

import re
from pathlib import Path

import numpy as np

from smalti.codecs import decode_still
from smalti.errors import SmaltiError

__all__ = [
    "LEGEND_FILES",
    "MASK_FOLDERS",
    "is_image_folder",
    "is_mask_folder",
    "looks_like_labels",
    "says_mask",
    "stem_of",
]

MASK_FOLDERS: tuple[str, ...] = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "gt",
    "gtfine",
    "ground_truth",
    "groundtruth",
    "segmentation",
    "segmentationclass",
    "segmentationclassaug",
    "seg",
    "segs",
    "semantic",
    "labelids",
    "targets",
    "annotation",
)
IMAGE_FOLDERS = frozenset(
    [
        "images",
        "image",
        "imgs",
        "img",
        "frames",
        "frame",
        "jpegimages",
        "leftimg8bit",
        "rgb",
        "photos",
        "pictures",
        "inputs",
    ]
)
LEGEND_FILES: tuple[str, ...] = (
    "legend.json",
    "label_colors.txt",
    "class_dict.csv",
    "labelmap.txt",
    "legend.csv",
    "legend.txt",
    "classes.json",
    "labels.json",
    "label_map.json",
    "dataset_meta.json",
    "classes.csv",
    "classes.txt",
    "labels.txt",
    "class_names.txt",
)
_MASK_ENDING = re.compile(
    r"(_gtFine_(labelIds|instanceIds|color|labelTrainIds)|_segmentation|_semantic|_instance|_labelIds|_labels?|_masks?"
    r"|_seg|_L|_gt|_color|\.out|_train_id|_id|[_-]targets?|_manual\d*|_(1st|2nd)HO|_alpha|_matte)$",
    re.IGNORECASE,
)
_IMAGE_ENDING = re.compile(r"(_leftImg8bit|_rgb|_image|_img|[_-]inputs?|_training|_test)$", re.IGNORECASE)
_MASK_BEGINNING = re.compile(r"^(masks?|labels?|seg|gt|targets?)[_-]?(?=\d)", re.IGNORECASE)
_IMAGE_BEGINNING = re.compile(r"^(images?|imgs?|inputs?|frames?)[_-]?(?=\d)", re.IGNORECASE)
_MOST_LABELS = 64
_SAMPLED = 3


def is_mask_folder(name: str) -> bool:
    """Whether a folder of this name holds masks where no better named one is there: `test_label`, `annot_v2`, …"""
    return re.search(r"(mask|label|(^|_)gt|annot)", name.lower()) is not None


def is_image_folder(name: str) -> bool:
    """Whether a folder of this name holds images: a usual name, or one as a part of it (`val_img`, `frames_jpg`)."""
    return not IMAGE_FOLDERS.isdisjoint({name.lower(), *re.split(r"[^a-z]+", name.lower())})


def says_mask(path: Path) -> bool:
    """Whether the name of a file says mask: `0001_L`, `x_gtFine_labelIds`, `21_manual1`, `mask2d`, …"""
    return _MASK_ENDING.search(path.stem) is not None or _MASK_BEGINNING.match(path.stem) is not None


def stem_of(path: Path) -> str:
    """The stem that an image and its masks share: what tools put before and after it is taken off."""
    stem = path.stem
    while (short := _IMAGE_ENDING.sub("", _MASK_ENDING.sub("", stem))) != stem and short:
        stem = short
    return _IMAGE_BEGINNING.sub("", _MASK_BEGINNING.sub("", stem)) or stem


def looks_like_labels(paths: list[Path]) -> bool:
    """Whether pictures are maps of labels and no photographs: the first few have at most 64 different values each."""
    return bool(paths) and all(_has_few_values(path) for path in paths[:_SAMPLED])


def _has_few_values(path: Path) -> bool:
    try:
        raster = decode_still(path.read_bytes())
    except (SmaltiError, OSError):
        return False
    pixels = raster.data
    if pixels is None:  # stored as luma and chroma, as photographs are
        return False
    flat = pixels.reshape(-1, pixels.shape[2]) if pixels.ndim == 3 else pixels.reshape(-1, 1)
    return len(np.unique(flat[:: max(1, len(flat) // 100_000)], axis=0)) <= _MOST_LABELS
