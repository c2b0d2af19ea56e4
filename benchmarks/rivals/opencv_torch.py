"""A plain torch Dataset as people write it: OpenCV reads, NumPy looks classes up; cut before anything is converted."""

from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

label = "torch Dataset, OpenCV + NumPy table"


def make_table(classes: dict[tuple[int, int, int], int], void: int = 255) -> Any:
    """(2**24,) uint8 class by B<<16|G<<8|R, the order in which OpenCV reads."""
    table = np.full(1 << 24, void, np.uint8)
    for (red, green, blue), number in classes.items():
        table[blue << 16 | green << 8 | red] = number
    return table


class PlainDataset(Dataset[Any]):
    """(image path, mask path) pairs → (uint8 (3, h, w), int64 (h, w)); `only_mask` leaves the image out."""

    def __init__(self, pairs: list[tuple[str, str]], table: Any, crop: tuple[int, int]) -> None:
        self.pairs, self.table, self.crop = pairs, table, crop
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.pairs)

    def _cut(self, size_hw: tuple[int, int]) -> Any:
        top, left = (int(self.random.integers(full - part + 1)) for full, part in zip(size_hw, self.crop, strict=True))
        return np.s_[top : top + self.crop[0], left : left + self.crop[1]]

    def mask(self, number: int, cut: Any = None) -> Any:
        bgr = cv2.imread(self.pairs[number][1], cv2.IMREAD_COLOR)
        wide = bgr[cut if cut is not None else self._cut(bgr.shape[:2])].astype(np.uint32)
        found = self.table[wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]]
        return torch.from_numpy(found.astype(np.int64))

    def __getitem__(self, number: int) -> Any:
        bgr = cv2.imread(self.pairs[number][0], cv2.IMREAD_COLOR)
        cut = self._cut(bgr.shape[:2])
        rgb = cv2.cvtColor(bgr[cut], cv2.COLOR_BGR2RGB)
        return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))), self.mask(number, cut)
