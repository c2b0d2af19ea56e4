"""Filters over columns, and what is evaluated on top, answer as the plain evaluation of a frame does."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tests.query_cases import many, queries

from smalti.query.match import matches
from smalti.query.nodes import Node, Not, Some, Term
from smalti.query.values import ANY_TEXT
from smalti.records import Frame, Source
from smalti.store.derive import derive
from smalti.store.engine import Branch, Engine
from smalti.store.ingest import record_of
from smalti.store.pushdown import FALSE, TRUE, Columns, labels_in, plan
from smalti.store.residue import columns_of, evaluate
from smalti.store.schema import to_rows

HEALTH = [
    HealthCheck.too_slow,
    HealthCheck.function_scoped_fixture,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
]
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = Engine(str(tmp_path_factory.mktemp("pushdown") / "frames.lance"))
    made.create()
    return made


def _branch(engine: Engine, rows: object) -> Branch:
    name = f"v-{np.random.default_rng().integers(2**62):x}.lance"
    engine.create_branch(name)
    branch = engine.at(name)
    branch.append([rows])  # type: ignore[list-item]
    return branch.snapshot()


def _expected(tree: Node, frames: list[Frame], facts: list, labels: str) -> list[str]:
    stored = [None if f is None else {each.mask: each for each in f} for f in facts]
    return [f.id for f, each in zip(frames, stored, strict=True) if matches(tree, f, each, labels)]  # type: ignore[arg-type,misc]


LOOK_ALIKES = [
    Frame(id=f"f{i}", sources=[Source(id="s", uri="a.png")], meta={"n": value})
    for i, value in enumerate(
        [-1, 1, "1", "-1", 5, "5", 0.5, True, "true", "true!", 1e17, "1e17", 1e300, "1" + "0" * 150]
    )
]
"""Numbers and truth values beside the texts that have the same token, or that hold the same word."""
ASKED = [
    Term("frame", "meta.n", text, kind)  # type: ignore[arg-type]
    for text, kind in [
        *((text, "word") for text in ("-1", ".5", "-5", "true!", "1e17", "1e300")),
        ("10000" + ANY_TEXT, "wildcard"),
    ]
]


@example((LOOK_ALIKES, [None] * len(LOOK_ALIKES)), [*ASKED, *map(Not, ASKED)], "either")
@given(many(16), st.lists(queries(), min_size=20, max_size=40), st.sampled_from(["either", "written"]))
@settings(max_examples=20, deadline=None, suppress_health_check=HEALTH, phases=PHASES)
def test_filter_and_residue_equal_the_plain_evaluation(engine: Engine, case, trees, labels) -> None:
    frames, facts = [record_of(frame) for frame in case[0]], case[1]
    rows = derive(to_rows(frames), facts)
    branch = _branch(engine, rows)
    sets = {
        token: labels_in(token)
        for token in branch.table(["labelsets"]).column(0).combine_chunks().flatten().to_pylist()
    }
    for tree in trees:
        found = plan(tree, Columns(sets, labels=labels))
        may = _ids(branch, found.may)
        must = _ids(branch, found.must)
        expected = _expected(tree, frames, facts, labels)
        assert set(must) <= set(expected) <= set(may), (tree, found)
        opened = []
        if found.open != FALSE:
            where = None if found.open == TRUE else found.open
            for batch in branch.scan(list(dict.fromkeys(["id", *columns_of(tree, labels)])), where):
                opened += batch.column("id").filter(evaluate(tree, batch, labels)).to_pylist()
        assert sorted(must + opened) == sorted(expected), (tree, found)


def _ids(branch: Branch, where: str) -> list[str]:
    if where == FALSE:
        return []
    ids: list[str] = branch.table(["id"], None if where == TRUE else where).column("id").to_pylist()
    return ids


@given(many(), queries())
@example(([Frame(id="f0", sources=[])], [None]), Not(Some("roi", Term("roi", "label", "car", exact=True))))
@settings(max_examples=150, deadline=None, suppress_health_check=HEALTH, phases=PHASES)
def test_columns_alone_equal_the_plain_evaluation(case, tree) -> None:
    frames, facts = [record_of(f) if f.sources else f for f in case[0]], case[1]
    rows = derive(to_rows(frames), facts)
    hits = evaluate(tree, rows.select(columns_of(tree))) if columns_of(tree) else evaluate(tree, rows)
    assert [f.id for f, hit in zip(frames, hits.tolist(), strict=True) if hit] == _expected(
        tree, frames, facts, "either"
    )
