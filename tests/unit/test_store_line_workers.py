"""Processes that read JSON-lines: the same rows and reasons as in this process, whatever becomes of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from smalti import wire
from smalti.store import line_workers, open_store, transfer
from smalti.store.adopt import rows_of_lines
from smalti.store.line_workers import LineWorkers
from smalti.testing import frame, frames

LINES = b"".join(wire.dump_line(item) for item in frames(20))
ODD = b'{"id": 7, "sources": [{"id": "a", "uri": "x"}], "more": 1}\n{"id": "broken"\n\n'


def plain(made: tuple[pa.RecordBatch | None, Any]) -> Any:
    rows, failed = made
    return None if rows is None else rows.drop_columns("updated_ms").to_pylist(), failed


@pytest.fixture(scope="module")
def workers() -> Any:
    with LineWorkers(1, "x.jsonl") as started:
        yield started


@pytest.mark.parametrize("data", [LINES, ODD, LINES + ODD, b"{\n", b"\n"])
def test_a_worker_answers_what_this_process_would(workers: LineWorkers, data: bytes) -> None:
    assert plain(workers.rows_of_lines(data, 5)) == plain(rows_of_lines(data, "x.jsonl", 5))


def test_a_file_is_read_by_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_WORTH_WORKERS_BYTES", 0)
    monkeypatch.setattr(transfer, "_LINES_BYTES", 2000)
    monkeypatch.setattr(transfer, "available_cores", lambda: 2)
    path = tmp_path / "some.jsonl"
    path.write_bytes(LINES + ODD + wire.dump_line(frame(99)).rstrip())
    version = open_store(tmp_path / "store").create_dataset("d").create_version("v")
    failed = version.import_file(path)
    assert [item.error.partition(": ")[0] for item in failed] == [f"{path}:22"]
    assert len(version) == 22
    assert version.get_record("f0099") == frame(99)
    assert version.get_record("7").extra == {"more": 1}


def test_a_worker_that_dies_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with LineWorkers(1, "x.jsonl") as mortal:
        mortal._all[0].kill()
        mortal._all[0].wait()
        for _ in range(2):
            rows, failed = mortal.rows_of_lines(LINES, 1)
            assert rows is not None
            assert (len(rows), failed) == (20, [])


def test_workers_that_cannot_be_started_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_workers.sys, "executable", "/nowhere/python")
    with LineWorkers(2, "x.jsonl") as none:
        rows, _ = none.rows_of_lines(LINES, 1)
        assert rows is not None
        assert len(rows) == 20
