"""Content type → decoder: a table of names, resolved when first used.

A still decoder is a function `bytes -> Raster` (or `bytes -> array`, for third parties); if it takes a parameter
`limits`, it is given the caller's. The built-in decoders are entries of the same table that `register` writes to, and
packages can announce theirs in the entry-point group "smalti.codecs", named by content type. A clip is another shape
of thing, an object with `.at(ms)`: see `open_clip`.
"""

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.raster import Raster
from smalti.codecs.refusals import refused
from smalti.codecs.sniff import HEAD_BYTES, SNIFFED, is_video, normalise, sniff
from smalti.errors import DecodeError, UnknownContentType

if TYPE_CHECKING:
    from smalti.codecs.clip import Clip

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "Raster",
    "content_types",
    "decode_still",
    "has_only_built_in",
    "is_built_in",
    "is_video",
    "normalise",
    "open_clip",
    "register",
    "registered",
    "sniff",
]

Decoder = Callable[..., "Raster | NDArray[Any]"]

# Dotted strings: nothing is imported (least of all Pillow) before a file of that type comes.
_BUILT_IN: dict[str, str] = {
    "image/png": "smalti.codecs.png:decode_png",
    "image/jpeg": "smalti.codecs.still:decode_jpeg",
    "image/webp": "smalti.codecs.still:decode_webp",
    "image/bmp": "smalti.codecs.still:decode_bmp",
    "image/gif": "smalti.codecs.still:decode_gif",
    "image/avif": "smalti.codecs.still:decode_avif",
    "image/tiff": "smalti.codecs.tiff:decode_tiff",
    "image/x-tga": "smalti.codecs.still:decode_tga",
    "image/*": "smalti.codecs.still:decode_other",
}
_table: dict[str, str | Decoder] = {**_BUILT_IN}


def register(content_type: str, decoder: str | Decoder) -> None:
    """Decode stills of `content_type` with `decoder` from now on, in this process; it goes before a built-in one.

    Args:
        content_type: "image/jxl", an alias such as "png", or "image/*" for all types without a decoder of their own.
        decoder: `bytes -> Raster | array`, or a dotted "package.module:function" that is imported when first needed.
            An array is (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA of uint8, uint16 or
            uint32. It raises ValueError or OSError for bytes that it cannot read.
    """
    name = normalise(content_type)
    if name is None or name.startswith("video/"):
        raise ValueError(f"{content_type!r} is not the content type of a still; name one such as 'image/jxl'")
    if not callable(decoder) and ":" not in decoder:
        raise ValueError(f"decoder {decoder!r}: give a function, or a string 'package.module:function'")
    _table[name] = decoder


def registered() -> dict[str, str | Decoder]:
    """What was registered in this process, by content type: a new process has to be told."""
    return {kind: decoder for kind, decoder in _table.items() if _BUILT_IN.get(kind) != decoder}


def content_types() -> list[str]:
    """Every content type that a decoder of stills is known for, installed packages included."""
    return sorted({*_table, *_announced()})


@cache
def _announced() -> dict[str, EntryPoint]:
    """Decoders of installed packages, by normalised content type; read once, when a type is not in the table."""
    return {normalise(entry.name) or entry.name: entry for entry in entry_points(group="smalti.codecs")}


def is_built_in(content_type: str) -> bool:
    """Whether the decoder for this normalised type is still ours, so that a shortcut past the table is no change."""
    return content_type in _BUILT_IN and _table.get(content_type) == _BUILT_IN[content_type]


def has_only_built_in() -> bool:
    """Whether nobody has registered a decoder in this process: what other decoders give is not ours to keep."""
    return _table == _BUILT_IN


def _is_foreign(content_type: str) -> bool:
    """Whether somebody other than us decodes this very type."""
    registered = _table.get(content_type)
    return (registered is not None and registered != _BUILT_IN.get(content_type)) or (
        content_type not in _table and content_type in _announced()
    )


def _find(content_type: str) -> Decoder:
    """The decoder for a normalised type: the exact type first, installed packages next, "image/*" last."""
    entry: str | Decoder | EntryPoint | None = _table.get(content_type) or _announced().get(content_type)
    if entry is None and content_type.startswith("image/"):
        entry = _table.get("image/*")
    if entry is None:
        raise UnknownContentType(
            f"no decoder for {content_type!r}; there are {', '.join(content_types())}: "
            "convert the file, or add a decoder with smalti.codecs.register",
            content_type=content_type,
            known=content_types(),
        )
    return entry if callable(entry) else _load(entry, content_type)


def _load(entry: str | EntryPoint, content_type: str) -> Decoder:
    """Import what a dotted string or an entry point names."""
    dotted = entry.value if isinstance(entry, EntryPoint) else entry
    module, _, attribute = dotted.partition(":")
    try:
        loaded = getattr(importlib.import_module(module), attribute.strip())
    except (ImportError, AttributeError) as error:
        raise DecodeError(
            f"the decoder {dotted!r} for {content_type!r} cannot be loaded ({error}); install or repair its package",
            content_type=content_type,
        ) from error
    if not callable(loaded):
        raise DecodeError(f"the decoder {dotted!r} for {content_type!r} is not a function", content_type=content_type)
    return loaded  # type: ignore[no-any-return]  # whatever a stranger's module holds; its result is checked


def _takes_limits(decoder: Decoder) -> bool:
    try:
        return "limits" in inspect.signature(decoder).parameters
    except (TypeError, ValueError):  # functions written in C often have no signature
        return False


def _wrap(result: "Raster | NDArray[Any]", content_type: str, limits: Limits) -> Raster:
    """A third party's array as a Raster; ours are Rasters already."""
    if isinstance(result, Raster):
        return result
    array = np.asarray(result)
    if array.dtype == np.bool_:
        array, bits = array.astype(np.uint8), 1
    else:
        bits = array.dtype.itemsize * 8
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in (np.uint8, np.uint16, np.uint32) or array.ndim not in (2, 3):
        raise DecodeError(
            f"the decoder for {content_type!r} returned {array.dtype} of shape {array.shape}; "
            "uint8, uint16, uint32 or bool of shape (H, W) or (H, W, 1..4) is allowed",
            content_type=content_type,
        )
    limits.check_pixels(array.shape[1], array.shape[0], content_type=content_type)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels not in (1, 2, 3, 4):
        raise DecodeError(
            f"the decoder for {content_type!r} returned {channels} channels; 1 to 4 are allowed",
            content_type=content_type,
        )
    alpha = np.ascontiguousarray(array[..., -1]) if channels in (2, 4) else None
    if channels > 2:
        return Raster("rgb", np.ascontiguousarray(array[..., :3]), alpha=alpha, bits=bits, content_type=content_type)
    grey = array if array.ndim == 2 else array[..., 0]
    return Raster("grey", np.ascontiguousarray(grey), alpha=alpha, bits=bits, content_type=content_type)


def _choose(declared: str | None, found: str | None) -> str:
    """The type to decode by: what the bytes show, unless they cannot know better than the record."""
    if declared is not None and declared not in SNIFFED and _is_foreign(declared):
        return declared  # a format of somebody's own may well begin like a TIFF
    kind = found or declared
    if kind is None:
        raise UnknownContentType(
            "the bytes are of no known format and no content type is given; "
            f"decoders exist for {', '.join(content_types())}",
            known=content_types(),
        )
    if kind.startswith("video/"):
        raise UnknownContentType(
            f"{kind} is a clip, a still is needed here; open it with smalti.codecs.open_clip and ask for a timestamp",
            content_type=kind,
            known=content_types(),
        )
    return kind


def _run(decoder: Decoder, data: bytes, content_type: str, limits: Limits) -> "Raster | NDArray[Any]":
    given = {"limits": limits} if _takes_limits(decoder) else {}
    try:
        if getattr(decoder, "__module__", "").startswith("smalti."):
            return decoder(data, **given)  # ours name what they refuse; anything else that they raise is a bug
        with refused(content_type):
            return decoder(data, **given)
    except UnknownContentType as error:
        raise UnknownContentType(
            f"{content_type}: {error}; decoders exist for {', '.join(content_types())}",
            content_type=content_type,
            known=content_types(),
        ) from error


def decode_still(data: bytes, *, content_type: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The picture in `data`, its samples as stored.

    Args:
        data: a whole encoded file.
        content_type: what the record says, in any spelling. The magic bytes are asked first: bytes of another format
            are decoded as what they are, and `Raster.notes` says so.
        limits: bounds on pixels and bytes, checked before anything is allocated.

    Raises:
        UnknownContentType: no decoder fits.
        DecodeError: the bytes are damaged, truncated or beyond the limits.
    """
    declared, found = normalise(content_type), sniff(data[:HEAD_BYTES])
    if not data:
        raise DecodeError("the file is empty: 0 bytes; fetch or write it again", content_type=declared)
    limits.check_bytes(len(data), content_type=declared)
    kind = _choose(declared, found)
    decoder = _find(kind)
    result = _run(decoder, data, kind, limits)
    raster = _wrap(result, kind, limits)
    if declared and found and declared != found and kind == found and not declared.endswith("/*"):
        raster = replace(
            raster, notes=(f"the record says {declared}, the bytes are {found} and were read as that", *raster.notes)
        )
    return raster


def open_clip(
    data_or_file: "bytes | BinaryIO",
    *,
    content_type: str | None = None,
    uri: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> "Clip":
    """A video as an object with `.at(ms)`; PyAV is imported here and not before. `uri` is for messages."""
    from smalti.codecs.clip import Clip

    if not isinstance(data_or_file, (bytes, bytearray, memoryview)):
        data_or_file.seek(0, os.SEEK_SET)
    return Clip(data_or_file, content_type=content_type, uri=uri, limits=limits)
