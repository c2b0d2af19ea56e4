"""FFmpeg through PyAV: a container to open and list, a decoder that runs forward. The only file that imports PyAV."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast

import av
import av.error
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from smalti.codecs.clipindex import ClipIndex, Coded
from smalti.codecs.limits import Limits
from smalti.codecs.lossless import vp9_is_lossless
from smalti.codecs.ranges import ByteView, ClipBytes
from smalti.codecs.sniff import HEAD_BYTES
from smalti.errors import DecodeError

if TYPE_CHECKING:
    from av.packet import Packet

    VideoPacket: TypeAlias = Packet[VideoStream]

__all__ = ["DEMUXERS", "Film", "Run", "refusing"]

# FFmpeg is told the container and never left to guess: some of its guesses (playlists) open other files and URLs.
DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/mp2t": "mpegts",
    "video/mpeg": "mpeg",
    "video/ogg": "ogg",
    "video/x-flv": "flv",
    "video/x-yuv4mpeg": "yuv4mpegpipe",
    "video/x-motion-jpeg": "mjpeg",
}
MOTION_JPEG = frozenset({"video/x-motion-jpeg", "video/x-mjpeg", "video/mjpeg"})
CLOCKLESS = frozenset({"avi", "mpegvideo"})
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders drop the alpha of WebM
BUFFER_BYTES = 1 << 16
SEEK_COST = 4  # a seek costs about as much as decoding this many pictures
NOTHING_GIVEN = -(1 << 63)
EVERYTHING_GIVEN = (1 << 63) - 1


def _refuse_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a clip may not open other files")


def _is_vp8_hidden(packet: "VideoPacket") -> bool:
    """Whether a VP8 packet is a reference that is never shown: WebM gives it a time like any other."""
    return not memoryview(packet)[0] & 0x10


class Film:
    """What is fixed about a clip: its bytes, how to open them, which stream to read.

    Attributes:
        size_hw: (height, width) in pixels.
        codec: FFmpeg's name of the codec.
        keeps_samples: whether every coded picture says that nothing was lost; known for VP9 only, and after `scan`.
    """

    def __init__(self, source: ClipBytes, uri: str | None, content_type: str, limits: Limits) -> None:
        self.source = source
        self.uri = uri
        self.name = uri or "clip"
        self.content_type = content_type
        self.limits = limits
        self.demuxer = DEMUXERS[content_type]
        if content_type == "video/mpeg" and source.read_at(0, 4) == b"\0\0\x01\xb3":
            self.demuxer = "mpegvideo"
        if self.demuxer == "mov":
            source.hold_headers()
        self._first: tuple[InputContainer, ByteView] | None = self.open()
        stream = self._choose(self._first[0])
        self._stream_index = stream.index
        self.keeps_samples = False
        self.size_hw = stream.height, stream.width
        self.codec = stream.codec_context.codec.canonical_name
        limits.check_pixels(stream.width, stream.height, content_type=content_type)

    def error(self, message: str) -> DecodeError:
        """What went wrong with this clip."""
        return DecodeError(f"{self.name}: {message}", uri=self.uri, content_type=self.content_type)

    def take(self) -> tuple[InputContainer, ByteView, VideoStream]:
        """A container at its start, its own view and the stream to read; the caller closes it."""
        container, view = self._first or self.open()
        self._first = None
        return container, view, self._mute(container)

    def close(self) -> None:
        """Lets go of the container that nobody took."""
        if self._first is not None:
            self._first[0].close()
            self._first = None

    def open(self, *, blank: bool = False) -> tuple[InputContainer, ByteView]:
        """A container of its own; `blank` lists coded pictures without reading them (MP4 and MOV only)."""
        view = self.source.view(blank=blank)
        options = {"protocol_whitelist": "pipe", "max_pixels": str(min(self.limits.max_pixels, (1 << 31) - 1))}
        own = {}
        if blank:  # without its parsers FFmpeg passes on the times that the container holds, whatever the payload is
            own = {"fflags": "nofillin+noparse", "probesize": "32"}
        elif self.demuxer == "mov":  # the tables say nearly all: one picture is enough to learn the rest
            own = {"probesize": "4096"}
        with refusing(self, f"opening as {self.content_type}"):
            try:
                container = av.open(
                    view,
                    "r",
                    format=self.demuxer,
                    options=options,
                    container_options=own,
                    metadata_errors="replace",
                    buffer_size=BUFFER_BYTES,
                    io_open=_refuse_open,
                )
            except av.error.FFmpegError:
                view.raise_error()
                raise
        view.raise_error()
        return container, view

    def _choose(self, container: InputContainer) -> VideoStream:
        """The default video stream; of several the largest, then the first. Cover art is none."""
        films = [
            stream
            for stream in container.streams.video
            if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
        ]
        if not films:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no streams"
            raise self.error(
                f"no video stream that can be decoded, the {self.content_type} file has {kinds}; "
                "name a clip, or install a PyAV that knows its codec"
            )
        return max(
            films,
            key=lambda film: (bool(film.disposition & Disposition.default), film.width * film.height, -film.index),
        )

    def _mute(self, container: InputContainer) -> VideoStream:
        """The chosen stream of a container; the demuxer need not read the others."""
        for stream in container.streams:
            if stream.index != self._stream_index:
                stream.discard = Discard.all
        return cast(VideoStream, container.streams[self._stream_index])

    def scan(self) -> tuple[ClipIndex, tuple[str, ...]]:
        """The index, and notes: coded pictures are listed, nothing is decoded."""
        is_vp8, keeps = self.codec == "vp8", self.codec == "vp9"
        container, view = self.open(blank=self.demuxer == "mov" and not is_vp8 and not keeps)
        coded: list[Coded] = []
        notes: tuple[str, ...] = ()
        with container:
            stream = self._mute(container)
            tick = stream.time_base
            try:
                for packet in container.demux(stream):
                    if packet.size:
                        shown = not (packet.is_discard or (is_vp8 and _is_vp8_hidden(packet)))
                        keeps = keeps and vp9_is_lossless(bytes(memoryview(packet)))
                        times = packet.pts, packet.dts, packet.pos, packet.duration or 0
                        coded.append(Coded(*times, is_key=packet.is_keyframe, is_shown=shown))
            except av.error.FFmpegError as error:
                notes = (f"the clip breaks off after {len(coded)} coded pictures: {error.strerror}",)
            view.raise_error()
            self.keeps_samples = keeps
            if stream.frames > len(coded):
                notes = (*notes, f"the header announces {stream.frames} pictures, {len(coded)} are in the file")
        if not any(item.is_shown for item in coded) or tick is None:
            raise self.error(
                f"the {self.codec} stream of this {self.content_type} file lists no pictures; "
                "it is the header of a segmented stream, or cut short"
            )
        return ClipIndex.build(coded, tick, has_clock=self.demuxer not in CLOCKLESS), notes


@contextmanager
def refusing(film: Film, doing: str) -> Iterator[None]:
    """FFmpeg's errors become DecodeError."""
    try:
        yield
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        kind = film.content_type
        message = f"{doing} failed, FFmpeg says {reason!r}; the file is damaged, cut short or not {kind}"
        raise film.error(message) from error


class Run:
    """One open decoder that runs forward from a key frame and gives pictures in the order of their times."""

    def __init__(self, film: Film, index: ClipIndex, threads: int) -> None:
        self._film = film
        self._index = index
        self._threads = threads
        self._key_at = {(index.coded[key].pts, index.coded[key].offset): key for key in index.keys.tolist()}
        self.key_bytes = b""
        self._open()

    def _open(self) -> None:
        self._container, self._view, self._stream = self._film.take()
        self._context = self._decoder()
        self._start(0)

    def _decoder(self) -> VideoCodecContext:
        context: VideoCodecContext = self._stream.codec_context
        name = ALPHA_DECODERS.get(context.codec.canonical_name)
        if name and self._stream.metadata.get("alpha_mode") == "1" and name in av.codecs_available:
            context = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
        context.thread_count = self._threads
        if self._threads != 1:
            context.thread_type = "AUTO"
        context.options = {"max_pixels": str(min(self._film.limits.max_pixels, (1 << 31) - 1))}
        return context

    def _start(self, position: int) -> None:
        self._packets: Iterator[VideoPacket] = iter(self._container.demux(self._stream))
        self._position = position  # of the packet that is fed next
        self._given = NOTHING_GIVEN  # the latest time that was given or passed over
        self._ready: deque[VideoFrame] = deque()
        self._counted = 0
        self._ended = False
        self.faults: list[str] = []

    @property
    def extradata(self) -> bytes:
        """The codec's header as the container has it."""
        return self._stream.codec_context.extradata or b""

    def close(self) -> None:
        """Lets go of the decoder and the container."""
        self._packets = iter(())
        self._ready.clear()
        self._container.close()

    def reaches(self, number: int, key: int) -> bool:
        """Whether going on gets to a picture no later than a seek to `key` would."""
        return int(self._index.ticks[number]) > self._given and self._position >= key - SEEK_COST

    def seek(self, key: int) -> None:
        """Goes to a coded picture at which decoding can start, or earlier where the container cannot."""
        found = self._jump(self._index.coded[key])
        if found is None or found[1] > key:
            self._container.close()
            self._open()
            return
        self._start(found[1])
        self._packets = _chain(found[0], self._packets)

    def _jump(self, to: Coded) -> tuple["VideoPacket", int] | None:
        """Seeks; returns the first known key packet and its position. Matroska looks up pts, the others dts."""
        at = to.pts if self._film.demuxer == "matroska" else to.dts
        if at is None or self._index.counted:
            return None
        try:
            self._container.seek(at, stream=self._stream)
            self._context.flush_buffers()
            for packet in self._container.demux(self._stream):
                self._view.raise_error()
                key = self._key_at.get((packet.pts, packet.pos))
                if packet.size and key is not None:
                    return packet, key
        except av.error.FFmpegError:
            pass  # a container that cannot be sought is read from its start
        self._view.raise_error()
        return None

    def peek(self) -> None:
        """Reads the next packet, so that `key_bytes` are known; it is decoded later."""
        packet = next(self._packets, None)
        self._view.raise_error()
        if packet is not None:
            self._keep(packet)
            self._packets = _chain(packet, self._packets)

    def _keep(self, packet: "VideoPacket") -> None:
        if not self.key_bytes and packet.size and packet.is_keyframe:
            self.key_bytes = bytes(memoryview(packet)[:HEAD_BYTES])

    def until(self, number: int) -> VideoFrame | None:
        """Decodes forward to picture `number`; None if it does not come."""
        wanted = int(self._index.ticks[number])
        while True:
            while self._ready:
                frame = self._ready[0]
                tick = self._tick(frame)
                if tick is not None and tick > wanted:
                    self._given = EVERYTHING_GIVEN  # a picture is missing: only a new start can be trusted
                    return None
                self._ready.popleft()
                self._counted += 1
                if tick == wanted:
                    self._given = wanted
                    return frame
            if self._ended:
                self._given = EVERYTHING_GIVEN
                return None
            self._feed(wanted)

    def _tick(self, frame: VideoFrame) -> int | None:
        """The time of the first frame that is ready."""
        if not self._index.counted:
            return frame.pts
        return int(self._index.ticks[self._counted]) if self._counted < len(self._index.ticks) else None

    def _feed(self, wanted: int) -> None:
        try:
            packet = next(self._packets, None)
            while packet is not None and not packet.size and not _is_last(packet):
                packet = next(self._packets, None)
        except av.error.FFmpegError as error:
            self.faults.append(str(error.strerror))
            packet = None
        self._view.raise_error()
        self._ended = packet is None or not packet.size
        if packet is not None and packet.size:
            self._keep(packet)
            self._position += 1
            self._skip_references(packet, wanted)
        try:
            self._ready.extend(self._context.decode(None if self._ended else packet))
        except av.error.FFmpegError as error:
            self.faults.append(error.strerror or type(error).__name__)

    def _skip_references(self, packet: "VideoPacket", wanted: int) -> None:
        """On the way to a later picture those that nobody refers to need no decoding. In H.264; other codecs differ."""
        if self._context.name != "h264" or self._index.counted:
            return
        skip: Literal["NONREF", "DEFAULT"] = "NONREF" if packet.pts is not None and packet.pts < wanted else "DEFAULT"
        if self._context.skip_frame != skip:
            self._context.skip_frame = skip


def _is_last(packet: "VideoPacket") -> bool:
    """Whether this is the empty packet with which PyAV ends a stream; some files have empty packets in between."""
    return packet.pts is None and packet.dts is None


def _chain(first: "VideoPacket", others: Iterator["VideoPacket"]) -> Iterator["VideoPacket"]:
    yield first
    yield from others
