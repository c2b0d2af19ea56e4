"""The kit for tests: what it makes is what it says, and its comparisons see every difference."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import smalti
from smalti import wire
from smalti.records import Frame
from smalti.testing import (
    assert_same_frames,
    assert_same_labels,
    frame,
    frames,
    strategies,
    temporary_store,
    write_scene,
)


def test_a_scene_is_what_it_says(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "pictures", 2, size_hw=(30, 50), seed=4)
    assert [single.id for single in scene.frames] == ["scene_0", "scene_1"]
    assert smalti.check(scene.frames).ok
    for single, labels in zip(scene.frames, scene.labels, strict=True):
        found = single.label_map()
        assert_same_labels(found, labels)
        np.testing.assert_array_equal(np.asarray(found), labels)
        assert single.image().shape == (30, 50, 3)
        colors = np.asarray(Image.open(tmp_path / "pictures" / f"{single.id}_mask.png"))
        for number, entry in enumerate(scene.legend.entries, 1):
            np.testing.assert_array_equal((colors == entry.value).all(-1), labels == number)
    again = write_scene(tmp_path / "again", 2, size_hw=(30, 50), seed=4)
    np.testing.assert_array_equal(again.labels, scene.labels)
    assert not np.array_equal(write_scene(tmp_path / "other", 2, size_hw=(30, 50), seed=5).labels, scene.labels)


def test_a_store_is_real_and_gone_at_the_end() -> None:
    with temporary_store() as store:
        place = Path(store.uri)
        version = store.create_dataset("data").create_version("v1")
        assert version.add_frames(frames(5)) == []
        assert_same_frames(version, frames(5))
        assert place.is_dir()
    assert not place.exists()


def test_sample_frames_are_valid_different_and_in_order() -> None:
    found = frames(250, start=3)
    assert [wire.from_dict(wire.to_dict(one)) for one in found] == found
    assert len({wire.dump(one) for one in found}) == 250
    assert found == sorted(found, key=lambda one: (one.context_id, one.timestamp))
    assert frame(7, blob="x").blob == "x"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (frames(2), "missing: f0002"),
        (frames(4), "not expected: f0003"),
        ([*frames(2), frame(2, blob="x")], r"frame f0002: \$\.blob is 'x', expected not there"),
        ([*frames(2), frame(2, meta={"n": 2.0, "city": "bremen"})], r"\$\.meta\.n is 2\.0, expected 2"),
        ([*frames(2), msgspec.structs.replace(frame(2), rois=[])], r"\$\.rois is"),
        ([*frames(3), frame(1)], "two frames have the id 'f0001'"),
    ],
)
def test_every_difference_of_frames_is_said(found: list[Frame], said: str) -> None:
    assert_same_frames(frames(3), reversed(frames(3)))
    with pytest.raises(AssertionError, match=said):
        assert_same_frames(found, frames(3))


def test_frames_of_every_kind_are_compared() -> None:
    record = frame(1)
    assert_same_frames([wire.to_dict(record)], [smalti.read_frame(wire.dump(record))])


def test_pixels_that_differ_are_counted_and_named(tmp_path: Path) -> None:
    scene = write_scene(tmp_path, 1)
    found, labels = scene.frames[0].label_map(), scene.labels[0].copy()
    y, x = np.argwhere(labels == 2)[0]
    labels[y, x] = 1
    with pytest.raises(AssertionError, match=rf"1 of 960 pixels differ .*1 of car are road; the first at x={x}, y={y}"):
        assert_same_labels(found, labels)
    assert_same_labels(found, labels, allowed=1)
    assert_same_labels(found, found)
    with pytest.raises(AssertionError, match="the map is 24×40, expected 23×40"):
        assert_same_labels(found, labels[1:])
    with pytest.raises(AssertionError, match="the legend's are 0 to 3"):
        assert_same_labels(found, labels + 7)


@settings(max_examples=40, deadline=None)
@given(strategies.masks())
def test_a_drawn_mask_decodes_to_what_it_stands_for(drawn: Any) -> None:
    mask, legend, labels = drawn
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    assert_same_labels(smalti.decode_mask(file.getvalue(), legend, lossy="exact"), labels)


@settings(max_examples=8, deadline=None)
@given(st.lists(strategies.frames(with_ids=True), max_size=4, unique_by=lambda one: one.id))
def test_drawn_frames_are_stored_and_come_back(drawn: list[Frame]) -> None:
    with temporary_store() as store:
        version = store.create_dataset("data").create_version("v1")
        assert version.add_frames(drawn) == []
        assert {record.id for record in version.records()} == {record.id for record in drawn}


def test_the_kit_does_without_hypothesis_and_says_what_needs_it() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import smalti.testing\n"
        "try:\n    import smalti.testing.strategies\n"
        "except smalti.errors.MissingExtra as error:\n    print(error)\n"
        "print('pytest' in sys.modules)"
    )
    environment = {"PYTHONPATH": str(Path(smalti.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[0].startswith('smalti.testing.strategies needs the extra "dev"')
    assert done.stdout.splitlines()[1] == "False"
