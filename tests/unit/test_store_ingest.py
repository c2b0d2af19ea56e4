"""What a caller hands over for frames, and the ids that a bulk load knows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import smalti as sm
from smalti.errors import FrameError
from smalti.records import Frame, Source
from smalti.store import open_store
from smalti.store.ingest import Bulk, several
from smalti.store.rowhash import hash_strings

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


def test_a_batch_without_rows_is_no_obstacle_to_finding_ids() -> None:
    batches = [pa.record_batch({"id": pa.array(ids, pa.string())}) for ids in ([], ["a", "b"])]
    branch: Any = SimpleNamespace(version=1, schema=batches[0].schema, scan=lambda _columns: batches)
    with Bulk(branch, lambda: None) as bulk:
        assert bulk._was_seen(hash_strings(pa.array(["b", "c"]))).tolist() == [True, False]
