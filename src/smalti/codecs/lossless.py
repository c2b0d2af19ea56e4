"""Whether a video codec kept every sample: by its nature, or because the stream's own header says so."""

from collections.abc import Iterator

__all__ = ["is_lossless", "vp9_is_lossless"]

# Codecs that cannot lose anything. rawvideo and its kin are here too: nothing is coded, so nothing is lost.
ALWAYS = frozenset(
    {"apng", "bmp", "ffv1", "ffvhuff", "flashsv", "flic", "gif", "huffyuv", "hymt", "lagarith", "loco", "magicyuv"}
    | {"msrle", "pam", "png", "ppm", "qtrle", "r10k", "r210", "rawvideo", "sheervideo", "targa", "utvideo", "v210"}
    | {"v308", "v408", "v410", "wrapped_avframe", "y41p", "ylc", "yuv4", "zerocodec", "zlib", "zmbv"}
)
HIGH_444 = 244
SRGB = 7


class Bits:
    """Reads a bit string from the left; bits beyond the end raise EOFError."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self._left:
            raise EOFError("the header ends early")
        self._left -= count
        return (self._number >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """The next Exp-Golomb number, ue(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def is_lossless(codec: str, extradata: bytes, key_packet: bytes) -> bool:
    """True only where it is certain that the decoder returns the samples that the encoder was given.

    H.264 says so in its sequence header: without "qpprime_y_zero_transform_bypass" every block goes through a rounding
    transform, and encoders set it for lossless streams only. So libx264rgb at crf 18 is lossy and at qp 0 is not, which
    the pixel format alone cannot tell. HEVC and AV1 are taken as lossy; VP9 see `vp9_is_lossless`.

    Args:
        codec: FFmpeg's name of the codec ("h264", "ffv1").
        extradata: the stream's header as the container has it, may be empty.
        key_packet: the first key frame as coded.
    """
    if codec in ALWAYS:
        return True
    if codec != "h264":
        return False
    try:
        headers = list(_h264_headers(extradata)) or list(_annex_b(key_packet))
        return bool(headers) and all(_h264_bypasses_transform(header) for header in headers)
    except (EOFError, IndexError):
        return False  # a header that cannot be read proves nothing


def vp9_is_lossless(packet: bytes) -> bool:
    """Whether every VP9 frame in a packet is coded without loss. Rate control may choose that for single frames only."""
    try:
        return all(_vp9_frame_is_lossless(frame) for frame in _vp9_frames(packet))
    except (EOFError, IndexError):
        return False


def _h264_headers(extradata: bytes) -> Iterator[bytes]:
    """The sequence parameter sets of an avcC box or of Annex B bytes."""
    if not extradata or extradata[0] != 1:
        yield from _annex_b(extradata)
        return
    at = 6
    for _ in range(extradata[5] & 31):
        length = int.from_bytes(extradata[at : at + 2], "big")
        yield extradata[at + 2 : at + 2 + length]
        at += 2 + length


def _annex_b(data: bytes) -> Iterator[bytes]:
    """The sequence parameter sets among units that start with 00 00 01."""
    return (unit for unit in data.split(b"\0\0\1")[1:] if unit and unit[0] & 31 == 7)


def _h264_bypasses_transform(header: bytes) -> bool:
    bits = Bits(header[1:64].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    if profile != HIGH_444:
        return False
    bits.take(16)  # constraint flags and level
    bits.golomb()  # the header's id
    if bits.golomb() == 3:  # chroma format 4:4:4 (also RGB)
        bits.take(1)  # separate colour planes
    bits.golomb()  # luma depth
    bits.golomb()  # chroma depth
    return bool(bits.take(1))


def _vp9_frames(packet: bytes) -> Iterator[bytes]:
    """The frames of a packet: usually one, but a superframe also carries references that are never shown."""
    marker = packet[-1]
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    table = packet[-(2 + count * width) :]
    if marker >> 5 != 6 or table[0] != marker:
        yield packet
        return
    start = 0
    for number in range(count):
        length = int.from_bytes(table[1 + number * width : 1 + (number + 1) * width], "little")
        if length:
            yield packet[start : start + length]
        start += length


def _vp9_frame_is_lossless(frame: bytes) -> bool:
    """Reads the uncompressed header up to the quantizer."""
    bits = Bits(frame[:64])
    if bits.take(2) != 2:
        return False
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3:
        bits.take(1)
    if bits.take(1):  # shows an earlier frame once more
        return True
    is_inter, is_shown, is_resilient = bits.take(1), bits.take(1), bits.take(1)
    is_intra_only = bool(is_inter and not is_shown and bits.take(1))
    if is_inter and not is_resilient:
        bits.take(2)
    if not is_inter or is_intra_only:
        if bits.take(24) != 0x498342:
            return False
        if not is_intra_only or profile:
            _vp9_skip_colors(bits, profile)
        bits.take(32 + 8 * is_intra_only)  # size, and which references are replaced
    else:
        bits.take(8 + 3 * 4)  # references: which are replaced, which are used
        if not any(bits.take(1) for _ in range(3)):  # as large as one of them
            bits.take(32)
    if bits.take(1):
        bits.take(32)  # size to render
    if is_inter and not is_intra_only:
        bits.take(1)
        if not bits.take(1):  # one interpolation filter for all
            bits.take(2)
    bits.take((0 if is_resilient else 2) + 2 + 6 + 3)  # contexts, filter level, sharpness
    if bits.take(1) and bits.take(1):  # loop filter deltas, and they change
        for _ in range(6):
            if bits.take(1):
                bits.take(7)
    return not bits.take(8) and not any(bits.take(1) and bits.take(5) >> 1 for _ in range(3))


def _vp9_skip_colors(bits: Bits, profile: int) -> None:
    if profile >= 2:
        bits.take(1)  # 10 or 12 bits
    if bits.take(3) != SRGB:
        bits.take(1 + (3 if profile & 1 else 0))  # range, subsampling
    elif profile & 1:
        bits.take(1)
