"""The ClearML protocol as recorded exchanges: what a client sends, and what must come back. Needs no client."""

import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.clearml_wire import CODES, Wire, enveloped, frame, wire

from smalti.errors import StorageError
from smalti.server.clearml import API_PATH, FILES_PATH, serve_apart, variables

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Wire]:
    with wire(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One server with a few frames, for tests that do not change it."""
    with wire(tmp_path_factory.mktemp("shared")) as found:
        dataset, version = found.make()
        found.ask("datasets.save_frames", {"version": version, "frames": [frame(n) for n in range(10)]})
        found.spec = {"versions": [{"dataset": dataset, "version": version}]}  # type: ignore[attr-defined]
        found.ids = (dataset, version)  # type: ignore[attr-defined]
        yield found


def pages(at: Wire, spec: dict[str, Any], size: int = 3, **more: Any) -> list[dict[str, Any]]:
    """All frames of a view, page by page as the client asks for them."""
    found: list[dict[str, Any]] = []
    scroll: dict[str, Any] = {}
    while True:
        got = at.ask("frames.get_next_for_dataview", {"dataview": spec, "batch_size": size, **scroll, **more})
        assert got["frames_returned"] == len(got["frames"]) <= size
        found += got["frames"]
        if got["eof"] is True:
            return found
        assert got["eof"] is False
        scroll = {"scroll_id": got["scroll_id"]}


# ------------------------------------------------------------------------------------------------------------ login
def test_the_token_says_what_the_client_looks_for(shared: Wire) -> None:
    claims = json.loads(base64.urlsafe_b64decode(shared.log_in().split(".")[1] + "=="))
    assert claims["feature_set"] == "advanced"
    assert (claims["api_version"], claims["server_version"]) == ("2.34", "3.25.0")
    assert claims["exp"] - claims["iat"] >= 24 * 3600


def test_wrong_keys_and_tokens_are_401(at: Wire) -> None:
    token = at.headers["Authorization"].removeprefix("Bearer ")
    head, claims, mac = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    wrong = base64.b64encode(b"nobody:secret").decode()
    for header in ("", "Bearer", "Basic !", f"Basic {wrong}", f"Bearer {none}.{claims}.", f"Bearer {head}.{claims}.x",
                   f"Bearer {head}.{claims[:-2]}xx.{mac}", "Digest x"):  # fmt: skip
        assert at.raw("datasets.get_all", {}, headers={"Authorization": header})["meta"]["result_code"] == 401
    assert at.raw("auth.login", headers={"Authorization": f"Basic {wrong}"})["meta"]["result_code"] == 401


def test_a_token_is_renewed_and_dies_with_its_key(at: Wire) -> None:
    again = at.ask("auth.login", {})["token"]
    at.ask("users.get_vaults", {}, headers={"Authorization": f"Bearer {again}"})
    at.server.service.store.catalog.revoke_key(at.keys[0])
    at.ask("users.get_vaults", {}, status=401)


# ------------------------------------------------------------------------------------------------ versions and names
def test_any_version_and_method_is_the_same(shared: Wire) -> None:
    for version in ("", "/v2.9", "/v2.34", "/v999"):
        for method in ("GET", "POST", "PUT"):
            assert shared.ask("users.get_vaults", {}, version=version, method=method) == {"vaults": []}


def test_projects_run_dry_and_are_found_by_pattern(at: Wire) -> None:
    made = at.ask("projects.create", {"name": "a + b/c d", "description": ""})["id"]
    assert at.ask("projects.create", {"name": "a + b/c d"})["id"] == made
    assert at.ask("projects.get_all", {"name": r"^a\ \+\ b/c\ d$", "only_fields": ["id"]})["projects"] == [{"id": made}]
    assert at.ask("projects.get_all", {"name": "^nothing$"})["projects"] == []
    assert at.ask("projects.get_all", {"id": [made], "page": 1, "page_size": 500})["projects"] == []
    assert at.ask("projects.get_by_id", {"project": made})["project"]["name"] == "a + b/c d"
    at.ask("projects.get_all", {"name": "("}, status=400)
    assert at.ask("projects.get_all", {"name": "(a+)+$" * 20})["projects"] == []


def test_datasets_and_versions_have_unique_names(at: Wire) -> None:
    dataset, version = at.make()
    assert "there already" in at.ask("datasets.create", {"name": "pictures"}, status=400)
    assert "there already" in at.ask("datasets.create_version", {"dataset": dataset, "name": "v1"}, status=400)
    assert "there already" in at.ask(
        "datasets.create_version", {"dataset": dataset, "name": "v1", "parent": "nothing"}, status=400
    )
    assert "published" in at.ask(
        "datasets.create_version", {"dataset": dataset, "name": "v2", "parent": version}, status=400
    )
    found = at.ask("datasets.get_all", {"name": "^pictures$", "resolve_head": True, "size": 1})["datasets"]
    assert [(row["id"], row["head_version"]["id"], row["version_count"]) for row in found] == [(dataset, version, 1)]
    assert found[0]["created"].endswith("+00:00")
    assert at.ask("datasets.get_all", {"project": "", "name": "^pictures$"})["datasets"] == []
    assert at.ask("datasets.get_versions", {"dataset": dataset})["versions"] == []  # only_published is the default
    asked = {"dataset": dataset, "only_fields": ["id", "name"], "only_published": False}
    assert at.ask("datasets.get_versions", asked)["versions"] == [{"id": version, "name": "v1"}]
    assert at.ask("datasets.get_versions", {**asked, "page": 1, "page_size": 100})["versions"] == []


def test_the_same_mappings_again_give_the_same_dataset(at: Wire) -> None:
    mappings = {"meta.emb": {"type": "dense_vector", "element_type": "float", "dims": 2}}
    made = at.ask("datasets.create", {"name": "d", "field_mappings": mappings}, version="")["id"]
    assert at.ask("datasets.create", {"name": "d", "field_mappings": mappings})["id"] == made
    other = {"meta.emb": {"type": "dense_vector", "dims": 3}}
    at.ask("datasets.create", {"name": "d", "field_mappings": other}, status=400)
    fields = at.ask("datasets.get_vector_fields", {"datasets": [made]})["fields"]
    assert [(field["key"], field["properties"]["dims"]) for field in fields] == [("meta.emb", 2)]


# ----------------------------------------------------------------------------------------------------------- frames
def test_frames_come_back_with_what_nobody_knows(at: Wire) -> None:
    dataset, version = at.make()
    sent = frame(3, odd={"a": [1, None]}, timestamp=3.5, meta_blob={"x": 1}, blob="raw")
    sent["sources"][0] |= {"strange": "key", "meta": {"hash": {"source": ["ab", None]}}}
    sent["sources"][0]["masks"][0]["mystery"] = 7
    sent["rois"][0]["extra_key"] = {"z": 1}
    told = at.ask("datasets.save_frames", {"version": version, "frames": [sent]})
    assert (told["saved"], told["failed"], told["errors"], told["ids"], told["total_rois"]) == (1, 0, [], ["e003"], 2)
    got = at.ask("frames.get_by_id", {"dataset": dataset, "version": version, "frame": "e003"})["frame"]
    assert got["odd"] == {"a": [1, None]}
    assert got["sources"][0]["strange"] == "key"
    assert got["sources"][0]["meta"] == {"hash": {"source": ["ab", None]}}
    assert got["sources"][0]["masks"][0]["mystery"] == 7
    assert got["rois"][0]["extra_key"] == {"z": 1}
    assert got["rois"][0]["poly"] == [1.0, 2.0, 4.0, 2.0, 4.0, 6.0, 1.0, 6.0]
    assert got["rois"][1]["mask"] == {"id": "00", "value": [1, 2, 3]}
    assert got["timestamp"] == 4
    assert got["meta"] == sent["meta"]
    assert (got["meta_blob"], got["blob"], got["context_id"]) == ({"x": 1}, "raw", "drive0")
    assert got["dataset"] == {"id": dataset, "version": version}
    # What was read may be saved: what only the server says is not kept as the frame's own.
    again = at.ask("datasets.save_frames", {"version": version, "frames": [{**got, "rule_name": "x", "saved": "odd"}]})
    assert again["errors"] == []
    later = at.ask("frames.get_by_id", {"version": version, "frame": "e003"})["frame"]
    assert later.pop("saved") == later.pop("updated") >= got.pop("saved") == got.pop("updated")
    assert later == got


def test_frames_that_are_wrong_are_listed_and_the_others_kept(at: Wire) -> None:
    mappings = {"meta.emb": {"type": "dense_vector", "dims": 2}}
    _, version = at.make(field_mappings=mappings)
    bad = [frame(1, meta={"emb": [1.0]}), frame(2, sources=[]), frame(3, rois=[{"label": ["x"], "sources": ["other"]}])]
    told = at.ask("datasets.save_frames", {"version": version, "frames": [frame(0), *bad, 7, {"id": "n"}]})
    assert (told["saved"], told["failed"], told["ids"]) == (1, 5, ["e000"])
    ids = [error["_id"].partition("/")[2] for error in told["errors"]]
    assert ids == ["e001", "e002", "e003", "#4", "n"]
    assert all(isinstance(error["error"], str) for error in told["errors"])
    assert at.ask("datasets.delete_frames", {"version": version, "frames": ["e000", "missing"]})["deleted"] == 1


def test_published_versions_refuse_every_write(at: Wire) -> None:
    dataset, version = at.make()
    at.ask("datasets.save_frames", {"version": version, "frames": [frame(0)]})
    committed = at.ask("datasets.commit_version", {"version": version, "calculate_stats": True})
    assert (committed["total"], committed["errors"]) == (1, [])
    row = at.ask("datasets.get_versions", {"dataset": dataset, "only_published": False})["versions"][0]
    assert row["status"] == "committed"
    assert row["stats"]["labels"] == [{"name": "cat", "count": 1}, {"name": "sky", "count": 1}]
    assert row["stats"]["frames"] == [{"name": "annotated", "count": 1}, {"name": "unannotated", "count": 0}]
    at.ask("datasets.publish_version", {"version": version})
    for name, more in (
        ("save_frames", {"frames": [frame(1)]}),
        ("delete_frames", {"frames": ["e000"]}),
        ("update_version", {"metadata": {}}),
        ("commit_version", {}),
        ("publish_version", {}),
    ):
        body = {"version": version, **more} if name != "update_version" else {"version": version, "metadata": {"a": 1}}
        assert "published" in at.ask(f"datasets.{name}", body, status=400)
    assert at.ask("datasets.delete", {"dataset": dataset}, status=400)
    at.ask("datasets.delete", {"dataset": dataset, "delete_all_versions": True}, status=400)
    gone = at.ask("datasets.delete", {"dataset": dataset, "delete_all_versions": True, "force": True})
    assert gone == {"deleted": True, "deleted_versions": [version]}


def test_a_snapshot_keeps_its_id_and_leaves_a_child_with_the_name(at: Wire) -> None:
    dataset, version = at.make()
    at.ask("datasets.save_frames", {"version": version, "frames": [frame(0)]})
    child = at.ask("datasets.publish_and_create_child_version", {"dataset": dataset, "version": version})["id"]
    rows = at.ask("datasets.get_versions", {"dataset": dataset, "only_published": False})["versions"]
    assert [(row["id"], row["status"], row["parent"]) for row in rows] == [
        (version, "published", None),
        (child, "draft", version),
    ]
    assert rows[0]["name"].startswith("snapshot 20")
    assert rows[1]["name"] == "v1"


def test_mask_labels_travel_as_metadata(at: Wire) -> None:
    dataset, version = at.make()
    labels = {"_all_": [{"value": [0, 0, 0], "labels": ["background"]}, {"value": [1, 2, 3], "labels": ["sky", "air"]}]}
    at.ask("datasets.update_version", {"version": version, "metadata": {"a": 1, "mask_labels": labels}})
    row = at.ask("datasets.get_versions", {"dataset": dataset, "only_published": False})["versions"][0]
    assert row["metadata"] == {"a": 1, "mask_labels": labels}
    legend = at.server.service.store["pictures"]["v1"].legend()
    assert legend is not None
    assert legend.labels == ["background", "sky", "air"]
    at.ask("datasets.update_version", {"version": version, "metadata": {"a.b": 1}}, status=400)


# ------------------------------------------------------------------------------------------------------------ views
def test_pages_make_up_the_view_in_one_order(shared: Any) -> None:
    whole = pages(shared, shared.spec, size=500)
    assert [found["id"] for found in whole] == [f"e{n:03}" for n in range(10)]
    for size in (1, 3, 9, 10):
        assert pages(shared, shared.spec, size=size) == whole
    random = {**shared.spec, "iteration": {"order": "random"}}
    order = [found["id"] for found in pages(shared, random, size=4)]
    assert order == [found["id"] for found in pages(shared, random, size=10)]
    assert sorted(order) == [f"e{n:03}" for n in range(10)] != order
    endless = {**shared.spec, "iteration": {"infinite": True, "limit": 25}}
    assert [found["id"] for found in pages(shared, endless)] == ([f"e{n:03}" for n in range(10)] * 3)[:25]


def test_a_page_is_sent_again_and_a_scroll_starts_again(shared: Any) -> None:
    body = {"dataview": shared.spec, "batch_size": 4}
    first = shared.ask("frames.get_next_for_dataview", body)
    more = {**body, "scroll_id": first["scroll_id"]}
    second = shared.ask("frames.get_next_for_dataview", more)
    assert shared.ask("frames.get_next_for_dataview", more)["frames"] == second["frames"]
    reset = {**body, "scroll_id": second["scroll_id"], "reset_scroll": True, "force_scroll_id": True}
    assert shared.ask("frames.get_next_for_dataview", reset)["frames"] == first["frames"]
    other = {**shared.spec, "iteration": {"order": "random"}}
    assert "start the iteration again" in shared.ask(
        "frames.get_next_for_dataview", {**more, "dataview": other}, status=400
    )
    for rubbish in ("x", "e30", "bnVsbA", "ä", "W3t9LCJhLjAuMCJd"):
        shared.ask("frames.get_next_for_dataview", {**body, "scroll_id": rubbish}, status=400)


def test_a_scroll_reads_one_state_of_a_draft(at: Wire) -> None:
    dataset, version = at.make()
    spec = {"versions": [{"dataset": dataset, "version": version}]}
    at.ask("datasets.save_frames", {"version": version, "frames": [frame(n) for n in range(6)]})
    first = at.ask("frames.get_next_for_dataview", {"dataview": spec, "batch_size": 2})
    at.ask("datasets.save_frames", {"version": version, "frames": [frame(n) for n in range(6, 9)]})
    at.ask("datasets.delete_frames", {"version": version, "frames": ["e003"]})
    rest = at.ask("frames.get_next_for_dataview", {"dataview": spec, "batch_size": 50, "scroll_id": first["scroll_id"]})
    assert [found["id"] for found in first["frames"] + rest["frames"]] == [f"e{n:03}" for n in range(6)]
    assert at.ask("frames.get_count_for_dataview", {"dataview": spec})["total"] == 8


def test_counts_are_distinct_and_for_each_rule(shared: Any) -> None:
    rules = [
        {"dataset": "*", "version": "*", "frame_query": "meta.index:[0 TO 3]", "weight": 1},
        {
            "dataset": shared.ids[0],
            "version": shared.ids[1],
            "label_rules": [{"label": "cat", "conf_range": [0.2, -1]}],
        },
    ]
    got = shared.ask("frames.get_count_for_dataview", {"dataview": {**shared.spec, "filters": rules}})
    assert got["total"] == 10
    assert [(rule["rule_index"], rule["count"], rule["accurate"]) for rule in got["rules"]] == [
        (0, 4, True),
        (1, 8, True),
    ]
    found = pages(shared, {**shared.spec, "filters": rules})
    assert [frame["rule_name"] for frame in found] == ["0"] * 4 + ["1"] * 6


def test_numbers_for_labels_come_after_mapping(shared: Any) -> None:
    spec = {
        **shared.spec,
        "labels_enumeration": {"animal": 5},
        "mapping": {"rules": [{"source": {"labels": ["cat"], "dataset": "*", "version": "*"}, "target": "animal"}]},
    }
    for found in pages(shared, spec):
        assert [(roi["label"], roi["label_num"]) for roi in found["rois"]] == [(["cat"], 5), (["sky"], -1)]


def test_projections_and_one_frame_per_roi(shared: Any) -> None:
    found = pages(shared, shared.spec, projection=["id", "sources.uri"])
    assert found[2] == {"id": "e002", "sources": [{"uri": "http://127.0.0.1:8080/clearml/files/2.png"}]}
    every = {"dataset": "*", "version": "*", "label_rules": [{"label": "*"}]}
    spec = {**shared.spec, "output_rois": "frame_per_roi", "filters": [every]}
    got = shared.ask("frames.get_next_for_dataview", {"dataview": spec, "batch_size": 3})
    assert [len(frame["rois"]) for frame in got["frames"]] == [1, 1, 1, 1]  # the two of one frame stay together
    assert got["eof"] is False


def test_the_nearest_vectors_in_every_metric(shared: Any) -> None:
    def search(metric: str, field: str = "meta.emb") -> list[tuple[str, float]]:
        asked = {"vector": [4.0, 1.0], "field": field, "method": "exact", "similarity_func": metric, "neighbors": 3}
        body = {"dataview": shared.spec, "vector_search": asked, "size": 3, "search_after": None}
        got = shared.ask("frames.get_snippets_for_dataview2", body, version="/v2.34", method="POST")
        assert (got["frames_total"], got["total_in_versions"], got["search_after"]) == (len(got["frames"]), 10, None)
        return [(frame["id"], round(frame["_score"], 6)) for frame in got["frames"]]

    assert search("l2_norm") == [("e004", 1.0), ("e003", 0.5), ("e005", 0.5)]
    assert search("dot_product") == [("e009", 19.0), ("e008", 17.0), ("e007", 15.0)]
    assert [found[0] for found in search("cosine")] == ["e004", "e005", "e003"]
    assert search("cosine")[0][1] == 1.0
    assert search("cosine", "meta.nothing") == []


def test_snippets_page_by_page(shared: Any) -> None:
    found, after = [], None
    while True:
        got = shared.ask(
            "frames.get_snippets_for_dataview2", {"dataview": shared.spec, "size": 4, "search_after": after}
        )
        found += [frame["id"] for frame in got["frames"]]
        after = got["search_after"]
        if after is None:
            break
    assert found == [f"e{n:03}" for n in range(10)]


def test_stored_views_come_back_as_they_were_sent(at: Wire) -> None:
    dataset, version = at.make()
    spec = {"versions": [{"dataset": dataset, "version": version}], "output_rois": "all_in_frame", "filters": []}
    made = at.ask("dataviews.create", {"name": "mine", **spec, "augmentation": {"sets": [{"cls": "x"}]}})["id"]
    rule = {"dataset": dataset, "version": version, "label_rules": [], "weight": 2, "odd": 1}
    assert at.ask("dataviews.update", {"dataview": made, "filters": [rule], "force": False})["updated"] == 1
    got = at.ask("dataviews.get_by_id", {"dataview": made})["dataview"]
    assert (got["id"], got["name"], got["filters"]) == (made, "mine", [rule])
    assert got["augmentation"] == {"sets": [{"cls": "x"}]}
    other = at.ask("dataviews.create", {"name": "mine", **spec})["id"]
    names = at.ask("dataviews.get_all", {"name": "^mine$", "only_fields": ["id", "created"]})["dataviews"]
    assert [row["id"] for row in names] == [other, made]
    assert all(row["name"] == "mine" for row in names)
    assert at.ask("frames.get_count_for_dataview_id", {"dataview": other})["total"] == 0
    at.ask("dataviews.get_by_id", {"dataview": "nothing"}, status=400)
    assert "publish that first" in at.ask("dataviews.publish", {"dataview": made}, status=400)


# ------------------------------------------------------------------------------------------------------------ files
def test_files_are_kept_by_content_and_read_in_ranges(at: Wire) -> None:
    data = bytes(range(256)) * 4000
    assert at.upload("/ds/a/sub path/ö.png", data).status_code == 200
    assert at.upload("/ds/b/copy.png", data).status_code == 200
    uri = f"{FILES_PATH}/ds/a/sub%20path/%C3%B6.png"
    got = at.http.get(uri, headers=at.headers)
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, data, str(len(data)))
    assert got.headers["content-type"] == "image/png"
    store = Path(at.server.service.store.uri)
    assert len([item for item in (store / "files" / "sha256").rglob("*") if item.is_file()]) == 1
    assert list((store / "files" / "incoming").iterdir()) == []
    for asked, status, part in (
        ("bytes=10-19", 206, data[10:20]),
        ("bytes=1023990-", 206, data[1023990:]),
        ("bytes=-5", 206, data[-5:]),
        ("bytes=9999999-", 416, b""),
        ("bytes=5-1", 416, b""),
        ("lines=1-2", 200, data),
    ):
        got = at.http.get(uri, headers={**at.headers, "Range": asked})
        assert (got.status_code, got.content) == (status, part), asked
    head = at.http.head(uri, headers=at.headers)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")
    assert at.http.get(uri, headers={**at.headers, "If-None-Match": head.headers["etag"]}).status_code == 304
    assert at.http.delete(uri, headers=at.headers).status_code == 200
    assert enveloped(at.http.get(uri, headers=at.headers))["meta"]["result_code"] == 404
    assert at.http.get(f"{FILES_PATH}/ds/b/copy.png", headers=at.headers).content == data


def test_uploads_stay_where_they_belong(at: Wire) -> None:
    for path in ("/../x", "/a/../../x", "/a\\b", "/", "/" + "x" * 3000):
        assert enveloped(at.upload(path, b"x"))["meta"]["result_code"] == 400, path
    assert enveloped(at.http.post(FILES_PATH, files={"a": ("a", b"x")}))["meta"]["result_code"] == 401
    body = b'--b\r\nContent-Disposition: form-data; name="/a"; filename="/a"\r\n\r\nhalf'
    head = {**at.headers, "Content-Type": "multipart/form-data; boundary=b"}
    assert enveloped(at.http.post(FILES_PATH, content=body, headers=head))["meta"]["result_code"] == 400
    assert enveloped(at.http.post(FILES_PATH, content=b"x" * 99, headers=head))["meta"]["result_code"] == 400
    assert enveloped(at.http.post(FILES_PATH, json={}, headers=at.headers))["meta"]["result_code"] == 400
    empty = at.upload("/empty", b"")
    assert empty.status_code == 200
    assert at.http.get(f"{FILES_PATH}/empty", headers=at.headers).headers["content-length"] == "0"


def test_the_viewer_reads_uploads_without_the_network(at: Wire) -> None:
    data = b"not a picture, but bytes"
    at.upload("/ds/a b.png", data)
    doors = at.server.service.doors
    assert at.server.service.pictures.doors is doors
    for host in ("127.0.0.1:8080", "localhost:8080"):
        assert doors.read(f"http://{host}{FILES_PATH}/ds/a%20b.png") == data
    with doors.open(f"http://127.0.0.1:8080{FILES_PATH}/ds/a%20b.png") as file:
        assert file.read() == data
    for other in (f"http://127.0.0.1:8080{FILES_PATH}/ds/other.png", "http://127.0.0.1:8080/ds/a%20b.png"):
        with pytest.raises(OSError):
            doors.read(other)


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 600), max_size=6))
@settings(max_examples=60, deadline=None)
def test_an_upload_reads_the_same_however_it_arrives(data: bytes, cuts: list[int]) -> None:
    from smalti.server.clearml.multipart import OnePart

    data = data.replace(b"\r\n--edge", b"")
    body = b'--edge\r\nContent-Disposition: form-data; name="/a"; filename="/a/b"\r\n\r\n' + data + b"\r\n--edge--\r\n"
    found = bytearray()
    part = OnePart(b"edge", found.extend)
    edges = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    for start, stop in pairwise(edges):
        part.feed(body[start:stop])
    part.finish()
    assert (bytes(found), part.name) == (data, "/a/b")


# ------------------------------------------------------------------------------------------------------------ tasks
def test_a_task_returns_what_it_was_told(at: Wire) -> None:
    project = at.ask("projects.create", {"name": "p"})["id"]
    task = at.ask("tasks.create", {"name": "t", "type": "training", "project": project})["id"]
    at.ask("tasks.started", {"task": task})
    view = {"view": {"entries": [{"dataset": "a", "version": "b"}]}, "dataviews": {"dataview_1": "x"}}
    at.ask("tasks.edit", {"task": task, "input": view, "execution": {"dataviews": [{"name": "dataview_1"}]}})
    got = at.ask("tasks.get_by_id", {"task": task})["task"]
    assert (got["input"], got["status"], got["project"]) == (view, "in_progress", project)
    lines = b'{"type":"log","task":"x","msg":"1"}\n{"type":"log","task":"x","msg":"2"}'
    head = {"Content-Type": "application/json-lines"}
    assert at.raw("events.add_batch", method="POST", content=lines, headers=head)["data"]["added"] == 2
    at.ask("tasks.completed", {"task": task})
    polled = at.ask("tasks.get_all", {"id": [task], "only_fields": ["status", "id"]})["tasks"]
    assert polled == [{"id": task, "status": "completed"}]
    at.ask("tasks.get_by_id", {"task": "0" * 32}, status=400)


# ---------------------------------------------------------------------------------------------------------- rubbish
def _names() -> list[str]:
    from smalti.server.clearml.app import ENDPOINTS

    return sorted(ENDPOINTS)


FIELDS = (
    *("id", "name", "version", "dataset", "dataview", "versions", "filters", "iteration", "frames", "frame"),
    *("scroll_id", "project", "tags", "page", "page_size", "size", "only_fields", "vector_search", "metadata"),
    *("task", "field_mappings", "batch_size", "projection", "search_after", "random_seed", "order_by", "ids"),
    *("labels_enumeration", "mapping", "status", "hyperparams", "prepare_id", "schema_type", "download_type"),
)


@given(
    name=st.sampled_from(_names()),
    body=st.dictionaries(
        st.sampled_from(FIELDS),
        JSON,
        max_size=5,
    ),
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rubbish_in_fields_gets_the_envelope(shared: Wire, name: str, body: dict[str, Any]) -> None:
    if isinstance(body.get("dataview"), dict):
        body["dataview"].setdefault("versions", shared.spec["versions"])  # type: ignore[attr-defined]
    found = shared.raw(name, body)
    assert found["meta"]["result_code"] != 500, (name, body, found["meta"]["result_msg"])


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    path=st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20),
    content=st.binary(max_size=60),
    kind=st.sampled_from(
        ["application/json", "application/json-lines", "text/html", "multipart/form-data; boundary=x"]
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rubbish_on_the_wire_gets_the_envelope(shared: Wire, method: str, path: str, content: bytes, kind: str) -> None:
    from urllib.parse import quote

    for prefix in (API_PATH, FILES_PATH):
        url = f"{prefix}/{quote(path, safe='/.')}"
        answer = shared.http.request(method, url, content=content, headers={**shared.headers, "Content-Type": kind})
        assert answer.status_code in CODES - {500}
        if method != "HEAD":
            enveloped(answer)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'"x"', b"7", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"name": "\\ud800"}']
)
def test_bodies_that_are_no_object_are_refused(shared: Wire, content: bytes) -> None:
    head = {"Content-Type": "application/json"}
    assert shared.raw("projects.create", content=content, headers=head)["meta"]["result_code"] == 400


def test_bodies_beyond_the_limit_are_refused_before_they_are_read(shared: Wire) -> None:
    head = {"Content-Type": "application/json", "Content-Length": str(1 << 40)}
    found = shared.raw("datasets.save_frames", content=b"{}", headers=head)
    assert found["meta"]["result_code"] == 400
    assert "too large" in found["meta"]["result_msg"]


def test_ports_of_their_own_and_a_file_of_variables(at: Wire, tmp_path: Path) -> None:
    import httpx

    service, file = at.server.service, tmp_path / "env"
    with serve_apart(service, "127.0.0.1", (0, 0)) as ports:
        found = variables(service, "http://127.0.0.1:8080", file=file, ports=ports)
        assert found["CLEARML_API_HOST"] == f"http://127.0.0.1:{ports[0]}"
        assert found["CLEARML_FILES_HOST"] == f"http://127.0.0.1:{ports[1]}"
        assert variables(service, "http://127.0.0.1:8080", file=file, ports=ports) == found  # the same key again
        assert file.stat().st_mode & 0o777 == 0o600
        keys = (found["CLEARML_API_ACCESS_KEY"], found["CLEARML_API_SECRET_KEY"])
        with httpx.Client(trust_env=False) as http:
            answer = http.get(f"{found['CLEARML_API_HOST']}/auth.login", auth=keys)
            head = {"Authorization": f"Bearer {enveloped(answer)['data']['token']}"}
            assert (
                http.post(
                    found["CLEARML_FILES_HOST"], files={"/a/b.txt": ("/a/b.txt", b"hi")}, headers=head
                ).status_code
                == 200
            )
            assert http.get(f"{found['CLEARML_FILES_HOST']}/a/b.txt", headers=head).content == b"hi"
        with pytest.raises(StorageError, match="choose another port"), serve_apart(service, "127.0.0.1", ports):
            pass
    at.server.service.store.catalog.revoke_key(keys[0])
    service.gate.forget()
    assert variables(service, "http://x", file=file)["CLEARML_API_ACCESS_KEY"] != keys[0]


def test_viewers_read_and_annotators_do_not_publish(tmp_path: Path) -> None:
    from smalti.server.auth import new_key
    from smalti.store.rows import UserRow

    with wire(tmp_path) as owner:
        service = owner.server.service
        dataset, version = owner.make()
        service.gate.only_owner = False
        for role in ("viewer", "annotator"):
            service.store.catalog.add_user(UserRow(name=role, role=role))  # type: ignore[arg-type]
            row, secret = new_key(role)
            service.store.catalog.add_key(row)
            other = Wire(owner.server, owner.http, (row.access_key, secret))
            other.log_in()
            assert other.ask("datasets.get_all", {})["datasets"][0]["id"] == dataset
            other.ask("datasets.publish_version", {"version": version}, status=403)
            saved = {"version": version, "frames": [frame(0)]}
            other.ask("datasets.save_frames", saved, status=403 if role == "viewer" else 200)
            assert other.upload("/a", b"x").status_code == (403 if role == "viewer" else 200)
