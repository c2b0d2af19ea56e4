"""What a caller hands over for frames, and the ids that a bulk load knows."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smalti as sm
from smalti.errors import FrameError
from smalti.records import Frame, Source
from smalti.store import open_store
from smalti.store.derive import derive
from smalti.store.ingest import several
from smalti.store.loading import load_rows
from smalti.store.schema import to_rows
from smalti.store.seen import SeenIds

RECORD = Frame(id="a", sources=[Source(id="s", uri="u")])


@pytest.mark.parametrize("one", [sm.SingleFrame("u.png"), RECORD, None, 5], ids=lambda one: type(one).__name__)
def test_one_frame_is_not_a_list_of_frames(tmp_path: Path, one: Any) -> None:
    version = open_store(tmp_path / "store").create_dataset("data").create_version("v")
    for add in (version.add_frames, version.update_frames):
        with pytest.raises(FrameError, match=rf"frames is one {type(one).__name__}, allowed is a list .* give \[it\]"):
            add(one)
    with pytest.raises(FrameError, match="ids is one"):
        version.delete_frames(one)
    assert len(version) == 0
    assert version.add_frames([RECORD]) == []


def test_what_python_can_walk_through_is_many() -> None:
    class Listed:
        def __getitem__(self, number: int) -> Frame:
            return [RECORD][number]

    for many in (Listed(), iter([RECORD]), (RECORD,), {RECORD.id}):
        assert several(many, "frames") is many


def test_a_batch_without_rows_is_no_obstacle_to_finding_ids(tmp_path: Path) -> None:
    version = open_store(tmp_path / "store").create_dataset("data").create_version("v")
    rows = derive(to_rows([RECORD]))
    load_rows(version, [rows.slice(0, 0), rows, rows.slice(0, 0)])
    load_rows(version, [rows.slice(0, 0)])
    load_rows(version, [rows, rows])
    assert [record.id for record in version.records()] == ["a"]


IDS = st.lists(st.text("ab\u00e9\U0001f600", min_size=1, max_size=3), max_size=12)


@given(st.lists(st.tuples(IDS, st.booleans(), st.booleans()), max_size=12))
def test_ids_that_come_again(batches: list[tuple[list[str], bool, bool]]) -> None:
    seen, known = SeenIds(), set[str]()
    for ids, is_sorted, is_there in batches:
        ids = sorted(set(ids)) if is_sorted else ids
        if is_there:
            seen.learn(pa.array(ids, pa.string()))
        else:
            found = seen.meet(pa.array(ids, pa.string()))
            expected = [id_ in known or ids.count(id_) > 1 for id_ in ids]
            assert (expected == found.tolist()) if found is not None else not any(expected)
        known |= set(ids)


def test_many_ids_in_order_and_then_some_of_them_again() -> None:
    seen = SeenIds()
    for start in range(0, 20_000, 1000):
        assert seen.meet(pa.array([f"{number:06d}" for number in range(start, start + 1000)])) is None
    for start in (20_000, 5_000, 0):
        found = seen.meet(pa.array([f"{number:06d}" for number in range(start + 500, start - 500, -1)]))
        assert found is not None
        assert found.sum() == {20_000: 499, 5_000: 1000, 0: 501}[start]
