"""Samples: the same window for image and mask, tiles of kept maps, remote files ahead of time, failures, clips."""

import importlib.util
import io
import logging
import pickle
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti import codecs, mask_reading, storage
from smalti.errors import DecodeError, FrameError, MissingExtra, QueryError
from smalti.feed import ahead
from smalti.feed.ambience import Ambience
from smalti.feed.arrays import batches, to_huggingface, write_webdataset
from smalti.feed.samples import Failure, Sample, Samples
from smalti.kept import KeptMaps
from smalti.order import Position, Shard

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
NAMES = {RED: "car", GREEN: "bus", BLUE: "pole"}


def save(folder: Path, number: int, mask: np.ndarray, image: np.ndarray | None = None, **more: Any) -> sm.SingleFrame:
    """A frame of two PNG files; by default the image is the mask, so that windows can be compared."""
    Image.fromarray(mask).save(folder / f"m{number}.png")
    Image.fromarray(mask if image is None else image).save(folder / f"i{number}.png")
    frame = sm.SingleFrame(
        str(folder / f"i{number}.png"),
        id=f"f{number:02d}",
        **{"context_id": "c", "mask_source": str(folder / f"m{number}.png"), **more},
    )
    for color, name in NAMES.items():
        frame.add_annotation(mask_rgb=color, labels=[name])
    return frame


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blocks of 5 pixels of the three colours and black."""
    colors = np.array([(0, 0, 0), *NAMES], np.uint8)
    small = np.random.default_rng(seed).integers(0, 4, (-(-height // 5), -(-width // 5)))
    return colors[small.repeat(5, 0).repeat(5, 1)[:height, :width]]


@pytest.fixture
def view(tmp_path: Path) -> sm.DataView:
    frames = [save(tmp_path, i, noise(40, 50, i)) for i in range(6)]
    return sm.DataView(frames).map_labels({"car": 1, "bus": 2, "pole": 3}, void=0)


def classes(image: np.ndarray) -> np.ndarray:
    """What the mask says where the image is the mask."""
    return sum(n * (image == color).all(-1) for n, color in enumerate(NAMES, 1)).astype(np.uint8)  # type: ignore[union-attr,return-value]


def test_one_number_is_a_square(view: sm.DataView) -> None:
    for size in (13, np.int64(13)):
        assert Samples(view, crop=size)[0].mask.shape == (13, 13)
    with pytest.raises(FrameError, match="crop is 0; give"):
        Samples(view, crop=0)


def test_a_label_to_crop_on_that_nothing_has_is_refused(view: sm.DataView) -> None:
    with pytest.raises(FrameError, match="crop_on is 'Kar', which nothing in list@frames is labelled; there are car"):
        Samples(view, crop=(9, 9), crop_on=["pole", "Kar"])
    with pytest.raises(FrameError, match="there are bus, car, pole"):
        Samples(view, crop=(9, 9), crop_on="zebra")
    assert Samples(view, crop=(9, 9), crop_on="bus").part([0, 2])[2].mask.shape == (9, 9)


@pytest.mark.parametrize("clip", [None, 3])
def test_an_error_names_the_frame_and_stays_what_it_is(view: sm.DataView, tmp_path: Path, clip: int | None) -> None:
    (tmp_path / "i1.png").unlink()
    samples = Samples(view, clip=clip)
    position = 1 if clip is None else 0
    for _ in range(2):
        with pytest.raises(FileNotFoundError) as caught:
            samples.load(position)
        assert caught.value.__notes__ == [f"this was frame 'f01' of list@frames, position {position} of the order"]
    (tmp_path / "m1.png").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        samples.mask(position)
    assert caught.value.__notes__ == [f"this was frame 'f01' of list@frames, position {position} of the order"]
    without = sm.SingleFrame(id="none")
    without.add_annotation(box2d_xywh=[0, 0, 1, 1], labels=["car"])
    nothing = Samples(sm.DataView([without]))
    for _ in range(2):
        with pytest.raises(FrameError) as missing:
            nothing.load(0)
        assert missing.value.__notes__ == ["this was frame 'none' of list@frames, position 0 of the order"]


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_window_is_the_same_for_image_and_mask_kept_or_not(view: sm.DataView, tmp_path: Path, is_kept: bool) -> None:
    shelf = KeptMaps(tmp_path / "kept") if is_kept else None
    plain = Samples(view, crop=(13, 17), seed=5, crop_on="pole")
    for _ in range(2):
        for position, truth in enumerate(Samples(view, crop=(13, 17), seed=5, crop_on="pole", kept=shelf)):
            assert truth.image.shape == (13, 17, 3)
            np.testing.assert_array_equal(truth.mask, classes(truth.image))
            np.testing.assert_array_equal(plain[position].image, truth.image)
    assert len({plain[i].image.tobytes() for i in range(6)}) == 6


def test_a_window_of_a_kept_map_reads_its_own_tiles_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = sm.DataView([save(tmp_path, 0, noise(600, 900))]).map_labels({"car": 1, "bus": 2, "pole": 3}, void=0)
    shelf, seeds = KeptMaps(tmp_path / "kept"), range(24)
    truths = [Samples(view, crop=(64, 64), kept=shelf, seed=seed)[0].mask for seed in seeds]
    (file,) = [path for path in (tmp_path / "kept" / "kept1" / "maps").rglob("*") if path.is_file()]
    whole = bytearray(file.read_bytes())
    whole[len(whole) * 5 // 9] ^= 255  # in a tile of the middle
    decoded: list[int] = []
    real = mask_reading.decode_mask
    monkeypatch.setattr(mask_reading, "decode_mask", lambda *a, **k: (decoded.append(1), real(*a, **k))[1])
    spared = 0
    for seed, truth in zip(seeds, truths, strict=True):
        file.write_bytes(whole)
        before = len(decoded)
        np.testing.assert_array_equal(Samples(view, crop=(64, 64), kept=shelf, seed=seed)[0].mask, truth)
        spared += len(decoded) == before
    assert 12 < spared < 24  # windows there met the damage, and the mask was decoded again


def test_windows_on_labels(view: sm.DataView, tmp_path: Path) -> None:
    mask = np.zeros((300, 300, 3), np.uint8)
    mask[150:170, 150:170] = RED
    mask[200, 40] = BLUE
    rare = sm.DataView([save(tmp_path, 9, mask)]).map_labels({"car": 1, "pole": 3})
    for kept in (None, tmp_path / "kept"):
        cut = [
            Samples(rare, crop=(21, 21), crop_on=["car", "pole", "bus"], crop_share=1, seed=s, kept=kept)[0].mask
            for s in range(30)
        ]
        centres = [int(window[10, 10]) for window in cut]
        assert set(centres) == {1, 3}
        assert 5 < centres.count(3) < 25  # one pixel is met as often as four hundred
    assert not any(Samples(rare, crop=(21, 21), seed=s)[0].mask[10, 10] == 3 for s in range(30))
    with pytest.raises(FrameError, match="give crop"):
        Samples(view, crop_on="car")
    with pytest.raises(FrameError, match=r"0\.\.1"):
        Samples(view, crop=(5, 5), crop_on="car", crop_share=1.5)


def test_outside_of_small_pictures_is_black_and_void(tmp_path: Path) -> None:
    view = sm.DataView([save(tmp_path, 0, np.full((4, 5, 3), RED, np.uint8))]).set_labels(car=1)
    sample = Samples(view, crop=(6, 9))[0]
    assert (sample.mask[:4, :5] == 1).all()
    assert (sample.mask[4:] == -1).all()
    assert (sample.mask[:, 5:] == -1).all()
    assert sample.image[4:].max() == sample.image[:, 5:].max() == 0
    with pytest.raises(FrameError, match=r"-1\.\.1 do not fit uint8"):
        Samples(view, dtype="uint8")[0]


def test_frames_read_from_a_folder_are_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "data"
    home.mkdir()
    frame = save(home, 0, noise(8, 9))
    record = frame.to_dict()
    record["sources"][0]["uri"] = "i0.png"
    record["sources"][0]["masks"][0]["uri"] = "m0.png"
    (home / "frames.jsonl").write_bytes(msgspec.json.encode(record))
    view = sm.DataView(sm.read_frames(str(home / "frames.jsonl"))).map_labels({"car": 1})
    monkeypatch.chdir(tmp_path)
    assert next(iter(view)).image().shape == (8, 9, 3)
    assert next(view.clips(1))[0].label_map().size_hw == (8, 9)
    samples = Samples(view)
    assert samples[0].mask.shape == (8, 9)
    assert pickle.loads(pickle.dumps(samples))[0].image.shape == (8, 9, 3)
    assert samples.part([0])[0].image.shape == (8, 9, 3)


def test_sizes_that_differ_are_refused_before_the_image_is_decoded(tmp_path: Path) -> None:
    view = sm.DataView([save(tmp_path, 0, noise(8, 9), noise(9, 9))]).map_labels({"car": 1})
    with pytest.raises(DecodeError, match=r"the image is \(9, 9\) and its mask \(8, 9\)"):
        Samples(view, crop=(2, 2))[0]


class TestFailures:
    def test_they_raise_are_skipped_and_logged_or_replaced(
        self, view: sm.DataView, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "m2.png").write_bytes(b"broken")
        (tmp_path / "i4.png").unlink()
        with pytest.raises(DecodeError, match=r"m2\.png"):
            Samples(view).load_many(range(6))
        samples = Samples(view, on_error="skip")
        with caplog.at_level(logging.WARNING, "smalti.feed"):
            got = [sample.frame_id for sample in samples.stream(Shard())]
        assert got == ["f00", "f01", "f03", "f05"]
        assert samples.failures == 2
        assert "frame f02 is skipped" in caplog.text
        assert "i4.png" in caplog.text
        assert [image.shape[0] for image, _ in batches(view, 3, on_error="skip")] == [3, 1]

        def instead(failure: Failure) -> Sample | None:
            return Sample(failure.frame_id, np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8))

        replaced = [s.image.shape[0] for s in Samples(view, on_error=instead).stream(Shard())]
        assert replaced == [40, 40, 1, 40, 1, 40]

    def test_a_frame_without_a_mask_is_one(self, view: sm.DataView) -> None:
        frames = [*(f for f in view), sm.SingleFrame("/none.png", id="bare", context_id="d")]
        samples = Samples(sm.DataView(frames).map_labels({"car": 1}), on_error="skip")
        assert isinstance(samples.load(6), Failure)
        assert [type(found).__name__ for found in samples.load_many([6, 0])] == ["Failure", "Sample"]
        with pytest.raises(FrameError, match="on_error"):
            Samples(view, on_error="ignore")


class TestRemote:
    @pytest.fixture
    def far(self, view: sm.DataView, tmp_path: Path) -> sm.DataView:
        frames = []
        for number, frame in enumerate(view):
            for kind in "im":
                storage.put(f"memory://feed/{kind}{number}.png", (tmp_path / f"{kind}{number}.png").read_bytes())
            frame.source = f"memory://feed/i{number}.png"
            frame.masks_source = {"seg": f"memory://feed/m{number}.png"}
            frames.append(frame)
        return sm.DataView(frames).map_labels({"car": 1, "bus": 2, "pole": 3}, void=0)

    def test_files_are_fetched_together_and_the_next_ones_ahead(
        self, far: sm.DataView, view: sm.DataView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched: list[str] = []
        real = storage.fetch

        def fetch(uri: str, **options: Any) -> bytes:
            fetched.append(uri[-6:-4])
            return real(uri, **options)

        monkeypatch.setattr(ahead.storage, "fetch", fetch)
        samples, truth = Samples(far), Samples(view)
        found = samples.load_many([0, 1], upcoming=[2, 3])
        assert isinstance(samples._ahead._next, tuple)
        samples._ahead._next[1].result()
        assert sorted(fetched) == ["i0", "i1", "i2", "i3", "m0", "m1", "m2", "m3"]
        found += samples.load_many([2, 3], upcoming=[4])
        samples._ahead._next[1].result()
        assert sorted(set(fetched)) == sorted(fetched)
        found += samples.load_many([5])  # not what was announced
        for position, sample in zip([0, 1, 2, 3, 5], found, strict=True):
            assert isinstance(sample, Sample)
            np.testing.assert_array_equal(sample.mask, truth[position].mask)
            np.testing.assert_array_equal(sample.image, truth[position].image)

    def test_what_is_missing_fails_alone(self, far: sm.DataView) -> None:
        storage.delete("memory://feed/i3.png")
        found = Samples(far, on_error="skip").load_many(range(6))
        assert [type(item).__name__ for item in found].count("Failure") == 1
        assert isinstance(found[3], Failure)
        assert "i3.png" in found[3].error


class _Shop(SimpleHTTPRequestHandler):
    """A folder over HTTP with ETags; remembers what was asked for."""

    asked: list[str]

    def send_head(self) -> Any:
        self.asked.append(f"{self.command} {self.path[1]}")
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("ETag", f'"{self.path}"')
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


def test_remote_masks_that_are_kept_are_not_fetched_again(view: sm.DataView, tmp_path: Path) -> None:
    handler = type("Shop", (_Shop,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            at = f"http://127.0.0.1:{server.server_port}"
            frames = []
            for number, frame in enumerate(view):
                frame.source = f"{at}/i{number}.png"
                frame.masks_source = {"seg": f"{at}/m{number}.png"}
                frames.append(frame)
            far = sm.DataView(frames).map_labels({"car": 1, "bus": 2, "pole": 3}, void=0)
            with storage.using_storage(storage.Storage(cache=None, timeout_s=5)):
                for expected in (6, 0):
                    handler.asked.clear()  # type: ignore[attr-defined]
                    found = Samples(far, crop=(9, 8), kept=tmp_path / "kept").load_many(range(6))
                    for item in found:
                        assert isinstance(item, Sample)
                        np.testing.assert_array_equal(item.mask, classes(item.image))
                    assert handler.asked.count("GET m") == expected  # type: ignore[attr-defined]
                    assert handler.asked.count("GET i") == 6  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("feed", "library"), [("torch", "torch"), ("ray", "ray")])
def test_what_is_not_installed_is_named(feed: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    spec = importlib.util.find_spec(f"smalti.feed.{feed}")
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(MissingExtra, match=rf"smalti\.feed\.{feed} needs .*smalti\[{library}\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


class TestClips:
    @pytest.fixture
    def drives(self, tmp_path: Path) -> sm.DataView:
        frames = []
        for number in range(11):
            context = "a" if number < 5 else "b"
            mask = noise(20, 20, number)
            frames.append(save(tmp_path, number, mask, context_id=context, timestamp=number * 100))
        return sm.DataView(frames).map_labels({"car": 1, "bus": 2, "pole": 3}, void=0)

    def test_windows_of_frames_share_one_cut(self, drives: sm.DataView) -> None:
        samples = Samples(drives, clip=3, crop=(6, 7))
        assert len(samples) == 3
        for sample in samples:
            assert (sample.image.shape, sample.mask.shape) == ((3, 6, 7, 3), (3, 6, 7))
            np.testing.assert_array_equal(sample.mask, classes(sample.image))
        whole = Samples(drives, clip=3, clip_step=1)
        assert [whole[i].frame_id for i in range(len(whole))] == [f"f{i:02d}" for i in (0, 1, 2, 5, 6, 7, 8)]
        np.testing.assert_array_equal(whole[3].image[2], Samples(drives)[7].image)
        np.testing.assert_array_equal(whole.part([3])[3].image, whole[3].image)

    def test_their_tokens_count_windows(self, drives: sm.DataView) -> None:
        drives.set_iteration_parameters("random", random_seed=4)

        def ids(found: Any) -> list[tuple[str, ...]]:
            return [tuple(frame.id for frame in window) for window in found]

        every = ids(drives.clips(2))
        assert len(every) == 5
        running = drives.clips(2)
        first = ids(islice(running, 2))
        for ranks in (1, 2, 4):
            rest = [
                w for r in range(ranks) for w in ids(drives.clips(2, resume=running.state(), shard=Shard(r, ranks)))
            ]
            assert sorted(first + rest) == sorted(every)
        with pytest.raises(QueryError, match="this token is of view"):
            drives.clips(3, resume=running.state())
        with pytest.raises(QueryError):
            drives.iterate(resume=running.state())
        drives.set_iteration_parameters(infinite=True)
        endless = ids(islice(drives.clips(2), 12))
        assert sorted(endless[:5]) == sorted(endless[5:10]) == sorted(every)
        assert ids(islice(drives.clips(2, resume=str(Position(drives.clips(2).start.view, 0, 7))), 5)) == endless[7:]


def decode_odd(data: bytes) -> np.ndarray:
    """A decoder of somebody's own."""
    return np.zeros((1, 1), np.uint8)


def test_new_processes_are_told_what_this_one_was_told() -> None:
    told = storage.Storage(timeout_s=7.0, cache=None)
    codecs.register("image/x-odd", decode_odd)
    called: list[int] = []
    try:
        with storage.using_storage(told):
            around = pickle.loads(pickle.dumps(Ambience()))
        del codecs._table["image/x-odd"]
        before = storage.set_default_storage(None)
        try:
            Ambience(around.storage, around.decoders, called.append)(3)
            assert storage.default_storage() == told
            assert codecs.registered() == {"image/x-odd": decode_odd}
        finally:
            storage.set_default_storage(before)
    finally:
        codecs._table.pop("image/x-odd", None)
    assert called == [3]


class TestArrays:
    def test_endless_views_go_on_and_sizes_must_agree(self, view: sm.DataView, tmp_path: Path) -> None:
        endless = view.clone().set_iteration_parameters("random", infinite=True)
        assert len(list(islice(batches(endless, 4), 5))) == 5
        with pytest.raises(FrameError, match="never ends"):
            write_webdataset(endless, tmp_path / "never")
        mixed = sm.DataView([*view, save(tmp_path, 8, noise(7, 7))]).map_labels({"car": 1})
        with pytest.raises(DecodeError, match="give crop"):
            list(batches(mixed, 7))

    def test_shards_are_read_by_webdataset(self, view: sm.DataView, tmp_path: Path) -> None:
        shards = write_webdataset(view, tmp_path / "shards", per_shard=4)
        assert [path.name for path in shards] == ["shard-000000.tar", "shard-000001.tar"]
        with tarfile.open(shards[1]) as shard:
            assert len(shard.getnames()) == 4
        reading = pytest.importorskip("webdataset.tariterators", reason="webdataset is not installed")
        read: list[Any] = []
        for path in shards:
            with path.open("rb") as stream:
                read += reading.group_by_keys(reading.tar_file_expander([{"url": str(path), "stream": stream}]))
        assert len(read) == 6
        for item, truth in zip(read, Samples(view), strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(item["png"]))), truth.image)
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(item["mask.png"]))), truth.mask)

    def test_hugging_face_has_every_frame(self, view: sm.DataView) -> None:
        pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
        table = to_huggingface(view)
        for row, truth in zip(table, Samples(view), strict=True):
            assert row["id"] == truth.frame_id
            np.testing.assert_array_equal(np.asarray(row["image"]), truth.image)
            np.testing.assert_array_equal(np.asarray(row["mask"]), truth.mask)
