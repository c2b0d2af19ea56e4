"""Frames as rows and back: nothing is lost, and what is computed follows from the frame."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from smalti.errors import FrameError
from smalti.facts import MaskFacts
from smalti.records import Frame, Mask, Preview, Roi, RoiMask, Source
from smalti.store.adopt import adopt, made_rows
from smalti.store.derive import derive
from smalti.store.promoted import column_name, conform, field_of
from smalti.store.rowhash import hash_rows
from smalti.store.schema import DERIVED, SCHEMA, TRUTH, from_rows, to_rows

FULL = Frame(
    id="f1",
    context_id="drive",
    timestamp=33,
    sources=[
        Source(
            id="front",
            uri="s3://b/front.mp4",
            content_type="video/mp4",
            width=800,
            height=600,
            timestamp=33.5,
            preview=Preview(uri="p.jpg", width=80, extra={"x": 1}),
            masks=[Mask(id="seg", uri="seg.png", encoding="rgb", extra={"m": [1]}), Mask(id="ids", uri="ids.png")],
            meta={"hash": {"source": "abc"}},
            extra={"camera": None},
        ),
        Source(id="rear", uri="s3://b/rear.mp4"),
    ],
    rois=[
        Roi(label=["car", "occluded"], id="r0", poly=[1, 2.5, -999999999, 4], confidence=0.25, sources=["front"]),
        Roi(label=[], mask=RoiMask(id="seg", value=[-1, 1, 255], extra={"deep": True}), meta={"_type": "mask"}),
        Roi(label=["sky"], extra={"label_num": 3}),
    ],
    meta={"city": "Köln", "n": {"deep": [1, 2.0, None]}, "big": 2**60},
    meta_blob={"a": []},
    blob="raw",
    extra={"saved": 12},
)


def columns_of(record: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        field.encode_name: field.type for field in msgspec.inspect.type_info(record).fields if field.name != "extra"
    }


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (Frame, TRUTH.names),
        (Source, [f.name for f in TRUTH.field("sources").type.value_type]),
        (Mask, [f.name for f in TRUTH.field("sources").type.value_type.field("masks").type.value_type]),
        (Preview, [f.name for f in TRUTH.field("sources").type.value_type.field("preview").type]),
        (Roi, [f.name for f in TRUTH.field("rois").type.value_type]),
        (RoiMask, [f.name for f in TRUTH.field("rois").type.value_type.field("mask").type]),
    ],
)
def test_every_field_of_a_record_has_a_column(record: type[msgspec.Struct], names: list[str]) -> None:
    assert set(names) - {"extra", "exact"} == set(columns_of(record))


def test_a_full_frame_survives() -> None:
    assert from_rows(to_rows([FULL])) == [FULL]


def test_defaults_and_absences_survive_beside_full_frames() -> None:
    bare = Frame(sources=[Source(id="a", uri="u")])
    assert from_rows(to_rows([bare, FULL, bare])) == [bare, FULL, bare]
    assert from_rows(to_rows([bare, FULL, bare]).slice(1, 1)) == [FULL]
    assert to_rows([]).schema == TRUTH


@pytest.mark.parametrize(
    "frame",
    [
        Frame(id="a", sources=[Source(id="a", uri="u")], timestamp=2**53 + 1),
        Frame(id="a", sources=[Source(id="a", uri="u", width=2**63)]),
        Frame(id="a", sources=[Source(id="a", uri="u")], rois=[Roi(label=["x"], poly=[2**60 + 1, 2])]),
        Frame(id="a", sources=[Source(id="a", uri="u")], rois=[Roi(label=["x"], mask=RoiMask(id="m", value=[2**63]))]),
    ],
)
def test_numbers_that_no_column_can_hold_survive(frame: Frame) -> None:
    assert from_rows(to_rows([FULL, frame])) == [FULL, frame]


@pytest.mark.parametrize(
    "frame",
    [
        Frame(id="bad", sources=[Source(id="a", uri=5)]),  # type: ignore[arg-type]
        Frame(id="bad", sources=[Source(id="a", uri="u", width=1.5)]),  # type: ignore[arg-type]
        Frame(id="bad", sources=[Source(id="a", uri="u")], meta={"x": float("nan"), "y": 2**70}),
        Frame(id="bad", sources=[Source(id="a", uri="u")], rois=[Roi(label=["x"], poly=["1"])]),  # type: ignore[list-item]
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_frame_that_has_it(frame: Frame) -> None:
    with pytest.raises(FrameError, match="'bad'"):
        to_rows([FULL, frame])


def one(frame: Frame, column: str) -> Any:
    return derive(to_rows([FULL, frame])).column(column)[1].as_py()


def framed(*rois: Roi, **fields: Any) -> Frame:
    source = Source(id="s", uri="u", masks=[Mask(id="seg", uri="m")])
    return Frame(id="x", context_id="c", timestamp=0, sources=[source], rois=list(rois), **fields)


def test_labels_and_label_sets() -> None:
    frame = framed(
        Roi(label=["b", "a"]), Roi(label=["a", "b"]), Roi(label=["a"], confidence=0.5), Roi(label=["a", "a"])
    )
    assert one(frame, "labels") == ["a", "b"]
    assert sorted(one(frame, "labelsets")) == ['["a","b"]', '["a"]']
    assert one(frame, "roi_ls") == ['["a","b"]', '["a","b"]', '["a"]', '["a"]']
    assert one(frame, "roi_conf") == [None, None, 0.5, None]


def test_a_label_that_names_the_mask_stands_beside_the_word_in_the_mask_id() -> None:
    frame = framed(
        Roi(label=["seg"], mask=RoiMask(id="car", value=[1, 2, 3])),
        Roi(label=["tree"], mask=RoiMask(id="seg", value=[4, 5, 6])),
        Roi(label=["seg"]),
    )
    assert one(frame, "roi_ls") == ['["car","seg"]', '["tree"]', '["seg"]']
    assert one(frame, "labels") == ["car", "seg", "tree"]


def test_lists_are_empty_and_never_null() -> None:
    rows = derive(to_rows([framed()]))
    for name in ("labels", "labelsets", "roi_ls", "roi_conf", "meta_kv", "px_label", "px_count", "px_bucket"):
        assert rows.column(name)[0].as_py() == [], name
    assert rows.column("meta")[0].as_py() == "{}"


def test_metadata_tokens() -> None:
    meta = {"city": "Ulm", "n": 5.0, "on": True, "tags": ["a", {"b": 1}], "none": None}
    assert set(one(framed(meta=meta), "meta_kv")) == {"city=Ulm", "n=5", "on=true", "tags=a", "tags.b=1"}


def test_facts_become_columns() -> None:
    facts = [MaskFacts(source="s", mask="seg", size_hw=(2, 4), pixels={"car": 2, "sky": 0}, void=2)]
    row = derive(to_rows([framed(), framed()]), [facts, None]).to_pylist()
    assert (row[0]["px_known"], row[0]["px_label"], row[0]["px_count"], row[0]["px_void"]) == (True, ["car"], [2], 0.25)
    assert msgspec.json.decode(row[0]["px_masks"], type=list[MaskFacts]) == facts
    assert (row[1]["px_known"], row[1]["px_label"], row[1]["px_void"]) == (False, [], None)


def test_the_hash_follows_the_content_and_not_the_neighbours() -> None:
    frames = [FULL, framed(), framed(Roi(label=["a"])), framed(Roi(label=["a"]), Roi(label=[])), framed(blob="")]
    together = hash_rows(to_rows(frames)).tolist()
    assert together == [int(hash_rows(to_rows([frame]))[0]) for frame in frames]
    assert len(set(together)) == len(frames)
    assert hash_rows(to_rows(frames).slice(2, 2)).tolist() == together[2:4]


def test_promoted_columns_follow_from_the_metadata() -> None:
    fields = [field_of("meta.a.b", "int"), field_of("meta.when", "timestamp"), field_of("meta.odd name_", "string")]
    assert column_name("meta.a.b") == "m__a__b"
    assert len({column_name(f"meta.{x}") for x in ("a.b", "a_b", "a__b", "a b", "a")}) == 5
    metas = [
        {"a": {"b": 3.0}, "when": "2024-05-06", "odd name_": "x"},
        {"a": {"b": "3"}, "when": 5, "odd name_": 1},
        {},
    ]
    rows = conform(derive(to_rows([framed(meta=meta) for meta in metas])), pa.schema([*SCHEMA, *fields]))
    assert rows.column("m__a__b").to_pylist() == [3, None, None]
    assert [str(value) for value in rows.column("m__when").to_pylist()] == ["2024-05-06 00:00:00+00:00", "None", "None"]
    assert rows.column(fields[2].name).to_pylist() == ["x", None, None]


def test_arrow_from_outside_is_looked_over() -> None:
    good = to_rows([FULL, framed()])
    rows, failed = made_rows(adopt(good, "t"))
    assert failed == []
    assert rows is not None
    assert rows.drop_columns(["updated_ms"]).equals(derive(good).drop_columns(["updated_ms"]))
    assert set(rows.schema.names) == set(TRUTH.names) | set(DERIVED.names)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (Frame(id="bad", sources=[]), "sources is empty"),
        (Frame(id="bad", sources=[Source(id="a", uri="u"), Source(id="a", uri="v")]), "has already"),
        (framed(Roi(label=["x"], sources=["nowhere"])), "nowhere"),
        (framed(Roi(label=["x"], mask=RoiMask(id="seg", value=[1, 2]))), "value"),
        (framed(Roi(label=["x"], mask=RoiMask(id="seg", value=[1, 2, 256]))), "value"),
        (
            Frame(id="bad", sources=[Source(id="a", uri="u", masks=[Mask(id="m", uri="1"), Mask(id="m", uri="2")])]),
            "mask",
        ),
    ],
)
def test_a_broken_row_is_listed_and_the_others_are_kept(frame: Frame, reason: str) -> None:
    rows, failed = made_rows(adopt(to_rows([FULL, frame, framed()]), "t"))
    assert [item.id for item in failed] == [frame.id]
    assert reason in failed[0].error
    assert rows is not None
    assert from_rows(rows) == [FULL, framed()]


def test_rows_that_lack_a_column_or_have_another_type_are_refused() -> None:
    with pytest.raises(FrameError, match="lacks the column 'sources'"):
        adopt(pa.record_batch({"id": ["a"]}), "rows")
    with pytest.raises(FrameError, match="column 'timestamp' is string"):
        adopt(to_rows([FULL]).set_column(2, "timestamp", pa.array(["soon"])), "rows")


def test_json_that_is_none_is_found_in_rows_from_outside() -> None:
    rows = to_rows([FULL, framed()])
    broken = rows.set_column(5, "meta", pa.array([rows.column("meta")[0].as_py(), "{oops"]))
    made, failed = made_rows(adopt(broken, "t"))
    assert [item.id for item in failed] == ["x"]
    assert made is not None
    assert len(made) == 1


@pytest.mark.parametrize("poly", [[2.5, True], [True], ["1"], [float("inf")]])
def test_only_finite_numbers_are_numbers(poly: list[Any]) -> None:
    bad = Frame(id="bad", sources=[Source(id="a", uri="u")], rois=[Roi(label=["x"], poly=poly)])
    with pytest.raises(FrameError, match="'bad'"):
        to_rows([FULL, bad])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "path",
    [
        ["timestamp"],
        ["rois", 0, "confidence"],
        ["rois", 0, "poly", 0],
        ["sources", 0, "timestamp"],
        ["sources", 0, "masks", 0, "timestamp"],
        ["sources", 0, "preview", "timestamp"],
    ],
    ids=lambda path: path[-1] if isinstance(path[-1], str) else path[-2],
)
def test_only_finite_numbers_come_from_outside(path: list[Any], number: float) -> None:
    source = Source(id="a", uri="u", masks=[Mask(id="m", uri="1")], preview=Preview(uri="p"))
    good = Frame(id="bad", sources=[source], rois=[Roi(label=["x"], poly=[1e308, 1e308])])
    rows = to_rows([framed(), good])
    assert made_rows(adopt(rows, "t"))[1] == []  # their sum is infinite, they are not
    listed = rows.to_pylist()
    at = listed[1]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = number
    made, failed = made_rows(adopt(pa.RecordBatch.from_pylist(listed, TRUTH), "t"))
    assert [item.id for item in failed] == ["bad"]
    assert "not finite" in failed[0].error
    assert made is not None
    assert from_rows(made) == [framed()]


def test_rows_at_an_odd_address() -> None:
    """Arrow takes a stream as it lies in memory, and so may hand out columns that no processor likes to read."""
    rows = to_rows([FULL, framed(Roi(label=["car"], poly=[1.5, 2]), Roi(label=["sky", "car"])), framed()])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    shifted = pa.py_buffer(b"z" + sink.getvalue().to_pybytes()).slice(1)
    odd = next(iter(pa.ipc.open_stream(shifted)))
    made, failed = made_rows(adopt(odd, "t"))
    assert failed == []
    assert made is not None
    assert made.drop_columns(["updated_ms"]).equals(derive(rows).drop_columns(["updated_ms"]))


def test_what_is_computed_does_not_depend_on_the_company() -> None:
    """Rows are read back beside others than they were written with."""
    some = [
        framed(Roi(label=["sky"]), Roi(label=["car"]), Roi(label=["b", "a"]), Roi(label=["c"])),
        framed(Roi(label=["car"]), Roi(label=["a", "b"]), Roi(label=["sky"]), Roi(label=["c", "a"])),
    ]
    together, turned = computed(some), computed(some[::-1])
    assert together == turned[::-1] == [computed([each])[0] for each in some]


def computed(frames: list[Frame]) -> list[dict[str, Any]]:
    return derive(to_rows(frames)).drop_columns(["updated_ms"]).to_pylist()
