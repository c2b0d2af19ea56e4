"""Kept label maps: what comes back is what was decoded, never anything else, and damage heals itself."""

import io
import logging
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.clips import encode

from smalti import (
    LabelMap,
    Legend,
    SingleFrame,
    codecs,
    decode_mask,
    kept,
    kept_file,
    label_maps,
    mask_reading,
    storage,
)
from smalti.errors import StorageError, UnknownColors
from smalti.kept import KeptMaps

LEGEND = Legend({(10, 20, 30): "car", (200, 0, 0): ["person", "rider"], (-1, 255, -1): "green"})
LONG_AGO = (1_000_000_000, 1_000_000_000)


def street(size_hw: tuple[int, int] = (300, 500), seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    colors = np.array([[10, 20, 30], [200, 0, 0], [7, 255, 9], [1, 1, 1]], np.uint8)
    small = rng.integers(0, 4, (-(-size_hw[0] // 20), -(-size_hw[1] // 20)))
    return colors[np.kron(small, np.ones((20, 20), int))[: size_hw[0], : size_hw[1]]]


def png(pixels: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def write(path: Path, data: bytes, *, old: bool = True) -> None:
    path.write_bytes(data)
    if old:  # the index trusts no file that was written just now
        os.utime(path, LONG_AGO)


def same(one: LabelMap | None, two: LabelMap) -> None:
    assert one is not None
    assert np.array_equal(one.data, two.data)
    assert one.data.dtype == two.data.dtype
    for name in ("legend", "policy", "settled", "notes", "pts_ms", "mode", "codec"):
        assert getattr(one, name) == getattr(two, name), name


@pytest.fixture
def shelf(tmp_path: Path) -> KeptMaps:
    return KeptMaps(tmp_path / "kept")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each mask that was really decoded."""
    calls: list[str] = []
    still, picture = mask_reading.decode_mask, mask_reading.decode_raster
    monkeypatch.setattr(mask_reading, "decode_mask", lambda *a, **o: calls.append("still") or still(*a, **o))
    monkeypatch.setattr(mask_reading, "decode_raster", lambda *a, **o: calls.append("clip") or picture(*a, **o))
    return calls


def only_map(shelf: KeptMaps) -> Path:
    (path,) = (p for p in (shelf.info().folder / "maps").rglob("*") if p.is_file())
    return path


# -- by key -----------------------------------------------------------------------------------------------------


def test_a_map_comes_back_whole_and_in_boxes(shelf: KeptMaps) -> None:
    data = png(street())
    found = decode_mask(data, LEGEND)
    key = shelf.key(data, LEGEND)
    assert shelf.get(key) is None
    shelf.put(key, found)
    same(shelf.get(key), found)
    for x, y, w, h in [(0, 0, 500, 300), (127, 127, 2, 2), (499, 299, 1, 1), (100, 50, 256, 128), (0, 140, 500, 3)]:
        crop = shelf.get(key, (x, y, w, h))
        same(crop, replace(found, data=found.data[y : y + h, x : x + w]))


@pytest.mark.parametrize("box", [(0, 0, 501, 1), (-1, 0, 5, 5), (0, 0, 0, 5), (499, 299, 2, 1)])
def test_a_box_outside_the_map_is_refused(shelf: KeptMaps, box: Any) -> None:
    key = shelf.key(b"x", LEGEND)
    shelf.put(key, decode_mask(png(street()), LEGEND))
    with pytest.raises(ValueError, match="500×300"):
        shelf.get(key, box)


def test_ids_bring_the_legend_that_was_found_in_them(shelf: KeptMaps) -> None:
    pixels = (np.arange(40000).reshape(200, 200) // 90 * 1001).astype(np.uint16)
    found = decode_mask(png(pixels), Legend({5: "five"}, kind="ids"), scheme="cityscapes")
    assert found.data.dtype == np.uint16
    key = shelf.key(b"ids", None)
    shelf.put(key, found)
    got = shelf.get(key)
    same(got, found)
    assert got is not None
    assert np.array_equal(got.ids, found.ids)


def test_everything_that_labels_depend_on_is_in_the_key(shelf: KeptMaps) -> None:
    names = {
        shelf.key(data, legend, **question).name
        for data in (b"one", b"two")
        for legend in (None, LEGEND, Legend({(10, 20, 30): "cat"}), Legend({1: "a"}), Legend({1: "a"}, kind="ids"))
        for question in ({}, {"at_ms": 1}, {"at_ms": 2}, {"lossy": "exact"})
    }
    assert len(names) == 2 * 5 * 4
    assert shelf.key(b"one", Legend(dict.fromkeys([(1, 2, 3)], "x"))) == shelf.key(b"one", Legend({(1, 2, 3): ["x"]}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.uint32]),
    coarse=st.integers(1, 40),
    seed=st.integers(0, 1 << 20),
    data=st.data(),
)
def test_any_map_flat_or_noise_comes_back(
    shelf: KeptMaps, size: tuple[int, int], dtype: Any, coarse: int, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 200, (-(-size[0] // coarse), -(-size[1] // coarse)))
    labels = np.kron(small, np.ones((coarse, coarse), int))[: size[0], : size[1]].astype(dtype)
    found = LabelMap(labels, LEGEND, "repair", {"exact": 1}, ("a note",), 33.25, "YCC", "h264")
    key = shelf.key(seed.to_bytes(4, "big"), LEGEND, size=size, coarse=coarse, kind=np.dtype(dtype).name)
    shelf.put(key, found)
    same(shelf.get(key), found)
    x, y = data.draw(st.integers(0, size[1] - 1)), data.draw(st.integers(0, size[0] - 1))
    w, h = data.draw(st.integers(1, size[1] - x)), data.draw(st.integers(1, size[0] - y))
    same(shelf.get(key, (x, y, w, h)), replace(found, data=labels[y : y + h, x : x + w]))


def test_noise_is_compressed_and_flat_maps_need_no_pyarrow(shelf: KeptMaps) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 4, (512, 512)).astype(np.uint8)
    kept_file._zstd.cache_clear()
    shelf.put(shelf.key(b"flat", LEGEND), LabelMap(np.zeros((512, 512), np.uint8), LEGEND))
    assert kept_file._zstd.cache_info().misses == 0
    assert only_map(shelf).stat().st_size < 1000
    assert len(kept_file.pack(LabelMap(noise, LEGEND), LEGEND)) < noise.size // 2
    assert kept_file._zstd.cache_info().misses == 1


# -- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coarse", [1, 20], ids=["zstd", "runs"])
def test_no_flipped_byte_and_no_cut_gives_other_labels(shelf: KeptMaps, coarse: int) -> None:
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 4, (200 // coarse, 300 // coarse)), np.ones((coarse, coarse), int)).astype(
        np.uint8
    )
    found = LabelMap(labels, LEGEND, settled={"exact": 5})
    key = shelf.key(b"x", LEGEND)
    shelf.put(key, found)
    path = only_map(shelf)
    whole = path.read_bytes()
    places = {*range(40), *rng.integers(0, len(whole), 150).tolist(), len(whole) - 1}
    damaged = [whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :] for at in sorted(places)]
    damaged += [whole[: len(whole) * part // 10] for part in range(10)]
    for content in damaged:
        path.write_bytes(content)
        assert shelf.get(key) is None, "read though damaged"
        assert not path.exists()
    path.write_bytes(whole)
    same(shelf.get(key), found)


def test_a_crop_is_not_stopped_by_damage_elsewhere(shelf: KeptMaps) -> None:
    found = decode_mask(png(street()), LEGEND)
    key = shelf.key(b"x", LEGEND)
    shelf.put(key, found)
    path = only_map(shelf)
    content = bytearray(path.read_bytes())
    content[-3] ^= 255
    path.write_bytes(bytes(content))
    same(shelf.get(key, (0, 0, 100, 100)), replace(found, data=found.data[:100, :100]))
    assert shelf.get(key, (400, 250, 50, 50)) is None


def test_damage_is_repaired_by_decoding_again(
    shelf: KeptMaps, tmp_path: Path, decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "m.png", png(street()))
    frame = SingleFrame("a.jpg", mask_source=tmp_path / "m.png")
    with kept.using(shelf), caplog.at_level(logging.WARNING, "smalti.kept"):
        first = frame.label_map(legend=LEGEND)
        path = only_map(shelf)
        path.write_bytes(path.read_bytes()[:-9])
        same(frame.label_map(legend=LEGEND), first)
        same(frame.label_map(legend=LEGEND), first)
    assert decoded == ["still", "still"]
    assert "damaged" in caplog.text


def test_a_map_of_another_byte_order_is_not_read(shelf: KeptMaps, monkeypatch: pytest.MonkeyPatch) -> None:
    key = shelf.key(b"x", LEGEND)
    shelf.put(key, decode_mask(png(street()), LEGEND))
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    assert shelf.get(key) is None


# -- by file ----------------------------------------------------------------------------------------------------


def test_the_second_reading_decodes_nothing_and_reads_no_mask(
    shelf: KeptMaps, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "m.png", png(street()))
    frame = SingleFrame("a.jpg", mask_source=tmp_path / "m.png", width=1, height=1)
    with kept.using(shelf):
        first = frame.label_map(legend=LEGEND)
        kept._shared.clear()  # as another process would find the folder
        monkeypatch.setattr(storage, "fetch", lambda *_a, **_o: pytest.fail("the mask was read"))
        same(frame.label_map(legend=LEGEND), first)
        same(next(label_maps([frame], legend=LEGEND)), first)
    assert decoded == ["still"]
    assert any("nothing was resized" in note for note in first.notes), "the source's size is not part of what is kept"


def test_a_changed_mask_is_decoded_again_even_under_the_same_size_and_time(
    shelf: KeptMaps, tmp_path: Path, decoded: list[str]
) -> None:
    path = tmp_path / "m.png"
    frame = SingleFrame("a.jpg", mask_source=path)
    one, two = (png(np.full((8, 8, 3), color, np.uint8)) for color in ((10, 20, 30), (200, 0, 0)))
    two += b"\0" * (len(one) - len(two))
    one += b"\0" * (len(two) - len(one))
    with kept.using(shelf):
        write(path, one)
        assert frame.label_map(legend=LEGEND).counts()["car"] == 64
        os.utime(path, (5, 5))
        assert frame.label_map(legend=LEGEND).counts()["car"] == 64
        assert len(decoded) == 1, "another time, the same content"
        write(path, two)
        os.utime(path, (6, 6))
        assert frame.label_map(legend=LEGEND).counts()["person"] == 64
        # Written now: another write could get the same time, so the index must not answer.
        now = time.time_ns()
        for content, label in ((one, "car"), (two, "person"), (one, "car")):
            path.write_bytes(content)
            os.utime(path, ns=(now, now))
            assert frame.label_map(legend=LEGEND).counts()[label] == 64


def test_a_mask_that_changes_while_it_is_read_is_not_kept(
    shelf: KeptMaps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.png"
    write(path, png(street()))
    decode = mask_reading.decode_mask

    def slow(*args: Any, **options: Any) -> LabelMap:
        write(path, png(street(seed=1)))
        os.utime(path, (7, 7))
        return decode(*args, **options)

    monkeypatch.setattr(mask_reading, "decode_mask", slow)
    with kept.using(shelf):
        SingleFrame("a.jpg", mask_source=path).label_map(legend=LEGEND)
    assert shelf.info().files == 0


def test_equal_masks_under_two_names_are_kept_once(shelf: KeptMaps, tmp_path: Path, decoded: list[str]) -> None:
    for name in ("a.png", "b.png"):
        write(tmp_path / name, png(street()))
    with kept.using(shelf):
        for name in ("a.png", "b.png"):
            SingleFrame("x.jpg", mask_source=tmp_path / name).label_map(legend=LEGEND)
    assert decoded == ["still"]
    assert shelf.info().files == 1


def test_pictures_of_a_clip_are_kept_one_by_one(shelf: KeptMaps, tmp_path: Path, decoded: list[str]) -> None:
    path = tmp_path / "m.mkv"
    write(path, encode([street((64, 96), n) for n in range(5)], codec="ffv1", container="matroska", pixels="bgr0"))
    frames = []
    for n in range(5):
        frames.append(SingleFrame("x.mp4", mask_source=path))
        frames[-1].source_record.masks[0].timestamp = 40.0 * n
    with kept.using(shelf):
        first = list(label_maps(frames, legend=LEGEND))
        for one, two in zip(label_maps(frames, legend=LEGEND, workers=2), first, strict=True):
            same(one, two)
        same(frames[3].label_map(legend=LEGEND), first[3])
        assert len({found.data.tobytes() for found in first}) == 5
    assert decoded == ["clip"] * 5
    assert shelf.info().files == 5


def test_the_policy_is_asked_for_anew_and_strict_is_never_answered_from_the_shelf(
    shelf: KeptMaps, tmp_path: Path, decoded: list[str]
) -> None:
    write(tmp_path / "m.png", png(street()))
    frame = SingleFrame("a.jpg", mask_source=tmp_path / "m.png")
    with kept.using(shelf):
        for policy in ("exact", "nearest", "exact"):
            assert frame.label_map(legend=LEGEND, lossy=policy).policy == policy
        assert len(decoded) == 2
        with pytest.raises(UnknownColors):
            frame.label_map(legend=LEGEND, strict=True)


def test_a_missing_mask_stays_an_error(shelf: KeptMaps, tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    write(path, png(street()))
    frame = SingleFrame("a.jpg", mask_source=path)
    with kept.using(shelf):
        frame.label_map(legend=LEGEND)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            frame.label_map(legend=LEGEND)


def test_what_a_foreign_decoder_makes_is_not_kept(shelf: KeptMaps, tmp_path: Path) -> None:
    write(tmp_path / "m.png", png(street()))
    before = codecs._table["image/png"]
    codecs.register("image/png", lambda data: np.full((2, 2, 3), (10, 20, 30), np.uint8))
    try:
        with kept.using(shelf):
            found = SingleFrame("a.jpg", mask_source=tmp_path / "m.png").label_map(legend=LEGEND)
    finally:
        codecs._table["image/png"] = before
    assert found.counts()["car"] == 4
    assert shelf.info().files == 0


def test_memory_stores_are_not_kept(shelf: KeptMaps) -> None:
    storage.put("memory://kept/m.png", png(street()))
    with kept.using(shelf):
        SingleFrame("a.jpg", mask_source="memory://kept/m.png").label_map(legend=LEGEND)
    assert shelf.info().files == 0


# -- the folder -------------------------------------------------------------------------------------------------


def test_the_longest_unused_maps_go_first(tmp_path: Path) -> None:
    big = KeptMaps(tmp_path)
    found = decode_mask(png(street()), LEGEND)
    keys = [big.key(bytes([n]), LEGEND) for n in range(10)]
    for n, key in enumerate(keys):
        big.put(key, found)
        os.utime(big._path("maps", key.name), (100 + n, 100 + n))
    size = big.info().bytes // 10
    assert big.get(keys[0]) is not None, "a use now: it becomes the youngest"
    small = KeptMaps(tmp_path, max_bytes=5 * size)
    assert small.evict() == 6 * size
    assert [n for n, key in enumerate(keys) if small.get(key) is not None] == [0, 7, 8, 9]
    assert small.evict() == 0


def test_the_limit_holds_as_maps_are_added(tmp_path: Path) -> None:
    found = decode_mask(png(street()), LEGEND)
    size = len(kept_file.pack(found, LEGEND))
    shelf = KeptMaps(tmp_path, max_bytes=10 * size)
    for n in range(40):
        shelf.put(shelf.key(n.to_bytes(2, "big"), LEGEND), found)
        assert shelf.info().bytes <= 11 * size


def test_clearing_forgets_contents_too(shelf: KeptMaps, tmp_path: Path, decoded: list[str]) -> None:
    write(tmp_path / "m.png", png(street()))
    frame = SingleFrame("a.jpg", mask_source=tmp_path / "m.png")
    with kept.using(shelf):
        frame.label_map(legend=LEGEND)
        assert shelf.clear().files == 1
        assert shelf.info().files == 0
        assert not [p for p in shelf.info().folder.rglob("*") if p.is_file()]
        frame.label_map(legend=LEGEND)
    assert len(decoded) == 2


def test_a_folder_that_cannot_be_written_is_logged_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    write(tmp_path / "m.png", png(street()))
    with kept.using(KeptMaps(tmp_path / "kept")), caplog.at_level(logging.WARNING, "smalti.kept"):
        found = SingleFrame("a.jpg", mask_source=tmp_path / "m.png").label_map(legend=LEGEND)
    assert found.counts()["car"] > 0
    assert "cannot be kept" in caplog.text


def test_the_environment_decides_unless_somebody_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_chosen", kept._UNSET)
    for name in ("SMALTI_KEPT", "SMALTI_KEPT_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    assert kept.in_use() is None
    monkeypatch.setenv("SMALTI_KEPT", str(tmp_path))
    monkeypatch.setenv("SMALTI_KEPT_LIMIT", "3 MB")
    assert kept.in_use() == KeptMaps(tmp_path, 3_000_000)
    monkeypatch.setenv("SMALTI_KEPT", "off")
    assert kept.in_use() is None
    monkeypatch.setenv("SMALTI_KEPT", "on")
    with storage.using_storage(storage.Storage(cache=storage.Cache(tmp_path / "cache"))):
        kept._from_environment.cache_clear()
        found = kept.in_use()
        assert found is not None
        assert found.folder == tmp_path / "cache"
    with storage.using_storage(storage.Storage(cache=None)), pytest.raises(StorageError, match="KeptMaps"):
        KeptMaps()
    monkeypatch.setenv("SMALTI_KEPT", str(tmp_path))
    with kept.using(None):
        assert kept.in_use() is None
    kept.use(KeptMaps(tmp_path / "mine"))
    assert kept.in_use() == KeptMaps(tmp_path / "mine")
