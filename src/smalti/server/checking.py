"""Counting pixels and checking masks on a server: through its doors, so that a shared one can do it too."""

from collections.abc import Callable
from typing import Any

from smalti.binding import MaskPlan
from smalti.codecs.raster import Raster
from smalti.errors import StorageError
from smalti.labelmap import LabelMap
from smalti.lint import check
from smalti.lint.report import Report
from smalti.server.pictures import Pictures
from smalti.server.problems import Refusal
from smalti.server.service import Service
from smalti.store import DatasetVersion
from smalti.store.counting import compute_facts, counter

__all__ = ["ServedFiles", "check_masks", "count_pixels"]

_SHOWN = 100


class ServedFiles:
    """The files that frames name, as far as the server's policy lets them be read."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def raster(self, uri: str, content_type: str | None, at_ms: float) -> Raster:
        """The stored samples of a still, or of the picture of a clip that is nearest to a time."""
        try:
            return self._pictures.raster(uri, content_type, at_ms)[0]
        except Refusal as refusal:
            raise StorageError(str(refusal), uri=uri) from None

    def pictures(self, uri: str, content_type: str | None) -> int:
        """How many pictures a clip has."""
        with self._pictures.clip(uri, content_type) as clip:
            return len(clip)

    def labels(self, plan: MaskPlan) -> LabelMap:
        """The decoded mask of a plan by the default policy."""
        try:
            return self._pictures.labels(plan, float(plan.mask.timestamp)).map
        except Refusal as refusal:
            raise StorageError(str(refusal), uri=plan.mask.uri) from None


Told = Callable[[float, str], None]


def count_pixels(hub: Service, version: DatasetVersion, told: Told | None = None) -> dict[str, Any]:
    """Count the masks of a draft that were not counted yet; returns what could not be read, the first hundred."""
    total = max(1, hub.table(version).lacking_facts())
    failed = compute_facts(
        version,
        count=counter(version, read=ServedFiles(hub.pictures).labels),
        progress=None if told is None else lambda done: told(done / total, f"{done} of {total} frames counted"),
    )
    return {"failed": [{"frame": item.id, "error": item.error} for item in failed[:_SHOWN]]}


def check_masks(hub: Service, told: Told | None = None) -> Callable[[DatasetVersion], Report]:
    """The mask checks as `DatasetVersion.publish` takes them."""

    def run(version: DatasetVersion) -> Report:
        total = max(1, len(version))

        def progress(done: int) -> None:
            if told is not None:
                told(done / total, f"{done} of {total} frames checked")

        return check(version, progress=progress, files=ServedFiles(hub.pictures))

    return run
