"""Hints about encodings change bytes on the disk and nothing else."""

from pathlib import Path

import pyarrow as pa
import pytest

from smalti.store import engine, open_store
from smalti.store.encoding import hinted
from smalti.store.maintain import INDICES
from smalti.store.schema import SCHEMA
from smalti.testing import frames


def _hints(field: pa.Field) -> dict[bytes, bytes]:
    return {key: value for key, value in (field.metadata or {}).items() if key.startswith(b"lance-encoding:")}


def test_hints_stand_at_the_innermost_fields_and_the_types_stay() -> None:
    found = hinted(SCHEMA)
    assert found.equals(SCHEMA)  # but for metadata
    assert found.field("id").metadata == {
        b"lance-schema:unenforced-primary-key": b"true",
        b"lance-encoding:compression": b"lz4",
        b"lance-encoding:dict-divisor": b"1000000000",
    }
    poly = found.field("rois").type.value_type.field("poly")
    assert _hints(poly) == {}
    assert _hints(poly.type.value_field)[b"lance-encoding:compression"] == b"lz4"
    assert _hints(found.field("labels")) == {}
    assert _hints(found.field("labels").type.value_field) == {}
    assert _hints(found.field("roi_ls").type.value_field) == {b"lance-encoding:rle-threshold": b"0"}
    assert _hints(found.field("context_id")) == {}


def test_a_dataset_made_without_hints_takes_the_same_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "hinted", lambda schema: schema)
        old = store.create_dataset("old").create_version("v")
        old.add_frames(frames(30))
    new = store.create_dataset("new").create_version("v")
    for version in (old, new):
        version.add_frames(frames(60))
        version.publish()
    assert list(old.records()) == list(new.records())
    assert not _hints(old.rows().schema.field("id"))
    assert _hints(new.rows().schema.field("id"))


@pytest.mark.parametrize("column", INDICES)
def test_filters_find_the_indices_in_spite_of_hints(tmp_path: Path, column: str) -> None:
    version = open_store(tmp_path / "store").create_dataset("data").create_version("v")
    version.add_frames(frames(300))
    version.publish()
    dataset = version.rows().dataset
    assert column in version.rows().indices()
    words = f"array_has_any({column}, ['x', 'y'])" if INDICES[column] == "LABEL_LIST" else f"{column} = 'x'"
    assert "ScalarIndexQuery" in dataset.scanner(filter=words, columns=["id"]).explain_plan()
