"""frames.prepare_download_for_dataview and download_for_dataview: the frames of a view as a file.

What is prepared is its id, as with scrolls: nothing is kept, and a download that broke off can be asked for again.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, endpoint
from smalti.server.clearml.shown import served_raw
from smalti.server.clearml.views import Pins, pins_of, spec_of, view_of

__all__ = ["ENDPOINTS", "Download"]

_AT_ONCE = 500


class Prepared(msgspec.Struct, array_like=True):
    """What an id stands for.

    Attributes:
        spec: the dataview.
        pins: the states of drafts when it was prepared.
        form: of the file.
        paths: the projection, None for whole frames.
    """

    spec: dict[str, Any]
    pins: Pins
    form: Literal["json", "jsonlines"]
    paths: list[str] | None = None


class Download(dict[str, Any]):
    """An answer that is a file: `pieces` of bytes, and a `name`."""

    def __init__(self, name: str, content_type: str, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self.name, self.content_type, self.pieces = name, content_type, pieces


@endpoint("frames.prepare_download_for_dataview", "viewer")
def prepare(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    form = asked.text("download_type") or "json"
    if form not in ("json", "jsonlines"):
        raise Fault(400, f"download_type is {form!r}; allowed: json, jsonlines")
    spec = spec_of(asked.object("dataview"))
    if (spec.get("iteration") or {}).get("infinite"):
        raise Fault(400, "an endless iteration is no file; leave out iteration.infinite")
    made = Prepared(spec, pins_of(view_of(hub, spec)), "json" if form == "json" else "jsonlines")
    made.paths = asked.texts("projection") or None
    return {"prepare_id": base64.urlsafe_b64encode(msgspec.json.encode(made)).rstrip(b"=").decode()}


@endpoint("frames.download_for_dataview", "viewer")
def download(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    text = asked.needed("prepare_id")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        made = msgspec.json.decode(raw, type=Prepared)
    except (binascii.Error, ValueError, RecursionError):
        raise Fault(400, f"{text[:80]!r} is no prepare_id of this server; prepare the download again") from None
    view = view_of(hub, spec_of(made.spec), made.pins)
    iterator = view.iterate(output="records")

    def lines() -> Iterator[bytes]:
        for served in iterator:
            yield bytes(served_raw(served, view.mapping, made.paths))

    is_json = made.form == "json"
    name = "frames.json" if is_json else "frames.jsonl"
    return Download(name, "application/json" if is_json else "application/x-ndjson", _joined(lines(), is_json))


def _joined(lines: Iterator[bytes], is_json: bool) -> Iterator[bytes]:
    """Pieces of a file, some hundred frames each: one list, or one line per frame."""
    waiting = [b"["] if is_json else []
    for number, line in enumerate(lines):
        waiting.append(b",\n" + line if is_json and number else line if is_json else line + b"\n")
        if len(waiting) >= _AT_ONCE:
            yield b"".join(waiting)
            waiting = []
    yield b"".join([*waiting, b"]\n"] if is_json else waiting)


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
