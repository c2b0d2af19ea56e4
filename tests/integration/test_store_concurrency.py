"""Several processes on one draft: nothing is lost, nothing is there twice, readers see whole commits."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests import soaking
from tests.store_workers import load_some, save_some, watch

from smalti.errors import ConflictError
from smalti.store import Dataset, ingest, open_store
from smalti.testing import frame, frames


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    found = open_store(tmp_path / "store").create_dataset("data")
    found.create_version("draft").add_frames(frames(20))
    return found


def ids_of(data: Dataset) -> Counter[str]:
    return Counter(data["draft"].rows().table(["id"]).column("id").to_pylist())


def race(folder: str, writers: int, readers: int, saves: int, seconds: float) -> tuple[dict[str, int], list[str]]:
    """Acknowledged id → how often, and what readers complained about; writers do `saves` each, or go on for a time."""
    # spawn: the engine's threads do not survive a fork
    with ProcessPoolExecutor(writers + readers + 1, mp_context=get_context("spawn")) as pool:
        writing = [pool.submit(save_some, folder, number, saves, 5, seconds) for number in range(writers)]
        loading = pool.submit(load_some, folder, 40)
        reading = [pool.submit(watch, folder, seconds) for _ in range(readers)]
        done = Counter(id_ for job in [*writing, loading] for id_ in job.result())
        return done, [text for job in reading for text in job.result()]


def test_writers_a_bulk_load_and_a_reader(data: Dataset, tmp_path: Path) -> None:
    done, complaints = race(str(tmp_path / "store"), writers=2, readers=1, saves=8, seconds=1)
    found = ids_of(data)
    assert complaints == []
    assert found.most_common(1)[0][1] == 1
    assert set(found) == set(done) | {f"f{number:04d}" for number in range(20)}
    assert data.store.verify().problems == []


@pytest.mark.soak
def test_four_writers_and_four_readers_for_five_minutes(data: Dataset, tmp_path: Path) -> None:
    done, complaints = race(str(tmp_path / "store"), writers=4, readers=4, saves=0, seconds=300)
    found = ids_of(data)
    lost = set(done) - set(found)
    twice = [id_ for id_, count in found.items() if count > 1]
    problems = data.store.verify().problems
    soaking.record(
        "4 writers and 4 readers on one draft for 5 minutes",
        wrong={
            "lost": len(lost),
            "there twice": len(twice),
            "wrong readings": len(complaints),
            "problems found by verify": len(problems),
        },
        of=f"{sum(done.values())} saves acknowledged",
    )
    assert (sorted(lost), twice, complaints[:5], problems[:5]) == ([], [], [], [])


def test_threads_that_edit_one_frame_from_one_reading(data: Dataset) -> None:
    draft = data["draft"]
    etag = draft.etag("f0001")
    won, lost = [], []

    def edit(number: int) -> None:
        try:
            data["draft"].update_frame(frame(1, blob=f"editor {number}"), if_match=etag)
            won.append(number)
        except ConflictError:
            lost.append(number)

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)
    assert draft.get_record("f0001").blob == f"editor {won[0]}"


def test_a_new_id_in_a_save_and_a_bulk_load_at_once_is_one_frame(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = data["draft"]
    with draft.lease("a bulk load") as renew, draft.writing() as branch:
        bulk = ingest.Bulk(branch, renew)
        rows, _ = ingest.rows_of([frame(50, blob="bulk"), frame(51)])
        assert rows is not None
        add_files = branch.add_files
        # The other save lands after the load looked for known ids, and before it commits.
        monkeypatch.setattr(
            branch, "add_files", lambda files: (data["draft"].update_frame(frame(50)), add_files(files))[1]
        )
        with bulk:
            bulk.add(rows)
    assert ids_of(data).most_common(1)[0][1] == 1
    assert draft.get_record("f0050").blob == "bulk"


def test_a_bulk_load_learns_what_others_bring_while_its_files_are_written(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saves of new frames land before each commit of a load that brings the same frames sooner or later."""
    monkeypatch.setattr(ingest, "COMMITTED_AT_ONCE", 10)
    draft = data["draft"]
    saved = iter([50, 61, 72, 83, 94])
    with draft.lease("a bulk load") as renew, draft.writing() as branch:
        bulk = ingest.Bulk(branch, renew)

        def disturbed(write: Callable[[object], int]) -> Callable[[object], int]:
            def before(found: object) -> int:
                number = next(saved, None)
                if number is not None:
                    data["draft"].update_frame(frame(number, blob="save"))
                return write(found)

            return before

        monkeypatch.setattr(branch, "add_files", disturbed(branch.add_files))
        monkeypatch.setattr(branch, "upsert", disturbed(branch.upsert))
        with bulk:
            for start in (40, 50, 60, 45, 70, 80, 90):
                rows, _ = ingest.rows_of([frame(number, blob="bulk") for number in range(start, start + 10)])
                assert rows is not None
                bulk.add(rows)
    found = ids_of(data)
    assert set(found.values()) == {1}
    assert set(found) >= {f"f{number:04d}" for number in range(40, 100)}


def test_a_save_that_lands_after_a_bulk_load_brought_its_id_is_one_frame(data: Dataset) -> None:
    draft = data["draft"]
    rows, _ = ingest.rows_of([frame(50, blob="bulk")])
    assert rows is not None
    with draft.lease("a bulk load"), draft.writing() as branch:
        branch.append([rows])
        branch.append([ingest.rows_of([frame(50, blob="save")])[0]])  # what a racing upsert leaves
        ingest.settle(branch, ["f0050"])
    assert ids_of(data)["f0050"] == 1
    assert draft.get_record("f0050").blob == "save"


def test_publish_removes_what_a_load_that_died_left_twice(data: Dataset) -> None:
    draft = data["draft"]
    rows, _ = ingest.rows_of([frame(3, blob="twice")])
    assert rows is not None
    with draft.writing() as branch:
        branch.append([rows])
    assert "twice" in data.store.verify().problems[0]
    draft.publish()
    assert data.store.verify().problems == []
    assert len(draft) == 20
