"""The street itself: an image, its class mask and its instance mask at any moment, drawn with NumPy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.legend import Legend

__all__ = ["LEGEND", "Moment", "Street"]

LEGEND = Legend(
    {
        (70, 130, 180): "sky",
        (70, 70, 70): "building",
        (107, 142, 35): "tree",
        (128, 64, 128): "road",
        (244, 35, 232): "sidewalk",
        (250, 250, 250): "lane",
        (0, 0, 142): ["car", "vehicle"],
        (220, 20, 60): "person",
        (153, 153, 153): "pole",
    }
)
_LABELS = {entry.labels[0]: i for i, entry in enumerate(LEGEND, 1)}
_PAINT = {
    "sky": (150, 190, 230),
    "building": (120, 105, 95),
    "tree": (60, 110, 50),
    "road": (75, 75, 80),
    "sidewalk": (150, 145, 140),
    "lane": (225, 225, 215),
    "car": (175, 35, 40),
    "person": (215, 165, 90),
    "pole": (95, 95, 100),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of the street.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 entry numbers of `LEGEND`.
        instances: (H, W) uint16 object numbers of cars and people, 0 elsewhere.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: NDArray[np.uint16]

    @property
    def colors(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: the class mask in the colours of the legend."""
        return LEGEND.display_colors()[self.labels]


class Street:
    """A street with houses, trees, poles, moving cars and people; the same seed draws the same street.

    Args:
        size_hw: height and width in pixels, both even.
        seed: where houses and trees stand.
    """

    def __init__(self, size_hw: tuple[int, int] = (360, 640), seed: int = 7) -> None:
        self.height, self.width = size_hw
        random = np.random.default_rng(seed)
        self.houses = [(float(x), float(random.uniform(0.12, 0.34))) for x in np.arange(-0.05, 1.05, 0.13)]
        self.trees = [(float(random.uniform(0, 1)), float(random.uniform(0.04, 0.07))) for _ in range(6)]
        self.grain = random.normal(0, 6, (self.height, self.width, 1))

    def at(self, at_s: float) -> Moment:
        """The street `at_s` seconds after the start."""
        labels = np.zeros((self.height, self.width), np.uint8)
        instances = np.zeros((self.height, self.width), np.uint16)
        self._ground(labels)
        for x, top in self.houses:
            self._box(labels, "building", x, 0.46 - top, x + 0.11, 0.56)
        for x, radius in self.trees:
            self._box(labels, "pole", x - 0.004, 0.4, x + 0.004, 0.57)
            self._disc(labels, "tree", x, 0.4, radius)
        for x in (0.18, 0.55, 0.9):
            self._box(labels, "pole", x, 0.2, x + 0.006, 0.6)
        self._people(labels, instances, at_s)
        self._cars(labels, instances, at_s)
        return Moment(self._paint(labels, instances), labels, instances)

    def _ground(self, labels: NDArray[np.uint8]) -> None:
        self._box(labels, "sky", 0, 0, 1, 0.56)
        self._box(labels, "sidewalk", 0, 0.54, 1, 0.64)
        self._box(labels, "road", 0, 0.64, 1, 1)
        for x in np.arange(0, 1, 0.16):
            self._box(labels, "lane", float(x), 0.8, float(x) + 0.08, 0.812)

    def _people(self, labels: NDArray[np.uint8], instances: NDArray[np.uint16], at_s: float) -> None:
        for number, (start, speed) in enumerate([(0.2, 0.03), (0.42, -0.02), (0.75, 0.025)], 11):
            x = (start + speed * at_s) % 1
            self._box(labels, "person", x, 0.53, x + 0.016, 0.63, instances, number)
            self._disc(labels, "person", x + 0.008, 0.515, 0.011, instances, number)

    def _cars(self, labels: NDArray[np.uint8], instances: NDArray[np.uint16], at_s: float) -> None:
        for number, (start, speed, y) in enumerate([(0.1, 0.12, 0.7), (0.6, 0.1, 0.7), (0.8, -0.15, 0.88)], 1):
            x = (start + speed * at_s) % 1.2 - 0.15
            self._box(labels, "car", x + 0.025, y - 0.075, x + 0.105, y, instances, number)
            self._box(labels, "car", x, y - 0.03, x + 0.13, y + 0.035, instances, number)

    def _box(
        self,
        labels: NDArray[np.uint8],
        name: str,
        left: float,
        top: float,
        right: float,
        bottom: float,
        instances: NDArray[np.uint16] | None = None,
        number: int = 0,
    ) -> None:
        x0, x1 = (int(np.clip(round(v * self.width), 0, self.width)) for v in (left, right))
        y0, y1 = (int(np.clip(round(v * self.height), 0, self.height)) for v in (top, bottom))
        labels[y0:y1, x0:x1] = _LABELS[name]
        if instances is not None:
            instances[y0:y1, x0:x1] = number

    def _disc(
        self,
        labels: NDArray[np.uint8],
        name: str,
        x: float,
        y: float,
        radius: float,
        instances: NDArray[np.uint16] | None = None,
        number: int = 0,
    ) -> None:
        rows, columns = np.ogrid[: self.height, : self.width]
        inside = (columns - x * self.width) ** 2 + (rows - y * self.height) ** 2 < (radius * self.width) ** 2
        labels[inside] = _LABELS[name]
        if instances is not None:
            instances[inside] = number

    def _paint(self, labels: NDArray[np.uint8], instances: NDArray[np.uint16]) -> NDArray[np.uint8]:
        paint = np.array([(0, 0, 0), *(_PAINT[entry.labels[0]] for entry in LEGEND)], np.float64)
        picture = paint[labels] + self.grain
        picture += ((instances % 5) * 9)[..., None]
        picture *= np.linspace(1.06, 0.9, self.height)[:, None, None]
        return np.clip(picture, 0, 255).astype(np.uint8)
