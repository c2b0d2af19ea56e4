"""A disk that is full, at any moment: a clear error, nothing acknowledged lost, and all goes on once there is room."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smalti.errors import SmaltiError, StorageError
from smalti.store import DatasetVersion, Store, ingest, open_store
from smalti.testing import frame, frames

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB in memory, which only root may mount."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("a small disk: this system has no mount")
    if mounted.returncode:
        pytest.skip("a small disk: only root may mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def leave(disk: Path, room: int) -> Path:
    """A file that leaves `room` bytes of the disk free."""
    found = os.statvfs(disk)
    size = max(found.f_bavail * found.f_frsize - room, 0)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return filler


def many(version: DatasetVersion, start: int) -> None:
    """A bulk load in small commits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "FEW", 10)
        patch.setattr(ingest, "COMMITTED_AT_ONCE", 40)
        version.add_frames(frames(200, start=start))


ACTS: dict[str, Callable[[Store], object]] = {
    "save": lambda store: store["data"]["draft"].update_frame(frame(7, blob="new")),
    "load": lambda store: many(store["data"]["draft"], 500),
    "delete": lambda store: store["data"]["draft"].delete_frames(["f0011"]),
    "publish": lambda store: store["data"]["draft"].publish(),
    "child": lambda store: store["data"]["root"].child("another"),
    "declare": lambda store: store["data"].declare("meta.n", "int"),
    "dataset": lambda store: store.create_dataset("another"),
    "describe": lambda store: store["data"]["draft"].describe("x" * 20_000),
    "purge": lambda store: store.purge(["f0012"], who="me", why="test"),
    "maintain": lambda store: store.maintain(),
}


@pytest.mark.parametrize("act", ACTS)
def test_any_act_on_a_full_disk_is_done_or_refused_and_harms_nothing(disk: Path, act: str) -> None:
    store = open_store(disk / "store")
    data = store.create_dataset("data")
    data.create_version("root").add_frames(frames(60))
    data["root"].publish().child("draft").add_frames([frame(number, blob="kept") for number in range(50, 70)])
    refused: list[SmaltiError] = []
    for room in (0, 8 << 10, 24 << 10, 60 << 10, 200 << 10, 2 << 20):
        filler = leave(disk, room)
        done = False
        try:
            ACTS[act](store)
            done = True
        except SmaltiError as error:
            refused.append(error)
        with open_store(disk / "store") as again:
            draft = again["data"]["draft"]
            done |= draft.is_published  # only its entry in the audit trail did not fit
            found = {record.id: record.blob for record in draft.records()}
            changed = {"delete": "f0011", "purge": "f0012", "save": "f0007"}.get(act)
            for number in range(70):
                if f"f{number:04d}" != changed:
                    assert found[f"f{number:04d}"] == ("kept" if number >= 50 else None)
        filler.unlink()
        assert store.verify().problems == []
        if done:
            break
    assert done, refused
    assert refused or act == "maintain"
    assert all(isinstance(error, StorageError) and "free some space" in str(error) for error in refused), refused
    assert store["data"].create_version("goes on").add_frames(frames(20)) == []
    assert store.verify().problems == []
    store.close()


_SAVES = """
import json, random, resource, sys
from smalti.testing import frame
from smalti.errors import StorageError
from smalti.store import open_store
store = open_store(sys.argv[1])
draft = store.create_dataset("data").create_version("draft")

def load(start, stop):  # texts that no codec makes smaller: files of frames reach the limit before the catalog's log does
    noise = random.Random(start)
    draft.add_frames([frame(number, blob=noise.randbytes(1000).hex()) for number in range(start, stop)])

load(0, 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (96 << 10, 96 << 10))
count = 20
try:
    while True:
        load(count, 2 * count)
        count *= 2
except StorageError as error:
    print(json.dumps([count, str(error)]))
"""


def test_a_limit_on_the_size_of_files_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SAVES, tmp_path / "store"],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    count, message = json.loads(done.stdout)
    assert "limit on the size of files" in message
    store = open_store(tmp_path / "store")
    draft = store["data"]["draft"]
    assert [record.id for record in draft.records()][:count] == [f"f{number:04d}" for number in range(count)]
    assert store.verify().problems == []
    assert draft.add_frames(frames(10, start=9000)) == []
    store.close()
