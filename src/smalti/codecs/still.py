"""JPEG, WebP, BMP, GIF, AVIF and the rarer stills, through Pillow: what was stored, never what would look nice.

Each function has its plugin named: nothing is guessed, and Pillow's bomb check gives way to our own settable one.
EXIF orientation is reported and never applied. `LOAD_TRUNCATED_IMAGES` is left alone: truncated files are refused.
"""

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.exif import orientation_of
from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.raster import Raster
from smalti.codecs.refusals import kept_quiet, refused
from smalti.errors import DecodeError, UnknownContentType

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image, ImageFile

__all__ = [
    "as_raster",
    "decode_avif",
    "decode_bmp",
    "decode_gif",
    "decode_jpeg",
    "decode_other",
    "decode_tga",
    "decode_webp",
    "load",
    "open_picture",
]


def open_picture(
    plugin: "Callable[..., ImageFile.ImageFile]", data: bytes, limits: Limits, content_type: str, notes: list[str]
) -> "ImageFile.ImageFile":
    """A picture whose header is read and whose size is within the limits; no pixel is decoded yet."""
    with refused(content_type), kept_quiet(notes):
        picture = plugin(io.BytesIO(data))
    limits.check_pixels(*picture.size, content_type=content_type)
    return picture


def load(picture: "ImageFile.ImageFile", content_type: str, notes: list[str]) -> None:
    """Decode the pixels; says so where somebody told Pillow to fill up truncated files."""
    from PIL import ImageFile

    if ImageFile.LOAD_TRUNCATED_IMAGES:
        notes.append("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on in this process: missing pixels would go unnoticed")
    with refused(content_type):
        picture.load()


def _palette(picture: "Image.Image") -> NDArray[np.uint8]:
    flat = picture.getpalette("RGB") or []
    return np.array(flat, np.uint8).reshape(-1, 3)


def _integers(picture: "Image.Image", content_type: str, signed: bool) -> NDArray[Any]:
    """Samples of the modes "I" and "I;16*", which must not be negative: they are codes."""
    samples = np.asarray(picture)
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if samples.dtype.kind == "u":
        return samples
    if not signed:
        return samples.view(np.uint32)  # Pillow has no unsigned 32-bit mode, but keeps the bits
    if samples.size and int(samples.min()) < 0:
        raise DecodeError(
            f"{content_type}: signed samples down to {int(samples.min())}; 0 and above are allowed: "
            "write the mask with unsigned samples",
            content_type=content_type,
        )
    return samples.astype(np.uint32)


def as_raster(
    picture: "Image.Image",
    *,
    content_type: str,
    codec: str,
    bits: int = 8,
    lossy: bool = False,
    signed: bool = True,
    orientation: int = 1,
    notes: list[str],
) -> Raster:
    """A loaded picture as a Raster, by its mode; modes without a place there are converted to RGB, with a note.

    `signed` says what 32-bit samples are.
    """
    mode: Literal["grey", "palette", "rgb"]
    data: NDArray[Any]
    palette = alpha = None
    if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La"):
        notes.append(f"stored as {picture.mode}, converted to RGB")
        with refused(content_type):
            picture = picture.convert("RGBA" if picture.mode in ("RGBa", "La") else "RGB")
    if picture.mode == "1":
        mode, data, bits = "grey", np.asarray(picture).astype(np.uint8), 1
    elif picture.mode in ("L", "LA"):
        mode, data = "grey", np.asarray(picture)
    elif picture.mode in ("P", "PA"):
        mode, data, palette = "palette", np.asarray(picture), _palette(picture)
    elif picture.mode in ("RGB", "RGBA"):
        mode, data = "rgb", np.asarray(picture)
    elif picture.mode.startswith("I"):
        mode, data = "grey", _integers(picture, content_type, signed)
        bits = data.dtype.itemsize * 8
    else:
        raise DecodeError(
            f"{content_type}: samples of Pillow's mode {picture.mode!r}; integers of 1 to 32 bits are allowed: "
            "convert the file",
            content_type=content_type,
        )
    if picture.mode in ("LA", "PA", "RGBA"):
        alpha = np.ascontiguousarray(data[..., -1])
        data = data[..., 0] if mode != "rgb" else data[..., :3]
    return Raster(
        mode=mode,
        data=np.ascontiguousarray(data),
        palette=palette,
        alpha=alpha,
        bits=bits,
        lossy=lossy,
        content_type=content_type,
        orientation=orientation,
        codec=codec,
        notes=tuple(notes),
    )


def _stored_as_ycc(picture: "ImageFile.ImageFile") -> bool:
    """libjpeg's own rule for three components: JFIF says YCbCr, Adobe's marker says which, the names decide else."""
    if "jfif" in picture.info:
        return True
    if "adobe_transform" in picture.info:
        return bool(picture.info["adobe_transform"])
    names = [component[0] for component in getattr(picture, "layer", ())]
    return names != [ord("R"), ord("G"), ord("B")]


def decode_jpeg(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The planes of a JPEG as "ycc" (full range, BT.601, chroma brought to full size), grey, or RGB where it is that.

    Raises:
        DecodeError: not a JPEG, truncated, damaged or beyond the limits.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    kind, notes = "image/jpeg", list[str]()
    picture = open_picture(JpegImageFile, data, limits, kind, notes)
    orientation = orientation_of(picture.info.get("exif"))
    if picture.mode == "RGB" and _stored_as_ycc(picture):
        with refused(kind):
            picture.draft("YCbCr", None)
        load(picture, kind, notes)
        pixels = np.asarray(picture)
        luma, blue, red = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
        return Raster(
            mode="ycc",
            planes=(luma, blue, red),
            lossy=True,
            content_type=kind,
            orientation=orientation,
            matrix="bt601",
            full_range=True,
            codec="jpeg",
            notes=tuple(notes),
        )
    load(picture, kind, notes)
    return as_raster(picture, content_type=kind, codec="jpeg", lossy=True, orientation=orientation, notes=notes)


def _webp_facts(data: bytes) -> tuple[tuple[int, int] | None, bool]:
    """((width, height) of the canvas or None, whether the first picture is lossy), from the RIFF chunks alone."""
    size: tuple[int, int] | None = None
    offset = 12
    while offset + 8 <= len(data):
        kind, length = data[offset : offset + 4], int.from_bytes(data[offset + 4 : offset + 8], "little")
        body = data[offset + 8 : offset + 18]
        if kind == b"VP8X":
            size = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
        elif kind == b"VP8L":
            packed = int.from_bytes(body[1:5], "little")
            return size or ((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1), False
        elif kind == b"VP8 ":
            width, height = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
            return size or (width & 0x3FFF, height & 0x3FFF), True
        elif kind == b"ANMF":
            length = 16  # its own header; the chunks of the picture follow inside
        offset += 8 + length + (length & 1)
    return size, True


def decode_webp(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The (first) picture of a WebP as RGB, alpha apart; `lossy` tells VP8 from VP8L.

    Raises:
        DecodeError: not a WebP, truncated, damaged or beyond the limits.
    """
    from PIL.WebPImagePlugin import WebPImageFile

    kind, notes = "image/webp", list[str]()
    size, lossy = _webp_facts(data)
    if size is not None:  # libwebp allocates the canvas when it opens the file
        limits.check_pixels(*size, content_type=kind)
    picture = open_picture(WebPImageFile, data, limits, kind, notes)
    _note_frames(picture, notes)
    load(picture, kind, notes)
    orientation = orientation_of(picture.info.get("exif"))
    codec = "vp8" if lossy else "vp8l"
    return as_raster(picture, content_type=kind, codec=codec, lossy=lossy, orientation=orientation, notes=notes)


def _note_frames(picture: "ImageFile.ImageFile", notes: list[str]) -> None:
    pictures = getattr(picture, "n_frames", 1)
    if pictures > 1:
        notes.append(f"the file holds {pictures} pictures; the first was read")


def decode_bmp(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """A BMP with its indices and palette, its grey or its RGB.

    Raises:
        DecodeError: not a BMP, truncated, damaged, of a kind that Pillow does not read, or beyond the limits.
    """
    from PIL.BmpImagePlugin import BmpImageFile

    kind, notes = "image/bmp", list[str]()
    picture = open_picture(BmpImageFile, data, limits, kind, notes)
    load(picture, kind, notes)
    # The OS/2 header of 12 bytes keeps its depth four bytes earlier than all others.
    at = 24 if data[14:18] == b"\x0c\0\0\0" else 28
    depth = int.from_bytes(data[at : at + 2], "little")
    bits = depth if picture.mode in ("P", "L") and depth in (1, 2, 4, 8) else 8
    return as_raster(picture, content_type=kind, codec="bmp", bits=bits, notes=notes)


def decode_gif(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The first picture of a GIF: indices and palette (or grey where the palette is 0, 1, 2, ...) as stored.

    Alpha is 0 where the transparent index stands, and where the canvas is larger than its first picture.

    Raises:
        DecodeError: not a GIF, truncated, damaged or beyond the limits.
    """
    from PIL.GifImagePlugin import GifImageFile

    kind, notes = "image/gif", list[str]()
    picture = open_picture(GifImageFile, data, limits, kind, notes)
    extents = next((tile[1] for tile in picture.tile), None)
    load(picture, kind, notes)
    width, height = picture.size
    alpha: NDArray[np.uint8] | None = None
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int) and picture.mode in ("P", "L"):
        alpha = np.where(np.asarray(picture) == transparent, 0, 255).astype(np.uint8)
    if extents is not None and extents != (0, 0, width, height):
        left, top, right, bottom = extents
        covered = np.zeros((height, width), np.bool_)
        covered[top:bottom, left:right] = True
        alpha = np.where(covered, np.uint8(255) if alpha is None else alpha, np.uint8(0))
        notes.append(f"the first picture covers {right - left}×{bottom - top} of {width}×{height}; alpha is 0 outside")
    return replace(as_raster(picture, content_type=kind, codec="gif", notes=notes), alpha=alpha)


def decode_avif(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The (first) picture of an AVIF as RGB, alpha apart; whether it lost anything cannot be told, so `lossy` is set.

    Raises:
        DecodeError: not an AVIF, truncated, damaged, beyond the limits, or Pillow was built without AVIF.
    """
    from PIL import features

    kind, notes = "image/avif", list[str]()
    if not features.check("avif"):
        raise DecodeError("image/avif: this Pillow has no AVIF decoder; install a newer Pillow", content_type=kind)
    from PIL.AvifImagePlugin import AvifImageFile

    picture = open_picture(AvifImageFile, data, limits, kind, notes)
    _note_frames(picture, notes)
    load(picture, kind, notes)
    orientation = orientation_of(picture.info.get("exif"))
    return as_raster(picture, content_type=kind, codec="av1", lossy=True, orientation=orientation, notes=notes)


def decode_tga(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """A Targa picture; it has no magic bytes, so it is read as one only where the record says so."""
    from PIL.TgaImagePlugin import TgaImageFile

    kind, notes = "image/x-tga", list[str]()
    picture = open_picture(TgaImageFile, data, limits, kind, notes)
    load(picture, kind, notes)
    return as_raster(picture, content_type=kind, codec="tga", notes=notes)


# Formats with magic bytes and without a program or a network behind them.
_OTHERS = {
    "PPM": "image/x-portable-anymap",
    "JPEG2000": "image/jp2",
    "PCX": "image/vnd.zbrush.pcx",
    "SGI": "image/sgi",
    "ICO": "image/vnd.microsoft.icon",
    "QOI": "image/qoi",
}


def decode_other(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """A still of one of the rarer formats that Pillow knows by their magic bytes.

    Raises:
        UnknownContentType: it is none of them.
        DecodeError: it is one, but damaged or beyond the limits.
    """
    from PIL import Image, UnidentifiedImageError

    kind, notes = "image/*", list[str]()
    with refused(kind), kept_quiet(notes):
        try:
            picture = Image.open(io.BytesIO(data), formats=list(_OTHERS))
        except UnidentifiedImageError as error:
            raise UnknownContentType("no decoder knows these bytes; convert the file, or register one") from error
        kind = _OTHERS[picture.format or ""]
        limits.check_pixels(*picture.size, content_type=kind)
        load(picture, kind, notes)
    lossy = kind == "image/jp2"
    return as_raster(picture, content_type=kind, codec=(picture.format or "").lower(), lossy=lossy, notes=notes)
