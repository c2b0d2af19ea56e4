"""Tokens of the loader: whatever the ranks and batches, changed in the middle, exactly the remaining samples come."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import smalti as sm
from smalti.order import Position, Shard

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from smalti.feed import torch as feed_torch  # noqa: E402
from smalti.feed.torch import StreamDataset, loader  # noqa: E402

COUNT = 23
RANKS, WORKERS = [1, 2, 4], [1, 2, 3, 8]
KINDS = ["sequential", "random", "weighted", "endless", "drawn", "together", "clips"]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[sm.SingleFrame]:
    folder: Path = tmp_path_factory.mktemp("tiny")
    found = []
    for number in range(COUNT):
        path = str(folder / f"{number}.png")
        Image.fromarray(np.full((1, 1, 3), number, np.uint8)).save(path)
        frame = sm.SingleFrame(
            path, id=f"f{number:02d}", context_id=f"c{number // 6}", timestamp=number * 100, mask_source=path
        )
        frame.add_annotation(mask_rgb=(number,) * 3, labels=["car" if number % 3 else "bus"])
        found.append(frame)
    return found


def make(kind: str, frames: list[sm.SingleFrame]) -> sm.DataView:
    view = sm.DataView(frames)
    if kind in ("weighted", "endless"):
        view.add_query(roi_query="car", weight=1).add_query(roi_query="bus", weight=2.5)
    if kind == "drawn":
        view = view.sample("label", seed=3)
    if kind == "endless":
        view.set_iteration_parameters(infinite=True, maximum_number_of_frames=61)
    if kind == "together":
        view.set_iteration_parameters(min_sequence=250)
    return view.set_iteration_parameters("sequential" if kind == "sequential" else "random", random_seed=7)


def options(kind: str) -> dict[str, Any]:
    return {"clip": 2, "clip_step": 1} if kind == "clips" else {}


def shown(batch: Any) -> list[int]:
    """Which frame each sample is of; of a clip its first."""
    return [int(image.flatten()[0]) for image in batch[0]]


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.sampled_from(RANKS), st.integers(1, 5)), min_size=2, max_size=4),
    st.data(),
)
@settings(max_examples=25, deadline=None)
def test_ranks_and_batches_may_change_at_every_token(
    frames: list[sm.SingleFrame], kind: str, turns: list[tuple[int, int]], data: st.DataObject
) -> None:
    view = make(kind, frames)
    every = [n for batch in loader(view, batch_size=8, **options(kind)) for n in shown(batch)]
    token: str | None = None
    seen: list[int] = []
    for ranks, batch in turns:
        feeds = [
            loader(view, batch_size=batch, resume=token, rank=r, ranks=ranks, **options(kind)) for r in range(ranks)
        ]
        if data.draw(st.booleans()):  # all in step: one token tells
            count = data.draw(st.integers(0, 2))
            ahead = [[n for b in itertools.islice(feed, count) for n in shown(b)] for feed in feeds]
            seen += [n for found in ahead for n in found]
            longest = max(range(ranks), key=lambda rank: len(ahead[rank]))
            token = feeds[longest].state()
        else:
            seen += [
                n for feed in feeds for b in itertools.islice(feed, data.draw(st.integers(0, 2))) for n in shown(b)
            ]
            token = str(Position.merge([feed.own_state() for feed in feeds]))
        assert len(Position.read(token)) == len(seen)
        if len(seen) == len(every):
            break
    if loader(view, resume=token, **options(kind)).epoch == 0:
        seen += [n for batch in loader(view, batch_size=3, resume=token, **options(kind)) for n in shown(batch)]
    assert sorted(seen) == sorted(every)


@pytest.mark.parametrize("kind", KINDS)
def test_streams_of_workers_of_ranks_are_the_whole(
    frames: list[sm.SingleFrame], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = make(kind, frames)
    every = sorted(n for batch in loader(view, batch_size=8, **options(kind)) for n in shown(batch))
    for ranks, workers in itertools.product(RANKS, WORKERS):
        got = []
        for rank, worker in itertools.product(range(ranks), range(workers)):
            info = Shard(0, 1, worker, workers)
            monkeypatch.setattr(
                feed_torch,
                "get_worker_info",
                lambda info=info: type("Info", (), {"id": info.worker, "num_workers": info.workers}),
            )
            got += [int(i.flatten()[0]) for i, _ in StreamDataset(view, rank=rank, ranks=ranks, **options(kind))]
        assert sorted(got) == every


def test_weights_are_kept_in_an_endless_view(frames: list[sm.SingleFrame]) -> None:
    view = make("endless", frames).set_iteration_parameters(maximum_number_of_frames=700)
    seen = [n for batch in loader(view, batch_size=50) for n in shown(batch)]
    assert abs(sum(n % 3 == 0 for n in seen) / 700 - 2.5 / 3.5) < 0.01
