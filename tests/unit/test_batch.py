"""Many masks at once: order, errors at their item, clips in one pass, bounded memory."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.clips import encode

from smalti import FrameGroup, LabelMap, Legend, SingleFrame, batch, decode_masks, label_maps, open_clips, storage
from smalti.batch import CHUNK, MaskJob
from smalti.codecs.clip import Clip
from smalti.errors import DecodeError, MaskReferenceError, TimestampError

LEGEND = Legend({(10 * n, 20, 200): f"c{n}" for n in range(1, 20)})


def png(number: int, size_hw: tuple[int, int] = (6, 9)) -> bytes:
    """A mask whose every pixel is of class `number`."""
    out = io.BytesIO()
    Image.fromarray(np.full((*size_hw, 3), (10 * number, 20, 200), np.uint8)).save(out, "PNG")
    return out.getvalue()


def picture(number: int) -> NDArray[np.uint8]:
    return np.full((32, 48, 3), (10 * number, 20, 200), np.uint8)


def numbers(maps: Any) -> list[int]:
    return [int(found.data[0, 0]) for found in maps]


@pytest.fixture(autouse=True)
def no_open_clips() -> Iterator[None]:
    yield
    open_clips.close_clips()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_maps_come_in_the_order_of_the_items(workers: int) -> None:
    wanted = [n % 19 + 1 for n in range(60)]
    assert numbers(decode_masks([(png(n), LEGEND) for n in wanted], workers=workers)) == wanted


def test_items_are_bytes_tuples_jobs_and_files(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(png(4))
    clip = encode([picture(n) for n in (1, 2, 3)], codec="ffv1", container="matroska", pixels="bgr0")
    items = [
        png(3),
        (png(5), LEGEND),
        (clip, LEGEND, 40),
        MaskJob(clip, LEGEND, at_ms=80),
        (tmp_path / "m.png", LEGEND),
        MaskJob(str(tmp_path / "m.png"), LEGEND),
    ]
    found = list(decode_masks(items, workers=2))
    assert found[0].legend.kind == "ids"
    assert numbers(found[1:]) == [5, 2, 3, 4, 4]
    assert [f.pts_ms for f in found[2:4]] == [40, 80]


def test_an_error_comes_out_at_its_item_and_says_which() -> None:
    found = decode_masks([(png(1), LEGEND), (b"not a picture", LEGEND), (png(2), LEGEND)], workers=2)
    assert next(found).data[0, 0] == 1
    with pytest.raises(DecodeError, match=r"^items\[1\]: "):
        next(found)
    assert list(found) == []


def test_errors_may_be_skipped_or_replaced() -> None:
    items = [(png(1), LEGEND), (b"", LEGEND), ("nowhere.png", LEGEND), (png(2), LEGEND)]
    assert numbers(decode_masks(items, on_error="skip")) == [1, 2]
    seen: list[tuple[int, str]] = []

    def note(position: int, error: Exception) -> LabelMap | None:
        seen.append((position, str(error)))
        return LabelMap(np.full((1, 1), 9, np.uint8), LEGEND) if position == 1 else None

    assert numbers(decode_masks(items, on_error=note)) == [1, 9, 2]
    assert [position for position, _ in seen] == [1, 2]
    assert seen[0][1].startswith("items[1]: ")
    assert seen[1][1].startswith("items[2]: nowhere.png")


def test_an_error_that_ends_a_run_names_each_of_its_items(tmp_path: Path) -> None:
    messages: list[str] = []
    items = [(tmp_path / "gone.mp4", LEGEND, 40 * n) for n in range(3)]
    assert list(decode_masks(items, on_error=lambda _n, error: messages.append(str(error)))) == []
    assert [message.split(":")[0] for message in messages] == ["items[0]", "items[1]", "items[2]"]
    assert all("items[" not in message[9:] for message in messages)


def test_items_are_drawn_lazily_and_memory_is_bounded() -> None:
    drawn = 0

    def endless() -> Iterator[tuple[bytes, Legend]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield png(1), LEGEND

    maps = decode_masks(endless(), workers=2)
    for _ in range(40):
        next(maps)
    assert drawn <= 40 + 2 * CHUNK * 2
    maps.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("smalti")]


def test_what_is_no_fault_of_a_mask_is_never_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_options: Any) -> LabelMap:
        raise ZeroDivisionError

    monkeypatch.setattr(batch, "decode_mask", broken)
    with pytest.raises(ZeroDivisionError):
        list(decode_masks([(png(1), LEGEND)], on_error="skip"))


def clip_frames(path: Path, times_ms: list[float]) -> list[SingleFrame]:
    frames = []
    for at_ms in times_ms:
        frame = SingleFrame("image.jpg", mask_source=path)
        frame.source_record.masks[0].timestamp = at_ms
        frames.append(frame)
    return frames


def test_pictures_of_a_clip_are_read_in_one_forward_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.mkv"
    path.write_bytes(encode([picture(n) for n in range(1, 16)], codec="ffv1", container="matroska", pixels="bgr0"))
    asked: list[float] = []
    opened: list[str | None] = []
    at, init = Clip.at, Clip.__init__

    def noting(self: Clip, at_ms: float, **options: Any) -> Any:
        asked.append(at_ms)
        return at(self, at_ms, **options)

    def opening(self: Clip, *args: Any, **options: Any) -> None:
        opened.append(options.get("uri"))
        init(self, *args, **options)

    monkeypatch.setattr(Clip, "at", noting)
    monkeypatch.setattr(Clip, "__init__", opening)
    order = [6, 0, 12, 3, 9, 1, 14, 2]
    found = label_maps(clip_frames(path, [40.0 * n for n in order]), legend=LEGEND, workers=2)
    assert numbers(found) == [n + 1 for n in order]
    assert asked == sorted(asked)
    assert opened == [str(path)]


@pytest.mark.parametrize("lossy", ["auto", "nearest", "exact"])
def test_a_batch_gives_what_each_frame_gives(tmp_path: Path, lossy: Any) -> None:
    path = tmp_path / "m.mp4"
    rng = np.random.default_rng(0)
    pictures = [np.kron(rng.integers(1, 20, (4, 6)), np.ones((8, 8), int)) for _ in range(30)]
    path.write_bytes(encode([np.stack([10 * p, 0 * p + 20, 0 * p + 200], 2).astype(np.uint8) for p in pictures]))
    frames = clip_frames(path, [40.0 * n for n in range(30)])
    single = [frame.label_map(legend=LEGEND, lossy=lossy) for frame in frames]
    open_clips.close_clips()
    for one, many in zip(single, label_maps(frames, legend=LEGEND, lossy=lossy, workers=2), strict=True):
        assert np.array_equal(one.data, many.data)
        assert (one.policy, one.settled, one.notes, one.pts_ms) == (many.policy, many.settled, many.notes, many.pts_ms)


def test_a_time_outside_the_clip_is_an_error_of_its_frame_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    path.write_bytes(encode([picture(1), picture(2)], codec="ffv1", container="matroska", pixels="bgr0"))
    frames = clip_frames(path, [0, 9000, 40])
    assert numbers(label_maps(frames, legend=LEGEND, on_error="skip")) == [1, 2]
    maps = label_maps(frames, legend=LEGEND)
    next(maps)
    with pytest.raises(TimestampError, match=r"^frames\[1\] \(") as caught:
        next(maps)
    assert str(path) in str(caught.value)


def test_a_frame_without_its_mask_is_an_error_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(png(3))
    good = SingleFrame("a.jpg", mask_source=tmp_path / "m.png")
    maps = label_maps([good, SingleFrame("b.jpg"), good], legend=LEGEND)
    assert next(maps).data[0, 0] == 3
    with pytest.raises(MaskReferenceError, match=r"^frames\[1\]"):
        next(maps)


def test_frames_bring_their_own_legends_and_groups_their_masks(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(png(3))
    frame = SingleFrame("a.jpg", mask_source=tmp_path / "m.png")
    frame.add_annotation(mask_rgb=(30, 20, 200), labels=["three"])
    group = FrameGroup({"left": frame})
    for found in label_maps([frame, group, frame]):
        assert found.counts() == {"three": 54}


def test_remote_masks_are_fetched_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(1, 6):
        storage.put(f"memory://masks/{n}.png", png(n))
    together: list[int] = []
    many = storage.fetch_many

    def noting(uris: Any, **options: Any) -> Any:
        together.append(len(uris))
        return many(uris, **options)

    monkeypatch.setattr(storage, "fetch_many", noting)
    items = [(f"memory://masks/{n}.png", LEGEND) for n in (1, 2, 3, 7, 4, 5)]
    assert numbers(decode_masks(items, workers=2, on_error="skip")) == [1, 2, 3, 4, 5]
    assert together == [6]
