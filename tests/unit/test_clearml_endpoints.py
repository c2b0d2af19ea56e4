"""Endpoints of the ClearML protocol that its newest client does not call, and what pages and uploads leave behind."""

import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.clearml_wire import Wire, frame, wire

from smalti.server.clearml import API_PATH
from smalti.server.clearml.files import Shelf
from smalti.server.clearml.pages import Pages
from smalti.view import DataView


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Wire]:
    with wire(tmp_path) as found:
        yield found


def filled(at: Wire, count: int = 10, **more: Any) -> tuple[str, str]:
    dataset, version = at.make()
    frames = [frame(n, **more) for n in range(count)]
    at.ask("datasets.save_frames", {"version": version, "frames": frames})
    return dataset, version


def spec_of(dataset: str, version: str, **entry: Any) -> dict[str, Any]:
    return {"versions": [{"dataset": dataset, "version": version, **entry}]}


def all_of(at: Wire, spec: dict[str, Any], size: int = 4) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    body: dict[str, Any] = {"dataview": spec, "batch_size": size}
    while True:
        got = at.ask("frames.get_next_for_dataview", body)
        found += got["frames"]
        body["scroll_id"] = got["scroll_id"]
        if got["eof"]:
            return found


# ----------------------------------------------------------------------------------------------------------- schema
def test_the_schema_is_what_occurs(at: Wire) -> None:
    mapped = {"meta.emb": {"type": "dense_vector", "dims": 2}}
    dataset, version = at.make(field_mappings=mapped)
    one = frame(
        1, meta={"n": 1, "deep": {"er": "x", "flag": True}, "emb": [1.0, 2.0], "when": "2024-10-20", "mixed": 1}
    )
    two = frame(2, meta={"n": 1.5, "tags": ["a", "b"], "mixed": "b", "none": None})
    two["sources"][0]["meta"] = {"hash": {"source": ["ab", None]}}
    at.ask("datasets.save_frames", {"version": version, "frames": [one, two]})
    found = at.ask("datasets.get_schema", {"dataset": dataset})["schema"]["properties"]["meta"]["properties"]
    assert found == {
        "deep": {"properties": {"er": {"type": "keyword"}, "flag": {"type": "boolean"}}},
        "emb": {"type": "dense_vector"},
        "mixed": {"type": "keyword"},
        "n": {"type": "double"},
        "tags": {"type": "keyword"},
        "when": {"type": "date"},
    }
    keys = at.ask("datasets.get_schema_keys", {"versions": [version]})
    assert keys == {
        "frame_keys": ["meta.deep.er", "meta.deep.flag", "meta.mixed", "meta.n", "meta.tags", "meta.when"],
        "roi_keys": ["meta._id", "meta._type"],
        "source_keys": ["meta.hash.source"],
    }
    at.ask("datasets.get_schema", {"dataset": dataset, "schema_type": "mask"}, status=400)
    at.ask("datasets.get_schema_keys", {"versions": ["nothing"]}, status=400)


# ------------------------------------------------------------------------------------------------- counts, snippets
def test_counts_of_a_version_and_of_a_part_of_it(at: Wire) -> None:
    dataset, version = filled(at)
    plain = frame(50, rois=[])
    plain["sources"][0]["content_type"] = "image/png"
    at.ask("datasets.save_frames", {"version": version, "frames": [plain]})
    whole = {
        "labels": [{"name": "cat", "count": 10}, {"name": "sky", "count": 10}],
        "content_types": [{"name": "image/png", "count": 1}],
        "frames": [{"name": "annotated", "count": 10}, {"name": "unannotated", "count": 1}],
    }
    assert at.ask("frames.get_stats", {"version": version})["stats"] == whole
    assert at.ask("datasets.get_stats", {"versions": [version]})["stats"] == whole
    some = {
        **spec_of(dataset, version),
        "filters": [{"dataset": "*", "version": "*", "frame_query": "meta.index:[8 TO 60]"}],
    }
    for name in ("frames.get_stats", "frames.get_stats_for_dataview"):
        stats = at.ask(name, {"dataview": some})["stats"]
        assert stats["labels"] == [{"name": "cat", "count": 2}, {"name": "sky", "count": 2}]
        assert [each["count"] for each in stats["frames"]] == [2, 1]


def test_snippets_of_a_dataset(at: Wire) -> None:
    dataset, version = filled(at)
    got = at.ask("datasets.get_snippets", {"dataset": dataset, "size": 4})
    assert [each["id"] for each in got["frames"]] == [f"e{n:03}" for n in range(4)]
    assert (got["frames_total"], got["search_after"]) == (10, [4])
    rest = at.ask("datasets.get_snippets", {"dataset": dataset, "versions": [version], "search_after": [4]})
    assert [each["id"] for each in rest["frames"]] == [f"e{n:03}" for n in range(4, 10)]
    empty = at.ask("datasets.create", {"name": "empty"})["id"]
    assert at.ask("datasets.get_snippets", {"dataset": empty})["frames"] == []


# -------------------------------------------------------------------------------------------------------- downloads
@pytest.mark.parametrize("form", ["json", "jsonlines"])
def test_a_view_as_a_file(at: Wire, form: str) -> None:
    dataset, version = filled(at)
    spec = {**spec_of(dataset, version), "iteration": {"order": "random", "limit": 7}}
    frames = all_of(at, spec)
    made = at.ask("frames.prepare_download_for_dataview", {"dataview": spec, "download_type": form})["prepare_id"]
    at.ask("datasets.delete_frames", {"version": version, "frames": [frames[0]["id"]]})  # prepared is prepared
    url = f"{API_PATH}/frames.download_for_dataview"
    for options in ({"params": {"prepare_id": made}}, {"json": {"prepare_id": made}}):
        got = at.http.request("GET", url, headers=at.headers, **options)
        assert got.status_code == 200
        assert "attachment" in got.headers["content-disposition"]
        assert (got.json() if form == "json" else [json.loads(line) for line in got.text.splitlines()]) == frames
    part = at.ask("frames.prepare_download_for_dataview", {"dataview": spec, "projection": ["id"]})["prepare_id"]
    got = at.http.get(url, params={"prepare_id": part}, headers=at.headers).json()
    assert [set(each) for each in got] == [{"id"}] * 7
    at.ask("frames.download_for_dataview", {"prepare_id": "x"}, status=400)
    at.ask("frames.prepare_download_for_dataview", {"dataview": spec, "download_type": "xml"}, status=400)
    endless = {**spec, "iteration": {"infinite": True}}
    at.ask("frames.prepare_download_for_dataview", {"dataview": endless}, status=400)


# --------------------------------------------------------------------------------------------- when, and newer ones
def test_frames_say_when_and_into_which_version_they_were_saved(at: Wire) -> None:
    before = time.time_ns() // 1_000_000
    dataset, first = filled(at, 3)
    child = at.ask("datasets.publish_and_create_child_version", {"dataset": dataset, "version": first})["id"]
    at.ask("datasets.save_frames", {"version": child, "frames": [frame(1, blob="new"), frame(7)]})
    found = {each["id"]: each for each in all_of(at, spec_of(dataset, child))}
    versions = {id_: (each["saved_in_version"], each["updated_in_version"]) for id_, each in found.items()}
    assert versions == {"e000": (first, first), "e001": (first, child), "e002": (first, first), "e007": (child, child)}
    for each in found.values():
        assert before <= each["saved"] == each["updated"] <= time.time_ns() // 1_000_000
    assert all(each["saved_in_version"] == first for each in all_of(at, spec_of(dataset, first)))


def test_newer_frames_of_a_version_to_merge_with(at: Wire) -> None:
    dataset, first = filled(at, 3)
    child = at.ask("datasets.publish_and_create_child_version", {"dataset": dataset, "version": first})["id"]
    spec = spec_of(dataset, first, merge_with=child)
    assert all("new_ver" not in each for each in all_of(at, spec))
    at.ask("datasets.save_frames", {"version": child, "frames": [frame(1, blob="new"), frame(7)]})
    found = {each["id"]: each for each in all_of(at, spec)}
    assert list(found) == ["e000", "e001", "e002"]
    assert [id_ for id_, each in found.items() if "new_ver" in each] == ["e001"]
    assert found["e001"]["new_ver"]["blob"] == "new"
    assert found["e001"]["new_ver"]["dataset"] == {"id": dataset, "version": child}
    for wrong in ("nothing", 7):
        at.ask("frames.get_count_for_dataview", {"dataview": spec_of(dataset, first, merge_with=wrong)}, status=400)


# ------------------------------------------------------------------------------------------------------------ pages
def test_workers_share_pages_and_a_page_is_made_once(at: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, version = filled(at, 30)
    made: list[str] = []
    make = Pages._make
    monkeypatch.setattr(Pages, "_make", lambda self, key, iterator: made.append(key[1]) or make(self, key, iterator))
    first = all_of(at, spec_of(dataset, version), 7)
    assert all_of(at, spec_of(dataset, version), 7) == first
    assert [each["id"] for each in first] == [f"e{n:03}" for n in range(30)]
    assert len(made) == len(set(made)) == 5


def test_what_is_kept_of_pages_is_bounded(at: Wire) -> None:
    filled(at, 30)
    version = at.server.service.store["pictures"]["v1"]
    view = DataView(version)
    pages = Pages(most_bytes=6000)
    position, seen = "", []
    while True:
        page = pages.get(view, position, 3, None)
        seen += [json.loads(bytes(each))["id"] for each in page.frames]
        assert sum(future.result().size for future in list(pages._known.values())) <= 6000 + 2 * page.size
        if page.eof:
            break
        position = page.state
    assert seen == [f"e{n:03}" for n in range(30)]


def test_a_page_that_failed_is_tried_again(at: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, version = filled(at)
    body = {"dataview": spec_of(dataset, version), "batch_size": 4}
    make = Pages._make

    def broken(*_: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Pages, "_make", broken)
    assert at.raw("frames.get_next_for_dataview", body)["meta"]["result_code"] == 500
    monkeypatch.setattr(Pages, "_make", make)
    assert at.ask("frames.get_next_for_dataview", body)["frames_returned"] == 4


def test_a_version_that_is_named_twice_is_read_once(at: Wire) -> None:
    """As the client before 2.1.8 does it: once for every query."""
    dataset, version = filled(at)
    spec = {"versions": spec_of(dataset, version)["versions"] * 2}
    assert at.ask("frames.get_count_for_dataview", {"dataview": spec})["total"] == 10
    assert len(all_of(at, spec)) == 10
    made = at.ask("dataviews.create", {"name": "twice", **spec})["id"]
    assert at.ask("frames.get_count_for_dataview_id", {"dataview": made})["total"] == 10


# ---------------------------------------------------------------------------------------------------------- vectors
def test_mapped_vectors_have_a_column_and_every_search_agrees_with_numpy(at: Wire) -> None:
    mapped = {"meta.emb": {"type": "dense_vector", "element_type": "float", "dims": 5, "similarity": "l2_norm"}}
    dataset, version = at.make(field_mappings=mapped)
    assert at.server.service.store["pictures"].declared == {"meta.emb": "vector[5,l2_norm]"}
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 5)).astype(np.float32)
    frames = [frame(n, meta={"emb": vector.tolist(), "n": n}) for n, vector in enumerate(vectors)]
    assert at.ask("datasets.save_frames", {"version": version, "frames": frames})["failed"] == 0
    for part in (range(40), range(10, 20)):
        query = f"meta.n:[{part[0]} TO {part[-1]}]"
        spec = {**spec_of(dataset, version), "filters": [{"dataset": "*", "version": "*", "frame_query": query}]}
        asked = rng.normal(size=5)
        away = np.linalg.norm(vectors[part[0] : part[-1] + 1] - asked, axis=1)
        wanted = [f"e{part[0] + n:03}" for n in np.argsort(away)[:4].tolist()]
        for method in ("exact", "fast"):
            search = {"vector": asked.tolist(), "field": "meta.emb", "method": method, "similarity_func": "l2_norm"}
            got = at.ask("frames.get_snippets_for_dataview2", {"dataview": spec, "vector_search": search, "size": 4})
            assert [each["id"] for each in got["frames"]] == wanted
    search = {"vector": [1.0], "field": "meta.emb"}
    assert "declared with 5" in at.ask(
        "frames.get_snippets_for_dataview2", {"dataview": spec, "vector_search": search}, status=400
    )


# ---------------------------------------------------------------------------------------------------------- uploads
def test_uploads_that_broke_off_are_swept_and_nothing_else(at: Wire, tmp_path: Path) -> None:
    shelf = Shelf(at.server.service.store.uri)
    at.upload("/a", b"first")
    at.upload("/a", b"second")
    at.upload("/b", b"other")
    root = tmp_path / "store" / "files"
    (root / "incoming" / "broken").write_bytes(b"half")
    name = next(root.glob("names/*/*"))
    (name.parent / f".{name.name}.0123.tmp").write_bytes(b"{")  # as a kill leaves it
    assert shelf.sweep() == 0  # all of it is young
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 200_000,) * 2)
    assert shelf.sweep(timedelta(days=3)) == 0
    at.upload("/c", b"first")  # named again, in time
    assert shelf.sweep() == 2
    assert not (root / "incoming" / "broken").exists()
    at.upload("/d", b"third")
    at.upload("/d", b"fourth")
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 200_000,) * 2)
    assert shelf.sweep() == 1
    for path, data in (("/a", b"second"), ("/b", b"other"), ("/c", b"first"), ("/d", b"fourth")):
        assert at.http.get(f"/clearml/files{path}", headers=at.headers).content == data


# --------------------------------------------------------------------------------------------- what nobody here knows
KEYS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=6).map(lambda text: f"x_{text}")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(blacklist_categories=("Cs",)), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc._$", max_size=3), inner, max_size=3),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(KEYS, VALUES, max_size=3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, str, str]]:
    with wire(tmp_path_factory.mktemp("unknown")) as found:
        yield found, *found.make()


@given(parts=st.tuples(*[UNKNOWN] * 7), blob=UNKNOWN)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_unknown_keys_come_back_wherever_they_stood(
    shared: tuple[Wire, str, str], parts: tuple[dict[str, Any], ...], blob: dict[str, Any]
) -> None:
    """In the frame, a source, its preview, its mask, a ROI, its mask, and in free metadata: by every way of reading."""
    at, dataset, version = shared
    sent = frame(0, meta_blob=blob)
    source, roi = sent["sources"][0], sent["rois"][1]
    source["preview"] = {"uri": "s3://x/preview.jpg"}
    places = [sent, source, source["preview"], source["masks"][0], roi, roi["mask"], sent["meta"]]
    for place, unknown in zip(places, parts, strict=True):
        place.update(unknown)
    told = at.ask("datasets.save_frames", {"version": version, "frames": [sent]})
    assert told["errors"] == []
    spec = spec_of(dataset, version)
    ways = [
        at.ask("frames.get_by_id", {"version": version, "frame": "e000"})["frame"],
        at.ask("frames.get_next_for_dataview", {"dataview": spec})["frames"][0],
        at.ask("frames.get_next_for_dataview", {"dataview": {**spec, "labels_enumeration": {"cat": 1}}})["frames"][0],
        at.ask("frames.get_snippets_for_dataview2", {"dataview": spec})["frames"][0],
    ]
    for got in ways:
        source, roi = got["sources"][0], got["rois"][1]
        read = [got, source, source["preview"], source["masks"][0], roi, roi["mask"], got["meta"]]
        for place, unknown in zip(read, parts, strict=True):
            assert {key: place[key] for key in unknown if unknown[key] is not None or place is got["meta"]} == {
                key: value for key, value in unknown.items() if value is not None or place is got["meta"]
            }
        assert got.get("meta_blob", {}) == blob


def test_a_body_of_100_megabytes(at: Wire) -> None:
    """What the client sends at most in one request: one batch, with what it does not look into."""
    dataset, version = at.make()
    filling = "x" * 1_000_000
    frames = [frame(n, blob=filling) for n in range(100)]
    told = at.ask("datasets.save_frames", {"version": version, "frames": frames})
    assert (told["saved"], told["errors"]) == (100, [])
    got = at.ask("frames.get_by_ids", {"version": version, "frame_ids": ["e000", "e099"]})["frames"]
    assert [(each["id"], len(each["blob"])) for each in got] == [("e000", 1_000_000), ("e099", 1_000_000)]
    assert at.ask("frames.get_count_for_dataview", {"dataview": spec_of(dataset, version)})["total"] == 100
