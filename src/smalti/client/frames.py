"""Frames of a server: the same handles, whose pixels come from the server, which alone can reach the files."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.client.http import Http, segment
from smalti.errors import MaskReferenceError
from smalti.frames import FrameGroup, SingleFrame
from smalti.labelmap import LabelMap
from smalti.legend import Entry, Legend
from smalti.records import Frame

if TYPE_CHECKING:
    from smalti.client.version import RemoteVersion

__all__ = ["RemoteFrame", "RemoteGroup", "remote_handle"]


class RemoteFrame(SingleFrame):
    """A frame of a server: see SingleFrame. Pixels are asked of the server unless an option needs the file itself."""

    __slots__ = ("version",)

    version: "RemoteVersion"

    def image(self, *, upright: bool = False) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB: the picture of the source; `upright` needs the file itself."""
        if upright:
            return super().image(upright=True)
        from smalti.codecs import decode_still
        from smalti.codecs.show import to_rgb

        answer = self._http.send("GET", f"{self._path}/image", fmt="exact")
        return to_rgb(decode_still(answer.content))

    def label_map(self, mask_id: str | int | None = None, **options: Any) -> LabelMap:
        """The decoded mask, as the server reads it; options other than the defaults read the file itself."""
        defaults = {"legend": None, "lossy": "auto", "tolerance": None, "strict": False, "clamp": False}
        if any(defaults.get(name) != value for name, value in options.items()):
            return super().label_map(mask_id, **options)
        mask = self._plan(mask_id, None).mask.id
        path = f"{self._path}/masks/{segment(mask)}"
        legend, index = self._http.ask("GET", f"{path}/legend"), self._http.send("GET", f"{path}/index")
        return _label_map(legend, index)

    def alpha(self, mask_id: str | int | None = None) -> NDArray[np.uint8]:
        """(H, W) uint8: the mask read as opacity."""
        mask = self._plan(mask_id, None).mask.id
        return _pixels(self._http.send("GET", f"{self._path}/masks/{segment(mask)}/alpha")).astype(np.uint8)

    @property
    def _http(self) -> Http:
        return self.version.http

    @property
    def _path(self) -> str:
        return f"{self.version.path}/frames/{segment(self.id)}/sources/{segment(self.source_record.id)}"


class RemoteGroup(FrameGroup):
    """Several sources of one moment, of a server: see FrameGroup."""

    __slots__ = ("version",)

    version: "RemoteVersion"

    def __getitem__(self, name: str) -> SingleFrame:
        super().__getitem__(name)
        return _single(self.record, name, self.version, self.mask_labels)

    def label_map(self, mask_id: str | int | None = None, *, source: str | None = None, **options: Any) -> LabelMap:
        """The decoded mask of one source."""
        return self[self._source_of(mask_id, source)].label_map(mask_id, **options)


def remote_handle(record: Frame, version: "RemoteVersion", mask_labels: Any) -> SingleFrame | FrameGroup:
    """The handle that fits a record."""
    if len(record.sources) > 1:
        group = RemoteGroup.on(record, mask_labels=mask_labels)
        group.version = version  # type: ignore[attr-defined]  # `on` makes what it is called on
        return group
    return _single(record, record.sources[0].id, version, mask_labels)


def _single(record: Frame, source: str, version: "RemoteVersion", mask_labels: Any) -> SingleFrame:
    found = RemoteFrame.on(record, source, mask_labels=mask_labels)
    found.version = version  # type: ignore[attr-defined]
    return found


def _pixels(answer: Any) -> NDArray[Any]:
    """(H, W) of what the headers say."""
    headers = answer.headers
    size = int(headers["x-mask-height"]), int(headers["x-mask-width"])
    dtype = np.dtype(headers["x-mask-dtype"]).newbyteorder("<")
    native = np.frombuffer(answer.content, dtype).astype(dtype.newbyteorder("="))
    return native.reshape(size)


def _label_map(found: dict[str, Any], index: Any) -> LabelMap:
    if found["etag"] not in index.headers.get("etag", ""):
        raise MaskReferenceError("the mask changed while it was read; read it again")
    entries = [_entry(row) for row in found["entries"]]
    return LabelMap(
        _pixels(index),
        Legend.from_entries(entries, kind=found["kind"], scheme=found.get("scheme")),
        found["policy"],
        found["settled"],
        tuple(found["notes"]),
        found["pts_ms"],
        found["mode"],
        found["codec"],
    )


def _entry(row: dict[str, Any]) -> Entry:
    color = row["stored_color"]
    return Entry(tuple(row["labels"]), None if color is None else (color[0], color[1], color[2]), row["code"])
