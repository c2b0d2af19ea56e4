"""A server as people use it: many at once for long, and one that dies while they edit."""

import asyncio
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import soaking
from tests.browsing import Asker, Browsed, Running, browse, make_keys, running
from tests.serving import make_store

from smalti.store import open_store

FRAMES = 40
PEOPLE = 50
SECONDS = 300.0


def prepared(folder: Path, frames: int = FRAMES, size_hw: tuple[int, int] | None = None) -> Path:
    """A store of small pictures; with a size, larger ones of the same content."""
    store = folder / "store"
    make_store(store, frames).close()
    if size_hw is not None:
        for path in (store / "files").glob("*.png"):
            picture = Image.fromarray(np.asarray(Image.open(path)))
            picture.resize((size_hw[1], size_hw[0]), Image.Resampling.NEAREST).save(path)
    return store


# -------------------------------------------------------------------------------------------------------- browsing
def test_a_few_people_browse_without_errors(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    keys = make_keys(store, 5)
    with running(store) as server:
        found = asyncio.run(browse(server, keys, seconds=2, pause_s=(0, 0.01)))
    assert found.errors == {}
    assert found.requests > 50


def growth_of(found: Browsed) -> float:
    """Memory at the end against that after the first fifth, by when caches have what there is."""
    seconds = found.memory[-1][0]
    early = [size for at, size in found.memory if 0.2 * seconds <= at < 0.4 * seconds]
    late = [size for at, size in found.memory if at >= 0.8 * seconds]
    return float(np.median(late) / np.median(early))


@pytest.mark.soak
def test_fifty_people_browse_for_five_minutes(tmp_path: Path) -> None:
    store = prepared(tmp_path, 400, (270, 480))
    keys = make_keys(store, PEOPLE)
    with running(store) as server:
        found = asyncio.run(browse(server, keys, SECONDS, pause_s=(0.2, 1.8)))
    p99, growth = found.quantile("json", 0.99), growth_of(found)
    of = f"{found.requests} requests, JSON p50 {found.quantile('json', 0.5) * 1e3:.0f} ms"
    soaking.record(
        f"{PEOPLE} people browse a server for {SECONDS / 60:.0f} minutes",
        wrong={
            "errors": found.errors.total(),
            "JSON p99 over 500 ms, in ms": max(0, round(p99 * 1e3) - 500),
            "memory grown by more than a tenth, in %": max(0, round(growth * 100) - 110),
        },
        of=f"{of}, p99 {p99 * 1e3:.0f} ms, memory {growth:.2f}× that of the second minute, load {os.getloadavg()[1]:.0f}",
    )
    assert found.errors == {}
    assert p99 <= 0.5
    assert growth <= 1.1


# ------------------------------------------------------------------------------------------------------------ kills
async def edit(server: Running, writer: int, turn: int, promised: dict[str, int], asked: dict[str, int]) -> None:
    """Edit frames of one's own, one after the other, until the server is gone; keep what it acknowledged."""
    asker, draw = Asker(server.port), random.Random(turn * 100 + writer)
    path = "/versions/street@v2/frames/"
    try:
        for number in range(100_000):
            name = f"f{writer + 3 * draw.randrange(FRAMES // 3)}"
            status, headers, _ = await asker.ask("GET", path + name)
            assert status == 200
            value = turn * 1_000_000 + number
            asked[name] = value
            body = {"meta": {"value": value}}
            status, _, data = await asker.ask("PATCH", path + name, body, {"If-Match": headers["etag"]})
            assert status == 200, data
            promised[name] = json.loads(data)["frame"]["meta"]["value"]
            assert promised[name] == value
    except (ConnectionError, asyncio.IncompleteReadError):
        return
    finally:
        asker.close()


async def die_while_edited(server: Running, turn: int, after_s: float, promised: Any, asked: Any) -> None:
    async def strike() -> None:
        before = len(promised)
        until = time.monotonic() + 20
        while len(promised) == before and time.monotonic() < until:
            await asyncio.sleep(0.005)
        await asyncio.sleep(after_s)
        await asyncio.to_thread(server.kill)

    await asyncio.gather(strike(), *(edit(server, writer, turn, promised, asked) for writer in range(3)))


def run_kills(folder: Path, kills: int, seed: int) -> tuple[int, list[str], list[str]]:
    """(frames whose edit was acknowledged, what was lost, what `verify` finds) over some deaths of a server."""
    store, draw = prepared(folder), random.Random(seed)
    lost: list[str] = []
    problems: list[str] = []
    total = 0
    for turn in range(kills):
        promised: dict[str, int] = {}
        asked: dict[str, int] = {}
        with running(store) as server:
            asyncio.run(die_while_edited(server, turn, draw.uniform(0.0, 0.8), promised, asked))
        total += len(promised)
        data = open_store(store)
        draft = data["street"]["v2"]
        for name, value in promised.items():
            # What was asked last may be there too: the server died before it could say so.
            kept = draft.get_record(name).meta.get("value")
            if kept not in (value, asked[name]):
                lost.append(f"{name}: {value} was acknowledged, {kept} is there")
        problems += [str(problem) for problem in data.verify().problems]
        data.close()
    return total, lost, problems


def test_a_server_that_is_killed_loses_no_acknowledged_edit(tmp_path: Path) -> None:
    total, lost, problems = run_kills(tmp_path, kills=1, seed=3)
    assert (lost, problems) == ([], [])
    assert total > 0


@pytest.mark.soak
def test_twenty_kills(tmp_path: Path) -> None:
    total, lost, problems = run_kills(tmp_path, kills=20, seed=7)
    soaking.record(
        "20 kills of a server while three people edit",
        wrong={"acknowledged and lost": len(lost), "problems found by verify": len(problems)},
        of=f"{total} frames acknowledged",
    )
    assert (lost, problems) == ([], [])
    assert total > 0
