"""Video clips: the picture at a time, exactly.

Times are milliseconds on the clip's own clock, the presentation times that its container gives (edit lists applied): a
clip whose first picture is shown at 1075 ms has no picture at 0 ms. `ClipIndex.nearest` is the one rule from a time to
a picture. Pictures are found by their presentation times, never by counting frames times a rate.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Self

from numpy import float64
from numpy.typing import NDArray

from smalti.codecs.film import DEMUXERS, Film, Run, refusing
from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.lossless import is_lossless
from smalti.codecs.planes import FrameFacts, raster_of
from smalti.codecs.ranges import ClipBytes
from smalti.codecs.raster import Raster
from smalti.codecs.sniff import HEAD_BYTES, normalise, sniff
from smalti.errors import DecodeError, UnknownContentType

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["Clip"]

MOTION_JPEG = frozenset({"video/x-motion-jpeg", "video/x-mjpeg", "video/mjpeg"})


class Clip:
    """A video whose pictures are asked for by time.

    Opening lists the coded pictures and decodes nothing; of an MP4 or MOV file only the tables are read for that, of
    the other containers the whole file. One decoder stays open and goes on forward where that is shorter than a seek.
    A clip may be shared between threads, not between processes.

    Args:
        data: the whole file, or a seekable binary file object that reads no more than asked; `close` leaves it open.
        content_type: as recorded, in any spelling; the bytes decide where they can.
        uri: only for messages.
        limits: bound on the pixels of a picture.
        threads: decoder threads for single pictures. One is the quickest for short ways; 0 means one a core.

    Raises:
        UnknownContentType: the bytes are no clip that smalti reads.
        DecodeError: the file is damaged, has no pictures or is beyond the limits.
    """

    def __init__(
        self,
        data: bytes | BinaryIO,
        *,
        content_type: str | None = None,
        uri: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        threads: int = 1,
    ) -> None:
        source = ClipBytes(data)
        declared, head = normalise(content_type), source.read_at(0, HEAD_BYTES)
        found = sniff(head)
        if declared in MOTION_JPEG and found == "image/jpeg":
            found = "video/x-motion-jpeg"
        name = uri or "clip"
        if found not in DEMUXERS:
            raise UnknownContentType(
                f"{name}: the bytes are {found or 'of no known format'}, a clip is needed "
                f"({', '.join(sorted(DEMUXERS))}); decode stills with smalti.codecs.decode_still",
                content_type=found or declared,
                known=DEMUXERS,
            )
        self._film = Film(source, uri, found, limits)
        self._index, notes = self._film.scan()
        self.size_hw, self.codec = self._film.size_hw, self._film.codec
        if declared not in (None, found, "video/*") and declared not in MOTION_JPEG:
            notes = (f"the record says {declared}, the bytes are {found} and were read as that", *notes)
        self.notes: tuple[str, ...] = notes
        self.content_type = found
        self._threads = threads
        self._lock = threading.RLock()
        self._run: Run | None = None
        self._latest: tuple[int, Raster] | None = None
        self._is_lossy: bool | None = None
        self._pts_ms: NDArray[float64] | None = None
        self._process = os.getpid()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self._index.ticks)

    def __repr__(self) -> str:
        height, width = self.size_hw
        return (
            f"Clip({self.codec} {height}×{width}, {len(self)} pictures, {self.first_ms:.3f} to {self.last_ms:.3f} ms)"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Clip holds an open decoder and cannot be pickled; pass its bytes or URI and open it again")

    @property
    def pts_ms(self) -> NDArray[float64]:
        """(n,) presentation times of every picture in milliseconds, ascending; read-only."""
        if self._pts_ms is None:
            self._pts_ms = self._index.pts_ms
            self._pts_ms.flags.writeable = False
        return self._pts_ms

    @property
    def key_ms(self) -> NDArray[float64]:
        """(k,) presentation times of the key frames in milliseconds, ascending."""
        return self._index.key_ms

    @property
    def first_ms(self) -> float:
        """When the first picture is shown."""
        return self._index.to_ms(int(self._index.ticks[0]))

    @property
    def last_ms(self) -> float:
        """When the last picture is shown."""
        return self._index.to_ms(int(self._index.ticks[-1]))

    @property
    def rotation(self) -> int:
        """Clockwise degrees (0 to 359) that the container asks a player to turn pictures by; never applied here."""
        with self._lock:
            return self._picture(0).rotation if self._latest is None else self._latest[1].rotation

    @property
    def lossy(self) -> bool:
        """False where the codec certainly kept its samples (see codecs/lossless.py).

        That says nothing of a conversion before the codec: colours written as YUV were rounded by it even so.
        """
        with self._lock:
            if self._is_lossy is None:
                run = self._opened()
                if not run.key_bytes:
                    run.peek()
                kept = self._film.keeps_samples or is_lossless(self.codec, run.extradata, run.key_bytes)
                self._is_lossy = not kept
            return self._is_lossy

    def resolve_pts(self, at_ms: float, *, clamp: bool = False) -> float:
        """The time of the picture that is nearest to `at_ms`, the earlier of two equally near ones.

        Raises:
            TimestampError: `at_ms` is further outside the clip than half the first or last picture's duration, and
                `clamp` is not set.
        """
        return self._index.to_ms(int(self._index.ticks[self._index.nearest(at_ms, self._film.name, clamp=clamp)]))

    def at(self, at_ms: float, *, clamp: bool = False) -> Raster:
        """The picture that is nearest to `at_ms` (see `resolve_pts`); `Raster.pts_ms` says which that is.

        Raises:
            TimestampError: as in `resolve_pts`.
            DecodeError: the picture is damaged beyond decoding.
        """
        number = self._index.nearest(at_ms, self._film.name, clamp=clamp)
        with self._lock:
            return self._picture(number)

    def at_many(self, at_ms: Iterable[float], *, clamp: bool = False) -> list[Raster]:
        """The pictures at several times, in the order asked, read in one forward pass.

        All are held at once, each once however often it is asked for: for a whole clip iterate over `rasters()`.

        Raises:
            TimestampError: as in `resolve_pts`, before anything is decoded.
            DecodeError: a picture is damaged beyond decoding.
        """
        numbers = [self._index.nearest(moment, self._film.name, clamp=clamp) for moment in at_ms]
        with self._lock:
            pictures = {number: self._picture(number) for number in sorted(set(numbers))}
        return [pictures[number] for number in numbers]

    def rasters(self, *, threads: int = 0) -> Iterator[Raster]:
        """Every picture in order, from a decoder of its own, so that `at` may be called meanwhile.

        Args:
            threads: decoder threads, 0 for one a core.
        """
        self._check_alive()
        lossy = self.lossy
        run = Run(self._film, self._index, threads)
        try:
            for number in range(len(self)):
                frame = run.until(number)
                if frame is None:
                    raise self._missing(number, run)
                yield self._raster(number, frame, run, lossy)
        finally:
            run.close()

    def close(self) -> None:
        """Lets go of the decoder; pictures already given stay valid."""
        with self._lock:
            self._closed = True
            self._latest = None
            self._film.close()
            if self._run is not None:
                self._run.close()
                self._run = None

    def _check_alive(self) -> None:
        if self._closed:
            raise ValueError(f"{self._film.name}: this clip is closed; open it again")
        if self._process != os.getpid():
            raise RuntimeError(f"{self._film.name}: this clip was opened in another process; open it in each process")

    def _opened(self) -> Run:
        self._check_alive()
        if self._run is None:
            self._run = Run(self._film, self._index, self._threads)
        return self._run

    def _picture(self, number: int) -> Raster:
        """Picture `number`: the latest again, or further forward, or from the key frame before, or from the start."""
        run = self._opened()
        if self._latest is not None and self._latest[0] == number:
            return self._latest[1]
        try:
            lossy = self.lossy
            key = self._index.key_before(number)
            if not run.reaches(number, key):
                run.seek(key)
            frame = run.until(number)
            if frame is None:
                run.seek(0)
                frame = run.until(number)
        except OSError:  # of the file, not of the clip: a decoder that missed bytes must not go on
            run.close()
            self._run = None
            raise
        if frame is None:
            raise self._missing(number, run)
        raster = self._raster(number, frame, run, lossy)
        self._latest = number, raster
        return raster

    def _raster(self, number: int, frame: "VideoFrame", run: Run, lossy: bool) -> Raster:
        notes = self.notes
        if run.faults or frame.is_corrupt:
            notes = (
                *notes,
                f"the clip is damaged near this picture: {', '.join(set(run.faults)) or 'errors concealed'}",
            )
        facts: FrameFacts = {
            "lossy": lossy,
            "content_type": self.content_type,
            "rotation": round(-frame.rotation) % 360,
            "pts_ms": self._index.to_ms(int(self._index.ticks[number])),
            "codec": self.codec,
            "notes": notes,
        }
        with refusing(self._film, f"reading {frame.format.name} pictures"):
            return raster_of(frame, facts)

    def _missing(self, number: int, run: Run) -> DecodeError:
        moment = self._index.to_ms(int(self._index.ticks[number]))
        reason = ", ".join(sorted(set(run.faults))) or "the decoder gives none for it"
        return self._film.error(
            f"the picture at {moment:.3f} ms is listed but cannot be decoded ({reason}); "
            "the file is damaged or cut short"
        )
