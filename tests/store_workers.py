"""What the processes do that tests of the store start, race and kill. Each acknowledges on stdout what is safe."""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from smalti.errors import SmaltiError
from smalti.store import Dataset, ingest, open_store
from smalti.store.maintain import tidy
from smalti.testing import frame

__all__ = ["KILLED", "save_some", "watch"]


def say(**fact: Any) -> None:
    """One line that the parent reads; what it says has happened."""
    print(json.dumps(fact), flush=True)


def save_forever(data: Dataset, turn: int) -> None:
    """Single frames, some new and some changed."""
    draft = data["draft"]
    for step in range(100_000):
        number = turn * 1000 + step % 40
        draft.update_frame(frame(number, blob=f"{turn}/{step}"))
        say(draft="draft", id=f"f{number:04d}", blob=f"{turn}/{step}")


def load_forever(data: Dataset, turn: int) -> None:
    """Bulk loads into the same draft, half of the ids known."""
    ingest.FEW, ingest.COMMITTED_AT_ONCE, ingest.CONVERTED_AT_ONCE = 10, 100, 50
    draft = data["draft"]
    for step in range(100_000):
        blob = f"{turn}/{step}"
        numbers = range(step * 60, step * 60 + 120)
        failed = draft.add_frames(frame(number, blob=blob) for number in numbers)
        assert failed == []
        for number in numbers:
            say(draft="draft", id=f"f{number:04d}", blob=blob)


def publish_forever(data: Dataset, turn: int) -> None:
    """A chain of versions, each with a few changes."""
    version = data["root"]
    for step in range(100_000):
        version = version.child(f"v{turn}-{step}")
        version.add_frames([frame(step, blob=f"{turn}/{step}"), frame(500 + step)])
        say(draft=version.name, id=f"f{step:04d}", blob=f"{turn}/{step}")
        version.publish()
        say(published=version.name, frames=len(version))


def maintain_forever(data: Dataset, turn: int) -> None:
    """Writes, compaction, indices, cleanup, new and deleted versions."""
    draft = data["draft"]
    for step in range(100_000):
        blob = f"{turn}/{step}"
        draft.add_frames([frame(number, blob=blob) for number in range(step % 20, 400, 20)])
        for number in range(step % 20, 400, 20):
            say(draft="draft", id=f"f{number:04d}", blob=blob)
        with draft.lease("maintenance") as renew, draft.writing() as branch:
            tidy(branch, renew, thorough=True)
        data.engine.at(draft.row.branch).clean_up(timedelta(days=1))
        data["root"].child(f"gone-{turn}-{step}").delete()
        data.store.maintain()


KILLED: dict[str, Callable[[Dataset, int], None]] = {
    "save": save_forever,
    "load": load_forever,
    "publish": publish_forever,
    "maintain": maintain_forever,
}


# ------------------------------------------------------------------------------------------------ racing processes
def save_some(folder: str, writer: int, saves: int, shared: int, seconds: float) -> list[str]:
    """Save frames of its own, and frames that every writer saves: `saves` of each, or for `seconds` where that is 0.

    Returns:
        The ids that were acknowledged, in order.
    """
    draft = open_store(folder)["data"]["draft"]
    done: list[str] = []
    until = time.monotonic() + seconds
    while len(done) < 2 * saves or (not saves and time.monotonic() < until):
        step = len(done) // 2
        for number in ((writer + 1) * 100_000 + step, 900 + step % shared):
            draft.update_frame(frame(number, blob=f"writer {writer}"))
            done.append(f"f{number:04d}")
    return done


def load_some(folder: str, count: int) -> list[str]:
    """One bulk load of frames 900 and following, in small commits."""
    ingest.FEW, ingest.COMMITTED_AT_ONCE, ingest.CONVERTED_AT_ONCE = 1, 7, 7
    draft = open_store(folder)["data"]["draft"]
    assert draft.add_frames(frame(number, blob="bulk") for number in range(900, 900 + count)) == []
    return [f"f{number:04d}" for number in range(900, 900 + count)]


def watch(folder: str, seconds: float) -> list[str]:
    """Read again and again; returns what was wrong with what it saw."""
    draft = open_store(folder)["data"]["draft"]
    wrong: list[str] = []
    seen: set[str] = set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            records = list(draft.records())
        except SmaltiError as error:
            wrong.append(str(error))
            continue
        ids = {record.id or "" for record in records}
        wrong += [f"{len(seen - ids)} frames vanished"] if seen - ids else []
        seen = ids
    return wrong


if __name__ == "__main__":
    name, place, number = sys.argv[1:]
    found = open_store(Path(place))["data"]
    say(ready=True)
    KILLED[name](found, int(number))
