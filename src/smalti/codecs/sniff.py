"""What bytes are, told from their first bytes, and the one spelling of every content type."""

__all__ = ["HEAD_BYTES", "SNIFFED", "is_video", "normalise", "sniff"]

# Enough for the DocType of a Matroska header and the second packet of a transport stream.
HEAD_BYTES = 4096

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"OggS", "video/ogg"),
    (b"FLV\x01", "video/x-flv"),
    (b"YUV4MPEG2", "video/x-yuv4mpeg"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
)
_STILL_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic"}
# Top-level boxes that QuickTime files without an ftyp box begin with.
_BARE_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

SNIFFED = frozenset(
    {content_type for _, content_type in _MAGIC}
    | set(_STILL_BRANDS.values())
    | {"image/webp", "image/bmp", "image/x-portable-anymap", "video/x-msvideo", "video/mp4", "video/quicktime"}
    | {"video/webm", "video/x-matroska", "video/mp2t"}
)

_ALIASES = {
    "png": "image/png",
    "apng": "image/png",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "image/vnd.mozilla.apng": "image/png",
    "jpg": "image/jpeg",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-jpeg": "image/jpeg",
    "bmp": "image/bmp",
    "dib": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "image/tif": "image/tiff",
    "image/x-tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "image/geotiff": "image/tiff",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "image/avif-sequence": "image/avif",
    "heic": "image/heic",
    "heif": "image/heic",
    "image/heif": "image/heic",
    "jp2": "image/jp2",
    "j2k": "image/jp2",
    "image/j2k": "image/jp2",
    "image/jpeg2000": "image/jp2",
    "pbm": "image/x-portable-anymap",
    "pgm": "image/x-portable-anymap",
    "ppm": "image/x-portable-anymap",
    "pnm": "image/x-portable-anymap",
    "image/x-portable-bitmap": "image/x-portable-anymap",
    "image/x-portable-graymap": "image/x-portable-anymap",
    "image/x-portable-pixmap": "image/x-portable-anymap",
    "tga": "image/x-tga",
    "image/tga": "image/x-tga",
    "image/x-targa": "image/x-tga",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "video/m4v": "video/mp4",
    "video/x-m4v": "video/mp4",
    "application/mp4": "video/mp4",
    "video/h264": "video/mp4",
    "mov": "video/quicktime",
    "qt": "video/quicktime",
    "video/mov": "video/quicktime",
    "video/x-quicktime": "video/quicktime",
    "mkv": "video/x-matroska",
    "video/mkv": "video/x-matroska",
    "video/matroska": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "video/avi": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
    "video/vnd.avi": "video/x-msvideo",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "ts": "video/mp2t",
    "m2ts": "video/mp2t",
    "ogv": "video/ogg",
    "application/ogg": "video/ogg",
    "flv": "video/x-flv",
    "y4m": "video/x-yuv4mpeg",
    "image": "image/*",
    "video": "video/*",
}
# Types that servers hand out when they know nothing.
_MEANINGLESS = frozenset(
    {"", "*/*", "application/octet-stream", "binary/octet-stream", "application/x-binary", "unknown"}
)


def normalise(content_type: str | None) -> str | None:
    """The one spelling of a content type: "png" and "image/x-png" → "image/png"; None where nothing is said."""
    if content_type is None:
        return None
    name = content_type.split(";", 1)[0].strip().lower().removeprefix(".")
    if name in _MEANINGLESS:
        return None
    if name in _ALIASES:
        return _ALIASES[name]
    return name if "/" in name else f"image/{name}"


def sniff(head: bytes) -> str | None:
    """The content type that the first bytes of a file show (HEAD_BYTES are enough), or None."""
    head = bytes(head[:HEAD_BYTES])
    for magic, content_type in _MAGIC:
        if head.startswith(magic):
            return content_type
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12])
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm" if b"webm" in head[:128] else "video/x-matroska"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    if head[4:8] in _BARE_BOXES:
        return "video/quicktime"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#":
        return "image/x-portable-anymap"
    if head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] in (b"\x47", b""):
        return "video/mp2t"
    return None


def _sniff_brands(head: bytes) -> str:
    """Stills and clips share the ISO container: its major brand decides, then the compatible ones."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    if major in _STILL_BRANDS:
        return _STILL_BRANDS[major]
    if major == b"qt  ":
        return "video/quicktime"
    if major in (b"mif1", b"msf1", b"miaf"):
        brands = [head[at : at + 4] for at in range(16, size, 4)]
        return next((_STILL_BRANDS[brand] for brand in brands if brand in _STILL_BRANDS), "image/heic")
    return "video/mp4"


def is_video(content_type: str | None, head: bytes) -> bool:
    """Whether bytes are a clip: the bytes decide, the content type only where they say nothing."""
    found = sniff(head) or normalise(content_type) or ""
    return found.startswith("video/")
