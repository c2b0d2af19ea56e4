"""The fields that a query may name, and the thing that each of them belongs to."""

import difflib
from typing import Literal, NamedTuple

from smalti.query.nodes import Scope

__all__ = ["Field", "Mode", "UnknownField", "find_field", "known_fields"]

Mode = Literal["view", "roi", "frame", "source"]
"""What a text is about: the one-string form, one ROI (`roi_query`), a frame (`frame_query`), a source."""


class Field(NamedTuple):
    """A field in its scope; `exact` fields hold names, which compare as a whole and with case."""

    scope: Scope
    path: str
    exact: bool = False
    of: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers and nothing else, so that a text is never its value."""
        return not self.path.startswith("meta.") and self.path.rpartition(".")[2] in _NUMBERS


_NUMBERS = {"timestamp", "confidence", "width", "height", "share", "pixels", "segments"}


class UnknownField(LookupError):
    """A field that nothing has; `completions` lists near ones."""

    def __init__(self, reason: str, completions: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.completions = completions


_ROI = ("label", "id", "confidence", "sources", "mask.id", "mask.value")
_SOURCE = ("id", "uri", "content_type", "width", "height", "timestamp")
_MASK_RECORD = ("id", "uri", "content_type", "width", "height", "timestamp", "encoding")
_PREVIEW = ("uri", "content_type", "width", "height", "timestamp")
_FRAME = ("id", "context_id", "timestamp")
_READ_ONLY = (
    "dataset.id",
    "dataset.version",
    "saved",
    "updated",
    "saved_in_version",
    "updated_in_version",
    "is_key_frame",
    "key_frame",
    "video_gop",
)
_MASK = ("labels", "id", "source", "width", "height", "size", "mode", "codec", "segments", "void.share", "void.pixels")
_NAMES = {
    "label",
    "id",
    "sources",
    "mask.id",
    "context_id",
    "uri",
    "content_type",
    "encoding",
    "labels",
    "source",
    "mode",
}
_NAMES |= {"codec", "dataset.id", "dataset.version", "saved_in_version", "updated_in_version"}
_PREFIX: dict[str, Scope] = {
    "roi": "roi",
    "rois": "roi",
    "source": "source",
    "sources": "source",
    "mask": "mask",
    "masks": "mask",
}


def known_fields(mode: Mode) -> list[str]:
    """Every fixed field name of a mode; `meta.` and `mask.` stand for what follows them."""
    sources = [
        *_SOURCE,
        "meta.",
        *(f"masks.{name}" for name in _MASK_RECORD),
        *(f"preview.{name}" for name in _PREVIEW),
    ]
    rois = [*_ROI, "meta."]
    if mode == "roi":
        return rois
    if mode == "source":
        return sources
    masks = [*(f"mask.{name}" for name in _MASK), "mask.<label>.share", "mask.<label>.pixels", 'mask.label("…").share']
    frame = [*_FRAME, "meta.", *_READ_ONLY, "label", "confidence"]
    return [*frame, *(f"roi.{name}" for name in rois), *(f"sources.{name}" for name in sources), *masks]


def find_field(name: str, mode: Mode, of: str | None = None) -> Field:
    """The field that `name` means in this mode; `of` is the label of `mask.label("…")`.

    Raises:
        UnknownField: nothing has that field.
    """
    if mode == "roi":
        return _inside("roi", _strip(name, ("roi", "rois")), name, mode)
    if mode == "source":
        return _inside("source", _strip(name, ("sources", "source")), name, mode)
    head, _, rest = name.partition(".")
    scope = _PREFIX.get(head)
    if scope == "mask":
        return _mask(rest, name, of)
    if scope is not None and rest:
        return _inside(scope, rest, name, mode)
    if head in ("label", "labels", "confidence"):
        return _inside("roi", name, name, mode)
    if head == "meta" and rest:
        path, exact = _keyword(rest)
        return Field("frame", f"meta.{path}", exact)
    path, exact = _keyword(name)
    if path in _FRAME or path in _READ_ONLY:
        return Field("frame", path, exact or path in _NAMES)
    if head in ("meta_blob", "blob"):
        raise UnknownField(f"{head} is stored but not searchable; search meta", ("meta.",))
    raise _unknown(name, mode)


def _strip(name: str, prefixes: tuple[str, ...]) -> str:
    head, _, rest = name.partition(".")
    # A ROI has a field "sources", a source has none: the prefix is only taken off where something follows it.
    return rest if rest and head in prefixes else name


def _keyword(path: str) -> tuple[str, bool]:
    short = path.removesuffix(".keyword")
    return (short, True) if short != path and short else (path, False)


def _inside(scope: Scope, path: str, name: str, mode: Mode) -> Field:
    path, exact = _keyword(path)
    head, _, rest = path.partition(".")
    if head == "meta" and rest:
        return Field(scope, path, exact)
    if scope == "roi" and path == "labels":
        path = "label"
    masks = {f"masks.{field}" for field in _MASK_RECORD} | {f"preview.{field}" for field in _PREVIEW}
    known = set(_ROI) if scope == "roi" else set(_SOURCE) | masks
    if path in known:
        last = path.rpartition(".")[2]
        return Field(scope, path, exact or path in _NAMES or (scope == "source" and last in _NAMES))
    if scope == "roi" and head == "poly":
        raise UnknownField("poly is not searchable", ("label", "confidence", "meta."))
    raise _unknown(name, mode)


def _mask(rest: str, name: str, of: str | None) -> Field:
    path, _ = _keyword(rest)
    if of is not None:
        if path in ("share", "pixels"):
            return Field("mask", path, of=of)
        raise UnknownField(f'mask.label("{of}") has no field {path!r}', ("share", "pixels"))
    if path in _MASK:
        return Field("mask", path, path in _NAMES)
    label, _, field = path.rpartition(".")
    if label and field in ("share", "pixels"):
        return Field("mask", field, of=label)
    near = _near(f"mask.{rest}", "view")
    if label:
        last = difflib.get_close_matches(field, ("share", "pixels"), n=1, cutoff=0) or ["share"]
        near = tuple(dict.fromkeys([f"mask.{label}.{name}" for name in (*last, "share", "pixels")] + list(near)))[:4]
    raise UnknownField(f"a mask has no field {rest!r}" if rest else f"{name} lacks a field", near)


def _near(name: str, mode: Mode) -> tuple[str, ...]:
    known = known_fields(mode)
    starts = [field for field in known if field.startswith(name)]
    return tuple(dict.fromkeys([*starts, *difflib.get_close_matches(name, known, n=4, cutoff=0.5)]))[:6]


def _unknown(name: str, mode: Mode) -> UnknownField:
    what = {"view": "frame", "frame": "frame", "roi": "ROI", "source": "source"}[mode]
    near = _near(name, mode) or (f"meta.{name}",)
    return UnknownField(f"a {what} has no field {name!r}; what you added yourself is below meta", near)
