"""A token taken anywhere, taken up by any other number of ranks and workers, gives exactly the remaining frames."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import QueryError
from smalti.order import Position, Shard, mix, mix_all, permutation
from smalti.records import Frame, Roi, Source
from smalti.view import DataView

FRAMES = [
    Frame(
        id=f"f{i:03}",
        sources=[Source(id="a", uri=f"u{i}")],
        context_id=f"c{i // 7}",
        timestamp=(i * 37) % 7 * 100,
        rois=[Roi(label=["car"] if i % 3 else ["bus"])],
    )
    for i in range(53)
]
WORKERS = [1, 2, 3, 8]
RANKS = [1, 2, 4]


def make(kind: str, frames: list[Frame] = FRAMES) -> DataView:
    view = DataView(frames)
    if kind in ("mixed", "endless"):
        view.add_query("bus", weight=3).add_query("car", weight=1)
    if kind == "endless":
        return view.set_iteration_parameters("random", True, 131, random_seed=5)
    if kind == "clips":
        return view.set_iteration_parameters("random", min_sequence=200)
    return view.set_iteration_parameters("sequential" if kind == "sequential" else "random", random_seed=9)


def shards(ranks: int, workers: int, batch: int = 1) -> list[Shard]:
    return [Shard(r, ranks, w, workers, batch) for r in range(ranks) for w in range(workers)]


def ids(items: object) -> list[str]:
    return [item["id"] for item in items]  # type: ignore[attr-defined]


KINDS = st.sampled_from(["sequential", "random", "mixed", "endless", "clips"])


@given(KINDS, st.sampled_from(WORKERS), st.sampled_from(RANKS), st.integers(1, 4), st.integers(0, 60), st.data())
@settings(max_examples=60, deadline=None)
def test_uneven_shares_are_joined_and_dealt_anew(
    kind: str, workers: int, ranks: int, batch: int, stop: int, data: st.DataObject
) -> None:
    view = make(kind)
    every = ids(view.iterate(output=["id"]))
    token: str | None = None
    delivered: list[str] = []
    for _ in range(3):
        running = [view.iterate(resume=token, shard=s, output=["id"]) for s in shards(ranks, workers, batch)]
        for iterator in running:
            delivered += ids(itertools.islice(iterator, data.draw(st.integers(0, stop // len(running) + 2))))
        token = str(Position.merge([iterator.own_state() for iterator in running]))
        assert len(Position.read(token)) == len(delivered)
        workers, ranks = data.draw(st.sampled_from(WORKERS)), data.draw(st.sampled_from(RANKS))
        batch = data.draw(st.integers(1, 4))
    rest = [view.iterate(resume=token, shard=s, output=["id"]) for s in shards(ranks, workers, batch)]
    delivered += ids(itertools.chain(*rest))
    assert sorted(delivered) == sorted(every)


@pytest.mark.parametrize("kind", ["sequential", "random", "endless"])
@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("workers", WORKERS)
def test_ranks_in_step_need_one_token_only(kind: str, ranks: int, workers: int) -> None:
    view = make(kind)
    every = ids(view.iterate(output=["id"]))
    for new_ranks, new_workers in [(1, 1), (4, 3), (2, 8)]:
        first = [view.iterate(shard=Shard(rank, ranks), output=["id"]) for rank in range(ranks)]
        delivered = [ids(itertools.islice(iterator, 5)) for iterator in first]
        token = first[-1].state()
        assert {iterator.state() for iterator in first} == {token}
        rest = [view.iterate(resume=token, shard=s, output=["id"]) for s in shards(new_ranks, new_workers)]
        assert sorted([*itertools.chain(*delivered), *ids(itertools.chain(*rest))]) == sorted(every)
        assert len(token) < 40


@given(st.sampled_from(WORKERS), st.sampled_from(RANKS), st.integers(1, 5))
@settings(deadline=None)
def test_batches_collected_from_workers_in_turn_come_in_the_order_of_the_view(
    workers: int, ranks: int, batch: int
) -> None:
    view = make("random")
    every = ids(view.iterate(output=["id"]))
    for rank in range(ranks):
        mine = [view.iterate(shard=s, output=["id"]) for s in shards(ranks, workers, batch) if s.rank == rank]
        got: list[str] = []
        for turn in itertools.count():
            taken = ids(itertools.islice(mine[turn % workers], batch))
            if not taken:
                break
            got += taken
        assert got == every[rank::ranks]


def test_a_token_counts_what_was_delivered_not_what_was_read() -> None:
    iterator = make("random").iterate(output=["id"])
    first = [next(iterator)["id"] for _ in range(7)]
    assert len(Position.read(iterator.state())) == 7
    rest = ids(make("random").iterate(resume=iterator.state(), output=["id"]))
    assert first + rest == ids(make("random").iterate(output=["id"]))


def test_a_token_of_another_view_is_refused() -> None:
    token = make("random").iterate().state()
    for other in (make("sequential"), make("random", FRAMES[:-1]), make("mixed")):
        with pytest.raises(QueryError, match="this token is of view"):
            other.iterate(resume=token)
    with pytest.raises(QueryError, match="not the token"):
        make("random").iterate(resume="hello")
    labelled = make("random").map_labels({"car": 1})
    assert len(list(labelled.iterate(resume=token, output=["id"]))) == len(FRAMES)  # numbers do not change the order


def test_epochs_differ_and_a_token_brings_its_own() -> None:
    view = make("random")
    epochs = [ids(view.iterate(epoch=e, output=["id"])) for e in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert sorted(epochs[0]) == sorted(epochs[1])
    iterator = view.iterate(epoch=2, output=["id"])
    first = ids(itertools.islice(iterator, 10))
    assert first + ids(view.iterate(resume=iterator.state(), output=["id"])) == epochs[2]


def test_a_token_of_nothing_delivered_brings_its_epoch_too() -> None:
    view = make("random")
    start = view.iterate(epoch=3)
    assert ids(view.iterate(resume=start.state(), output=["id"])) == ids(view.iterate(epoch=3, output=["id"]))
    windows = [[f.id for f in window] for window in view.clips(2, epoch=3)]
    resumed = view.clips(2, resume=Position.read(view.clips(2, epoch=3).state()))
    assert [[f.id for f in window] for window in resumed] == windows


@given(
    st.integers(0, 50),
    st.sets(st.integers(0, 200), max_size=40),
    st.lists(st.sets(st.integers(0, 250), max_size=30), max_size=3),
)
def test_positions_are_sets(done: int, ahead: set[int], more: list[set[int]]) -> None:
    position = Position("v", 3, done).add(ahead)
    known = set(range(done)) | ahead
    for positions in more:
        position = position.add(positions)
        known |= positions
    assert Position.read(str(position)) == position
    assert len(position) == len(known)
    left = position.left(np.arange(30)).tolist()
    assert left == list(itertools.islice((i for i in itertools.count() if i not in known), 30))


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.integers(0, 3000), st.integers(1, 200), st.integers(0, 9)
)
def test_mixing_is_even_everywhere_and_can_be_entered_anywhere(
    weights: list[float], start: int, count: int, seed: int
) -> None:
    draw = mix(weights, start, start + count, seed)
    whole = mix(weights, 0, start + count, seed)
    assert draw.of.tolist() == whole.of[start:].tolist()
    assert draw.turn.tolist() == whole.turn[start:].tolist()
    for f, weight in enumerate(weights):
        turns = whole.turn[whole.of == f].tolist()
        assert turns == list(range(len(turns)))
        assert abs(len(turns) - (start + count) * weight / sum(weights)) < 4


def test_far_positions_are_entered_at_once() -> None:
    weights = [3.0, 0.5, 7.0]
    draw = mix(weights, 10**12, 10**12 + 1000, 1)
    for f, weight in enumerate(weights):
        assert abs(draw.turn[draw.of == f][0] - 10**12 * weight / sum(weights)) < 10


def test_each_position_falls_to_a_filter_by_its_weight() -> None:
    weights = [1.0, 2.0, 5.0]
    hits = [0, 0, 0]
    seeds = 4000
    for seed in range(seeds):
        hits[int(mix(weights, 17, 18, seed).of[0])] += 1
    for hit, weight in zip(hits, weights, strict=True):
        share = weight / 8
        assert abs(hit / seeds - share) < 4.5 * (share * (1 - share) / seeds) ** 0.5


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4), st.integers(0, 5))
def test_mixing_all_serves_each_frame_once(sizes: list[int], seed: int) -> None:
    draw = mix_all([i + 1.0 for i in range(len(sizes))], sizes, seed)
    pairs = list(zip(draw.of.tolist(), draw.turn.tolist(), strict=True))
    assert sorted(pairs) == [(f, i) for f, size in enumerate(sizes) for i in range(size)]


def test_permutations_are_what_they_have_always_been() -> None:
    assert permutation(10, "view", 1337, 0).tolist() == PINNED
    assert sorted(permutation(1000, 1).tolist()) == list(range(1000))
    assert permutation(0, "x").tolist() == []


PINNED = [1, 3, 7, 4, 2, 9, 5, 0, 8, 6]
