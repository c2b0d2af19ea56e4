"""Rows from outside, looked over all at once or one by one: the quick look lets through what each row's own checks do."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store import adopt
from smalti.store.schema import TRUTH, from_rows, to_rows

Row = dict[str, Any]

LOOSE = pa.schema([field.with_nullable(True) for field in TRUTH])


def _frame(number: int) -> Frame:
    front = Source(id="front", uri=f"a/{number}.png", masks=[Mask(id="seg", uri="m.png"), Mask(id="ids", uri="i.png")])
    rear = Source(id="rear", uri=f"b/{number}.png")
    return Frame(
        id=f"f{number}",
        context_id="c",
        timestamp=number,
        sources=[front, rear][: 1 + number % 2],
        rois=[
            Roi(label=["car"], sources=["front"], poly=[1.0, 2.0, 3.0, 4.0]),
            Roi(label=["car", "bus"], sources=["front"], mask=RoiMask(id="seg", value=[1, 2, 3])),
        ],
    )


def _set(path: str, value: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        *steps, last = path.split("/")
        target: Any = row
        for step in steps:
            target = target[int(step)] if step.isdigit() else target[step]
        target[int(last) if last.isdigit() else last] = value

    return change


def _twice(row: Row) -> None:
    row["sources"][0]["masks"].append(dict(row["sources"][0]["masks"][0]))


CHANGES = [
    _twice,
    *(_set("id", value) for value in (None, "", "f0")),
    *(_set("sources", value) for value in (None, [])),
    *(_set("sources/0/id", value) for value in (None, "rear")),
    *(_set("sources/0/preview", value) for value in ({"uri": "p.png", "timestamp": 1.0}, {"uri": None})),
    _set("sources/0/masks/1", None),
    *(_set("rois", value) for value in (None, [])),
    *(_set("rois/0/sources", value) for value in (["nope"], [], ["rear"], [None], None)),
    *(_set("rois/0/label", value) for value in ([None], [], None)),
    _set("rois/0/poly", None),
    *(
        _set("rois/1/mask", {"id": "seg", "value": value})
        for value in ([7], [1, 2], [1, 2, 256], [1, 2, None], [-1, 5, 5], [2**32 - 1], [2**32], [-2], None)
    ),
    _set("rois/1/mask", {"id": None, "value": [1]}),
    *(_set("meta", value) for value in (None, '{"a":1}')),
    *(_set("rois/0/meta", value) for value in ("{", "[1]", '{"a":1}')),
]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(CHANGES)), max_size=2), st.integers(0, 3))
def test_the_quick_look_passes_what_every_row_passes(
    changes: list[tuple[int, Callable[[Row], None]]], start: int
) -> None:
    rows = to_rows([_frame(number) for number in range(4)]).to_pylist()
    for position, change in changes:
        try:
            change(rows[position])
        except (TypeError, IndexError):  # another change took away what this one is about
            continue
    batch = adopt.adopt(pa.RecordBatch.from_pylist(rows, schema=LOOSE).slice(start), "rows")
    made, failed = adopt.made_rows(batch)
    one_by_one, refused = adopt._one_by_one(batch)
    assert failed == refused
    assert (made is None) == (one_by_one is None)
    if made is not None and one_by_one is not None:
        assert from_rows(made) == from_rows(one_by_one)
        assert made.drop_columns(["updated_ms"]).column("etag") == one_by_one.column("etag")


def test_rows_made_from_plain_lists_take_the_quick_way() -> None:
    rows = to_rows([_frame(number) for number in range(4)]).to_pylist()  # below an absent preview stands an empty one
    assert adopt._is_sound(pa.RecordBatch.from_pylist(rows, schema=LOOSE))
