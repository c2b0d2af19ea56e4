"""Processes killed at random moments: nothing acknowledged is lost, nothing half-written is seen, everything opens."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import soaking
from tests.store_workers import KILLED

from smalti.store import Dataset, open_store
from smalti.store.rows import LeaseRow
from smalti.testing import frames

ROOT = Path(__file__).resolve().parent.parent.parent


def prepared(folder: Path) -> Dataset:
    store = open_store(folder)
    data = store.create_dataset("data")
    data.create_version("root").add_frames(frames(300))
    data["root"].publish().child("draft")
    store.close()
    return data


def killed(kind: str, folder: Path, turn: int, after_s: float) -> list[dict[str, Any]]:
    """What a worker acknowledged before it was killed.

    In even turns it is killed `after_s` seconds after it was ready, which may be before its first commit. In odd turns
    the time runs from its first acknowledgement: however slow the machine is, something was promised.
    """
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.store_workers", kind, str(folder), str(turn)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b'{"ready": true}\n'
    lines = [worker.stdout.readline() for _ in range(turn % 2)]
    timer = threading.Timer(after_s, worker.send_signal, [signal.SIGKILL])
    timer.start()
    lines += worker.stdout.read().splitlines(keepends=True)
    worker.wait()
    timer.cancel()
    worker.stdout.close()
    assert worker.returncode == -signal.SIGKILL, "the worker ended by itself"
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def end_leases(data: Dataset) -> None:
    """As if the time of a dead process's leases had passed."""
    for version in data.catalog.list_versions(data.id, deleted=True):
        lease = data.catalog.connect().get(LeaseRow, version.uuid)
        if lease is not None:
            data.catalog.release_lease(lease)


def moment(blob: str) -> tuple[int, ...]:
    """When a worker wrote this: its turn and step."""
    return tuple(map(int, blob.split("/")))


@dataclass
class Tally:
    """What a run of kills came to."""

    kills: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)


def check(folder: Path, acknowledged: list[dict[str, Any]], promised: dict[tuple[str, str], str], tally: Tally) -> None:
    """Every promise is kept. A later write that was not acknowledged may be there too, but only as a whole."""
    store = open_store(folder)
    data = store["data"]
    end_leases(data)
    for fact in acknowledged:
        if "id" in fact:
            promised[fact["draft"], fact["id"]] = fact["blob"]
    for name in {draft for draft, _ in promised}:
        found = {record.id: record.blob for record in data[name].records()}
        for (draft, id_), blob in promised.items():
            if draft != name:
                continue
            kept = found.get(id_) or "-1/-1"
            if moment(kept) < moment(blob):
                tally.lost.append(f"{id_} of {name} is of {kept}, but that of {blob} was acknowledged")
            promised[draft, id_] = max(kept, blob, key=moment)
    for fact in acknowledged:
        if "published" in fact:
            version = data[fact["published"]]
            if (version.state, len(version)) != ("published", fact["frames"]):
                tally.lost.append(f"{version.name} is {version.state} with {len(version)} frames: {fact}")
    tally.halves += store.verify().problems
    if [record.id for record in data["root"].records()] != [item.id for item in frames(300)]:
        tally.lost.append("frames of the published root")
    tally.halves += [version.name for version in data.versions() if version.state not in ("draft", "published")]
    tally.kills += 1
    tally.acknowledged += len(acknowledged)
    store.close()


def run(kind: str, folder: Path, kills: int, seed: int) -> Tally:
    prepared(folder)
    draw = random.Random(seed)
    promised: dict[tuple[str, str], str] = {}
    tally = Tally()
    for turn in range(kills):
        check(folder, killed(kind, folder, turn, draw.uniform(0.01, 0.7)), promised, tally)
    store = open_store(folder)
    draft = store["data"]["draft"]
    assert draft.add_frames(frames(3, start=2000)) == []  # and it goes on
    assert draft.publish().is_published
    store.close()
    return tally


@pytest.mark.parametrize("kind", KILLED)
def test_five_kills(kind: str, tmp_path: Path) -> None:
    tally = run(kind, tmp_path / "store", kills=5, seed=len(kind))
    assert (tally.lost, tally.halves) == ([], [])
    assert tally.acknowledged > 0


@pytest.mark.soak
@pytest.mark.parametrize("kind", KILLED)
def test_fifty_kills(kind: str, tmp_path: Path) -> None:
    tally = run(kind, tmp_path / "store", kills=50, seed=7)
    soaking.record(
        f"{tally.kills} kills of a process that does `{kind}`",
        wrong={"acknowledged and lost": len(tally.lost), "visible halves": len(tally.halves)},
        of=f"{tally.acknowledged} acknowledged",
    )
    assert (tally.lost, tally.halves) == ([], [])
    assert tally.acknowledged > 0
