"""Many processes on one folder of kept maps: readers, writers, somebody who clears it, and one who is killed."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from smalti import LabelMap, Legend
from smalti.kept import KeptMaps

LEGEND = Legend({(1, 1, 1): "one", (2, 2, 2): "two"})
ROUNDS = 60
MAPS = 6


def _map(number: int) -> LabelMap:
    labels = np.kron(np.random.default_rng(number).integers(0, 3, (9, 11)), np.ones((31, 29), int))
    return LabelMap(labels.astype(np.uint8), LEGEND, "exact", {"exact": number}, (f"map {number}",))


def _work(folder: str, seed: int, limit: int, results: Any) -> None:
    """Read what is there, write what is not; report whether every map that was read was right, and how many."""
    shelf, rng = KeptMaps(Path(folder), limit), np.random.default_rng(seed)
    truth = [_map(n) for n in range(MAPS)]
    hits = 0
    for _ in range(ROUNDS):
        number = int(rng.integers(0, MAPS))
        key = shelf.key(bytes([number]), LEGEND)
        found = shelf.get(key)
        if found is None:
            shelf.put(key, truth[number])
            continue
        hits += 1
        if not np.array_equal(found.data, truth[number].data) or found.notes != truth[number].notes:
            results.put((False, hits))
            return
    results.put((True, hits))


def _clear(folder: str, _seed: int, _limit: int, results: Any) -> None:
    shelf = KeptMaps(Path(folder))
    for _ in range(ROUNDS // 3):
        shelf.clear()
    results.put((True, 1))


def _write_for_ever(folder: str) -> None:
    shelf, found = KeptMaps(Path(folder)), _map(0)
    while True:
        for number in range(MAPS):
            shelf.put(shelf.key(bytes([number]), LEGEND), _map(number) if number else found)


def _run(folder: Path, jobs: list[Any], limit: int = 10**9) -> list[tuple[bool, int]]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=job, args=(str(folder), n, limit, results)) for n, job in enumerate(jobs)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    return found


def test_readers_and_writers_never_see_a_part_of_a_map(tmp_path: Path) -> None:
    found = _run(tmp_path, [_work, _work, _clear])
    assert all(right for right, _ in found)
    assert sum(hits for _, hits in found) > ROUNDS // 4
    assert not list((tmp_path / "kept1" / "tmp").iterdir())


def test_a_limit_that_removes_maps_under_readers_is_harmless(tmp_path: Path) -> None:
    found = _run(tmp_path, [_work, _work], limit=2500)
    assert all(right for right, _ in found)


def test_a_writer_that_is_killed_leaves_no_map_that_is_not_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    shelf = KeptMaps(tmp_path)
    keys = [shelf.key(bytes([n]), LEGEND) for n in range(MAPS)]
    worker = context.Process(target=_write_for_ever, args=(str(tmp_path),))
    worker.start()
    while shelf.get(keys[-1]) is None:
        assert worker.is_alive()
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join(60)
    for number, key in enumerate(keys):
        found = shelf.get(key)
        assert found is not None
        assert np.array_equal(found.data, _map(number).data)
