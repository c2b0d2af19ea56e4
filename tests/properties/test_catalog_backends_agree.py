"""Random work on a catalog in SQLite and on one in objects: every answer and every refusal is the same."""

import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from smalti.errors import VersionError
from smalti.store.catalog import Catalog, Opener
from smalti.store.catalog_objects import ObjectsBackend
from smalti.store.rows import DatasetRow, LeaseRow, VersionRow

START = datetime(2031, 5, 6, 12, tzinfo=UTC)


def outcome(act: Callable[[], Any]) -> Any:
    """What a call returned or refused, without what differs by nature: tokens and times of writing."""
    try:
        result = act()
    except VersionError as error:
        return type(error).__name__, str(error)
    if isinstance(result, LeaseRow):
        return result.owner, result.expires
    return result


def act_on(catalog: Catalog, step: dict[str, Any], now: datetime, held: list[LeaseRow]) -> Any:
    """One step of work; `held` are the leases that this catalog gave."""
    kind, a, b, name, state = (step[key] for key in ("kind", "a", "b", "name", "state"))
    if kind == "dataset":
        return catalog.create_dataset(DatasetRow(uuid=a, name=name, project=step["project"], created=now, updated=now))
    if kind == "version":
        row = VersionRow(uuid=b, dataset=a, name=name, parents=step["parents"], created=now, updated=now)
        return catalog.create_version(row)
    if kind == "move":
        return catalog.update_version(b, expect_state=step["expect"], state=state, updated=now)
    if kind == "rename":
        return catalog.update_version(b, name=name, updated=now)
    if kind == "drop version":
        return catalog.delete_version(b)
    if kind == "drop dataset":
        return catalog.delete_dataset(a)
    if kind == "lease":
        held.append(catalog.acquire_lease(b, name, 10))
        return held[-1]
    if kind == "renew" and held:
        return catalog.renew_lease(held[step["turn"] % len(held)], 10)
    if kind == "release" and held:
        return catalog.release_lease(held[step["turn"] % len(held)])
    return [
        catalog.list_datasets(),
        catalog.list_versions(a, deleted=True),
        catalog.get_lease(b),
        catalog.find_version(a, name),
    ]


def random_step(rng: random.Random) -> dict[str, Any]:
    a, k = rng.choice(["d0", "d1"]), rng.randrange(3)  # ids are never used again elsewhere: they tell their dataset
    kinds = ["dataset", "version", "version", "move", "move", "rename", "drop version", "drop dataset"]
    states = ["draft", "publishing", "published", "deleted"]
    return {
        "kind": rng.choice([*kinds, "lease", "lease", "renew", "release", "look"]),
        "a": a,
        "b": f"{a}-{k}",
        "name": rng.choice(["x", "y", "z"]),
        "project": rng.choice([None, None, "p"]),
        "parents": rng.choice([[], [], ["d0-0"], ["d1-1"]]),
        "state": rng.choice(states),
        "expect": rng.choice([None, "draft", ("draft", "publishing")]),
        "turn": rng.randrange(100),
        "wait_s": rng.choice([0, 1, 6]),
    }


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_sqlite_and_objects_answer_alike(seed: int) -> None:
    rng, now = random.Random(seed), [START]
    memory = MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        catalogs = (
            Catalog(Opener(folder), clock=lambda: now[0]),
            Catalog(lambda: ObjectsBackend(memory, "memory://"), clock=lambda: now[0]),
        )
        held: tuple[list[LeaseRow], list[LeaseRow]] = ([], [])
        with catalogs[0], catalogs[1]:
            for number in range(120):
                step = random_step(rng)
                now[0] += timedelta(seconds=step["wait_s"], microseconds=1)
                answers = [outcome(partial(act_on, c, step, now[0], h)) for c, h in zip(catalogs, held, strict=True)]
                assert _comparable(answers[0]) == _comparable(answers[1]), (number, step)


def _comparable(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_comparable(part) for part in answer]
    return (answer.owner, answer.expires) if isinstance(answer, LeaseRow) else answer
