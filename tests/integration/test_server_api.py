"""The API on a small store whose every pixel is known; what it answers is compared with NumPy and the library."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import pytest
from PIL import Image
from tests.serving import BLUE, RED, STRANGER, H, Site, W, frame, make_store, scene, site, write_files

from smalti.frames import SingleFrame
from smalti.server.events import Events

V1 = "/versions/street@v1"
V2 = "/versions/street@v2"
FRONT = "/frames/f0/sources/front"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    make_store(folder).close()
    return folder


@pytest.fixture(scope="module")
def reading(folder: Path) -> Iterator[Site]:
    """A server that these tests only read from."""
    with site(folder) as found:
        yield found


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    """A server of its own, to change things on."""
    make_store(tmp_path, 3).close()
    with site(tmp_path) as found:
        yield found


def pixels(answer: Any) -> np.ndarray[Any, Any]:
    headers = answer.headers
    size = int(headers["x-mask-height"]), int(headers["x-mask-width"])
    return np.frombuffer(answer.content, np.dtype(headers["x-mask-dtype"]).newbyteorder("<")).reshape(size)


# ------------------------------------------------------------------------------------------------------------ masks
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_index_map_is_the_mask_to_the_pixel(reading: Site, encoding: str) -> None:
    for number in range(3):
        path = f"{V1}/frames/f{number}/sources/front/masks/seg/index"
        answer = reading.get(path, headers={"Accept-Encoding": encoding})
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-mask-dtype"] == "uint8"
        assert answer.headers.get("content-encoding", "identity") == encoding
        np.testing.assert_array_equal(pixels(answer), scene(number)["labels"])


def test_legend_says_what_the_numbers_mean(reading: Site) -> None:
    found = reading.get(f"{V1}{FRONT}/masks/seg/legend").json()
    truth = scene()["labels"]
    assert [(row["index"], row["value"], row["labels"], row["roi_ids"]) for row in found["entries"]] == [
        (1, list(RED), ["car", "vehicle"], ["r1"]),
        (2, list(BLUE), ["road"], ["r2"]),
    ]
    assert [row["pixels"] for row in found["entries"]] == [int((truth == 1).sum()), int((truth == 2).sum())]
    assert found["entries"][1]["box2d_xywh"] == [15, 4, 15, 16]
    assert found["void"] == int((truth == 0).sum())
    assert [(row["value"], row["pixels"]) for row in found["unmapped"]] == [(list(STRANGER), found["void"])]
    assert (found["policy"], found["kind"], found["width"], found["height"]) == ("exact", "colors", W, H)
    assert sum(found["settled"].values()) == H * W


def test_ids_beyond_a_byte_keep_their_numbers(reading: Site) -> None:
    index = pixels(reading.get(f"{V1}{FRONT}/masks/objects/index"))
    legend = reading.get(f"{V1}{FRONT}/masks/objects/legend").json()
    values = np.zeros(len(legend["entries"]) + 1, np.int64)
    for row in legend["entries"]:
        values[row["index"]] = row["value"]
    assert legend["kind"] == "ids"
    np.testing.assert_array_equal(values[index], scene()["ids"])


def test_alpha_is_the_stored_grey(reading: Site) -> None:
    np.testing.assert_array_equal(pixels(reading.get(f"{V1}{FRONT}/masks/matte/alpha")), scene()["alpha"])
    reading.get(f"{V1}{FRONT}/masks/matte/index", status=422)


def test_masks_are_listed_without_opening_them(reading: Site) -> None:
    found = reading.get(f"{V1}{FRONT}/masks").json()
    assert [(row["id"], row["kind"], row["labels"]) for row in found] == [
        ("seg", "labels", ["car", "vehicle", "road"]),
        ("objects", "ids", []),
        ("matte", "alpha", []),
    ]


def test_a_reduced_index_map_takes_pixels_of_the_whole_one(reading: Site) -> None:
    small = pixels(reading.get(f"{V1}{FRONT}/masks/seg/index?max=10"))
    assert small.shape == (6, 10)
    rows, columns = ((np.arange(6) + 0.5) * 4).astype(int), ((np.arange(10) + 0.5) * 4).astype(int)
    np.testing.assert_array_equal(small, scene()["labels"][rows[:, None], columns])


def test_media_are_revalidated_and_ranged(reading: Site) -> None:
    path = f"{V1}{FRONT}/masks/seg/index"
    first = reading.get(path, headers={"Accept-Encoding": "identity"})
    again = reading.get(
        path, status=304, headers={"If-None-Match": first.headers["etag"], "Accept-Encoding": "identity"}
    )
    assert again.content == b""
    reading.get(path, status=412, headers={"If-Match": '"other"'})
    image = reading.get(f"{V1}{FRONT}/image")
    part = reading.get(f"{V1}{FRONT}/image", status=206, headers={"Range": "bytes=10-19"})
    assert part.content == image.content[10:20]
    kept = reading.get(f"{V1}{FRONT}/image?h={image.headers['x-content-hash']}")
    assert "immutable" in kept.headers["cache-control"]


# ----------------------------------------------------------------------------------------------------------- images
def test_images(reading: Site) -> None:
    for fmt in ("auto", "exact", "png"):
        answer = reading.get(f"{V1}{FRONT}/image?fmt={fmt}")
        found = np.asarray(Image.open(io.BytesIO(answer.content)))
        np.testing.assert_array_equal(found, scene()["image"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    small = Image.open(io.BytesIO(reading.get(f"{V1}{FRONT}/image?size=20&fmt=jpeg").content))
    assert (small.format, small.size) == ("JPEG", (20, 12))


def test_thumbnails_are_made_once(reading: Site, folder: Path) -> None:
    made = reading.server.service.metrics.text
    path = f"{V1}/frames/f1/sources/front/thumb?size=32&overlay=masks"
    first = reading.get(path)
    assert Image.open(io.BytesIO(first.content)).size == (32, 19)
    count = [line for line in made().splitlines() if line.startswith("smalti_thumbs_made_total")]
    assert reading.get(path).content == first.content
    assert [line for line in made().splitlines() if line.startswith("smalti_thumbs_made_total")] == count
    plain = reading.get(f"{V1}/frames/f1/sources/front/thumb?size=32").content
    assert plain != first.content
    assert len([p for p in (folder / "thumbs").rglob("*") if p.is_file()]) >= 2


def test_a_file_that_changes_in_place_is_seen(here: Site) -> None:
    path = f"{V2}{FRONT}/masks/seg/index"
    before = here.get(path).headers["etag"]
    truth = scene(5)["colors"][::-1]
    Image.fromarray(truth).save(here.folder / "files" / "f0_seg.png")
    answer = here.get(path, headers={"If-None-Match": before})
    np.testing.assert_array_equal(pixels(answer), scene(5)["labels"][::-1])


def test_missing_things_are_named(reading: Site) -> None:
    cases = {
        f"{V1}/frames/none": "frame",
        f"{V1}/frames/f0/sources/none/image": "source",
        f"{V1}{FRONT}/masks/none/index": "mask",
        "/versions/street@v9": "version",
        "/datasets/none": "dataset",
        "/dataviews/none": "view",
        "/jobs/none": "job",
    }
    for path, name in cases.items():
        problem = reading.get(path, status=404)
        assert problem.headers["content-type"].startswith("application/problem+json")
        assert problem.json()["type"] == f"urn:smalti:problem:{name}", path
    assert reading.get(f"{V1}{FRONT}/masks/none/index", status=404).json()["known"] == ["seg", "objects", "matte"]


# ----------------------------------------------------------------------------------------------------------- search
def test_pages_cover_everything_once(reading: Site) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        body = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = reading.post(f"{V1}/frames/search", body).json()
        seen += [hit["id"] for hit in page["hits"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"f{n}" for n in range(7)]
    assert page["total"] == 7


def test_a_search_is_what_the_library_finds(reading: Site) -> None:
    version = reading.server.service.store["street"]["v1"]
    for query in ("label:car", "meta.city:Bremen", "meta.rain:[0.2 TO 0.4]", "NOT label:car", "context_id:drive1"):
        expected = [item.id for item in version.view(query)]
        page = reading.post(f"{V1}/frames/search", {"query": query}).json()
        assert [hit["id"] for hit in page["hits"]] == expected, query
    rules = [{"frame_query": "id:f1"}, {"frame_query": "id:f5"}]
    page = reading.post(f"{V1}/frames/search", {"filters": rules, "sort": "-id"}).json()
    assert [hit["id"] for hit in page["hits"]] == ["f5", "f1"]


def test_sorting_and_grouping(reading: Site) -> None:
    page = reading.post(f"{V1}/frames/search", {"sort": "-meta.rain", "limit": 2}).json()
    assert [hit["id"] for hit in page["hits"]] == ["f6", "f5"]
    page = reading.post(f"{V1}/frames/search", {"group": "meta.city"}).json()
    assert [(hit["id"], hit["group"]) for hit in page["hits"]] == [("f0", 4), ("f1", 3)]
    ids = reading.post(f"{V1}/frames/ids", {"around": "f4", "limit": 3}).json()
    assert (ids["ids"], ids["offset"]) == (["f3", "f4", "f5"], 3)


def test_a_cursor_goes_on_after_frames_were_removed(here: Site) -> None:
    page = here.post(f"{V2}/frames/search", {"limit": 2}).json()
    here.draft.delete_frames(["f0"])
    rest = here.post(f"{V2}/frames/search", {"limit": 2, "cursor": page["next"]}).json()
    assert [hit["id"] for hit in page["hits"] + rest["hits"]] == ["f0", "f1", "f2"]


def test_queries_are_explained_at_the_caret(reading: Site) -> None:
    found = reading.post("/query/parse", {"text": "label:car AND (meta.x:1", "version": "street@v1"}).json()
    assert (found["ok"], found["column"]) == (False, 14)
    found = reading.post("/query/parse", {"text": "label:ca", "version": "street@v1"}).json()
    assert found["ok"]
    assert found["completions"][0] == {"text": "car", "start": 6, "stop": 8, "kind": "label"}
    found = reading.post("/query/parse", {"text": "meta.city:Bre", "version": "street@v1"}).json()
    assert [item["text"] for item in found["completions"]] == ["Bremen"]


def test_full_frames_are_the_stored_json(reading: Site) -> None:
    hit = reading.post(f"{V1}/frames/search", {"fields": "full", "limit": 1}).json()["hits"][0]
    expected = reading.server.service.store["street"]["v1"].get("f0").to_dict()
    assert hit["frame"] == msgspec.json.decode(msgspec.json.encode(expected))


# ------------------------------------------------------------------------------------------------------- statistics
def test_statistics(here: Site) -> None:
    rows = {row["label"]: row for row in here.post(f"{V2}/statistics", {}).json()["rows"]}
    assert (rows["car"]["count"], rows["car"]["frames"], rows["road"]["count"]) == (6, 3, 3)
    cities = here.post(f"{V2}/statistics", {"scope": "frame", "property": "meta.city"}).json()["rows"]
    assert {row["label"]: row["count"] for row in cities} == {"Bremen": 2, "Ravenna": 1}
    before = here.post(f"{V2}/statistics", {"scope": "mask"}).json()
    assert (before["without_facts"], before["rows"]) == (3, [])


def test_pixels_are_counted_by_a_job(here: Site) -> None:
    folder = here.folder / "files"
    for number in range(3):
        found = frame(number)
        for media in (found["sources"][0], *found["sources"][0]["masks"]):
            media["uri"] = str(folder / Path(media["uri"]).name)
        here.draft.update_frame(found)
    job = here.post(f"{V2}/facts", status=202).json()
    assert here.server.service.jobs.settle()
    done = here.get(f"/jobs/{job['id']}").json()
    assert (done["state"], done["result"]) == ("done", {"failed": []})
    found = here.post(f"{V2}/statistics", {"scope": "mask", "mask": "seg"}).json()
    truth = scene()["labels"]
    rows = {row["label"]: row["pixels"] for row in found["rows"]}
    assert rows == {
        "car": 3 * int((truth == 1).sum()),
        "vehicle": 3 * int((truth == 1).sum()),
        "road": 3 * int((truth == 2).sum()),
    }
    assert (found["void"], found["without_facts"]) == (3 * int((truth == 0).sum()), 0)


def test_formulas_are_disarmed(here: Site) -> None:
    evil = frame(0, id="=cmd|' /C calc'!A0", context_id="@SUM(A1)")
    evil["rois"][0]["label"] = ["+1+1", "-2"]
    here.draft.update_frame(evil)
    text = here.get(f"{V2}/export?fmt=csv").text
    line = next(line for line in text.splitlines() if "cmd" in line)
    assert line.startswith("'=cmd|' /C calc'!A0,'@SUM(A1),")
    assert ",'+1+1;-2;road;car" in line
    counted = here.post(f"{V2}/statistics", {}, headers={"Accept": "text/csv"}).text
    assert "\n'+1+1," in counted
    assert "\n+1+1," not in counted


# ------------------------------------------------------------------------------------------------------------ edits
def test_an_edit_is_stored_and_told(here: Site) -> None:
    path = f"{V2}/frames/f0"
    tag = here.get(path).headers["etag"]
    answer = here.ask(
        "PATCH", path, json={"patch": [{"op": "add", "path": "/meta/seen", "value": True}]}, headers={"If-Match": tag}
    )
    assert here.draft.get("f0").metadata["seen"] is True
    assert answer.headers["etag"].strip('"') == here.draft.etag("f0")
    event = here.server.service.events._past[-1]
    assert (event.kind, event.data["frame"]) == ("frame.updated", "f0")
    entry = here.get("/audit").json()["items"][0]
    assert (entry["what"], entry["detail"]["frame"], entry["who"]) == ("edit frame", "f0", here.server.service.owner)


def test_whole_lists_of_rois_and_metadata(here: Site) -> None:
    path = f"{V2}/frames/f0"
    tag = here.get(path).headers["etag"]
    rois = [{"id": "new", "labels": ["tree"], "poly": [0, 0, 4, 0, 4, 4], "meta": {"_type": "pol"}}]
    here.ask("PATCH", path, json={"rois": rois, "meta": {"k": "v"}}, headers={"If-Match": tag})
    record = here.draft.get_record("f0")
    assert [(roi.id, roi.label) for roi in record.rois] == [("new", ["tree"])]
    assert record.meta == {"k": "v"}


def test_of_two_edits_of_one_state_one_wins(here: Site) -> None:
    path = f"{V2}/frames/f0"
    tag = here.get(path).headers["etag"]
    here.ask("PATCH", path, json={"meta": {"who": "first"}}, headers={"If-Match": tag})
    lost = here.ask("PATCH", path, json={"meta": {"who": "second"}}, headers={"If-Match": tag}, status=412)
    assert lost.json()["etag"] == here.draft.etag("f0")
    assert here.draft.get("f0").metadata == {"who": "first"}
    here.ask("PATCH", path, json={"meta": {}}, status=428)


def test_many_edits_at_once_lose_nothing(here: Site) -> None:
    path = f"{V2}/frames/f0"
    outcomes: list[int] = []

    def edit(number: int) -> None:
        while True:
            tag = here.client.get(f"/api/v1{path}").headers["etag"]
            body = {"patch": [{"op": "add", "path": f"/meta/n{number}", "value": number}]}
            headers = {"If-Match": tag, "Origin": "http://127.0.0.1:8080"}
            status = here.client.patch(f"/api/v1{path}", json=body, headers=headers).status_code
            outcomes.append(status)
            if status == 200:
                return

    threads = [threading.Thread(target=edit, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(outcomes) <= {200, 412}
    assert {f"n{n}": n for n in range(4)}.items() <= here.draft.get("f0").metadata.items()


def test_a_published_version_refuses_and_offers_a_child(here: Site) -> None:
    path = f"{V1}/frames/f0"
    answer = here.get(path)
    assert answer.json()["editable"] is False
    problem = here.ask(
        "PATCH", path, json={"meta": {}}, headers={"If-Match": answer.headers["etag"]}, status=409
    ).json()
    assert problem["type"] == "urn:smalti:problem:version-frozen"
    assert "child" in problem["detail"]
    child = here.post(f"{V1}/child", {"name": "v3"}, status=201).json()
    assert here.get(f"/versions/{child['id']}/frames/f0").json()["editable"] is True


def test_an_edit_that_makes_no_frame_is_refused(here: Site) -> None:
    path = f"{V2}/frames/f0"
    tag = {"If-Match": here.get(path).headers["etag"]}
    refused = {
        "type": [{"op": "replace", "path": "/rois", "value": 7}],
        "id": [{"op": "replace", "path": "/id", "value": "other"}],
        "empty": [{"op": "replace", "path": "/sources", "value": []}],
        "mask": [{"op": "replace", "path": "/rois/0/mask/id", "value": "none"}],
        "color": [{"op": "replace", "path": "/rois/0/mask/value", "value": [1, 2, 999]}],
    }
    for name, patch in refused.items():
        answer = here.client.patch(
            f"/api/v1{path}", json={"patch": patch}, headers={**tag, "Origin": "http://127.0.0.1:8080"}
        )
        assert answer.status_code in (404, 422), (name, answer.text)
    assert here.draft.etag("f0") == tag["If-Match"].strip('"')


def test_frames_are_added_and_removed(here: Site) -> None:
    write_files(here.folder / "files", range(3, 5))
    bad = frame(4)
    bad["sources"] = []
    answer = here.post(f"{V2}/frames", {"frames": [frame(3), bad]}).json()
    assert answer["stored"] == 1
    assert answer["failed"][0]["id"] == "f4"
    assert "$.sources is empty" in answer["failed"][0]["error"]
    tag = here.get(f"{V2}/frames/f3").headers["etag"]
    here.ask("DELETE", f"{V2}/frames/f3", headers={"If-Match": tag})
    assert here.draft.frame_ids() == ["f0", "f1", "f2"]


def test_ids_with_slashes_and_spaces(here: Site) -> None:
    name = "day 1/cam?#%2F/é"
    here.draft.update_frame(frame(0, id=name))
    path = f"{V2}/frames/{quote(name, safe='')}"
    assert here.get(path).json()["frame"]["id"] == name
    np.testing.assert_array_equal(pixels(here.get(f"{path}/sources/front/masks/seg/index")), scene()["labels"])


# ----------------------------------------------------------------------------------------------- datasets, versions
def test_a_dataset_through_its_life(here: Site) -> None:
    made = here.post("/datasets", {"name": "night", "project": "roads", "version": "v0"}, status=201)
    path = f"/datasets/{made.json()['id']}"
    here.post("/datasets", {"name": "night", "project": "roads"}, status=409)
    tag = here.get(path).headers["etag"]
    changed = here.ask("PATCH", path, json={"name": "dusk", "tags": ["a"]}, headers={"If-Match": tag})
    assert here.server.service.store["dusk"].tags == ["a"]
    here.ask("PATCH", path, json={"name": "dawn"}, headers={"If-Match": tag}, status=412)
    assert [item["name"] for item in here.get("/datasets?q=DUS").json()["items"]] == ["dusk"]
    assert here.get("/projects").json() == [{"name": "", "datasets": 1}, {"name": "roads", "datasets": 1}]
    here.ask("DELETE", path, headers={"If-Match": changed.headers["etag"]})
    assert "dusk" not in here.server.service.store


def test_a_version_through_its_life(here: Site) -> None:
    tag = here.get(V2).headers["etag"]
    here.ask("PATCH", V2, json={"name": "v2b", "description": "d"}, headers={"If-Match": tag})
    path = "/versions/street@v2b"
    tag = here.get(path).headers["etag"]
    here.post(f"{path}/publish", {}, status=428)
    here.post(f"{path}/publish", {}, headers={"If-Match": tag})
    assert here.server.service.store["street"]["v2b"].is_published
    tree = here.get("/datasets/street/versions").json()
    assert [(row["name"], row["depth"], row["state"]) for row in tree] == [
        ("v1", 0, "published"),
        ("v2b", 1, "published"),
    ]
    tag = here.get(path).headers["etag"]
    here.ask("DELETE", path, headers={"If-Match": tag}, status=409)
    here.ask("DELETE", f"{path}?force=true", headers={"If-Match": tag})
    assert "v2b" not in here.server.service.store["street"]


def test_metadata_and_legends(here: Site) -> None:
    tag = here.get(f"{V2}/metadata").headers["etag"]
    body = {"k": 1, "mask_labels": {"_all_": [{"value": list(STRANGER), "labels": ["ghost"]}]}}
    here.ask("PUT", f"{V2}/metadata", json=body, headers={"If-Match": tag})
    assert here.draft.metadata["k"] == 1
    np.testing.assert_array_equal(pixels(here.get(f"{V2}{FRONT}/masks/seg/index")) == 3, scene()["labels"] == 0)
    here.ask("PUT", f"{V2}/metadata", json={}, headers={"If-Match": tag}, status=412)


def test_a_diff_counts_the_pixels_that_changed(here: Site) -> None:
    found = frame(1)
    turned = scene(1)["colors"][:, ::-1]
    Image.fromarray(turned).save(here.folder / "files" / "other.png")
    found["sources"][0]["masks"][0]["uri"] = "files/other.png"
    here.draft.update_frame(found)
    listed = here.get(f"{V1}/diff/street@v2").json()
    assert listed["items"] == [{"id": "f1", "kind": "changed"}]
    moved = here.get(f"{V1}/diff/street@v2/frames/f1").json()
    names = {0: None, 1: "car, vehicle", 2: "road"}
    truth, after = scene(1)["labels"], scene(1)["labels"][:, ::-1]
    expected = {(names[a], names[b]): int(((truth == a) & (after == b)).sum()) for a in names for b in names if a != b}
    assert {(row["before"], row["after"]): row["pixels"] for row in moved["pixels"]} == {
        pair: n for pair, n in expected.items() if n
    }
    assert [change["path"] for change in moved["changes"]] == ["sources.front.masks.seg"]


# ------------------------------------------------------------------------------------------------------------ views
def test_views(here: Site) -> None:
    spec = {
        "versions": [{"dataset": "street", "version": "v1"}],
        "filters": [{"label_rules": [{"label": "car"}], "frame_query": "meta.city:Bremen"}],
        "labels_enumeration": {"car": 1, "road": 2},
    }
    made = here.post("/dataviews", {"name": "cars", "spec": spec}, status=201)
    path = f"/dataviews/{made.json()['id']}"
    page = here.post(f"{path}/preview").json()
    assert (page["total"], [item["hit"]["id"] for item in page["frames"]]) == (2, ["f0", "f2"])
    tables = here.get(f"{path}/explain").json()["tables"]
    assert [(row["labels"], row["number"]) for row in tables[0]["rows"]] == [(["car", "vehicle"], 1), (["road"], 2)]
    tag = here.get(path).headers["etag"]
    here.ask("PATCH", path, json={"name": "autos"}, headers={"If-Match": tag})
    here.ask("PATCH", path, json={"name": "lost"}, headers={"If-Match": tag}, status=412)
    bad = {"versions": [], "filters": [{"frame_query": "meta.x:["}]}
    assert here.post("/dataviews", {"name": "bad", "spec": bad}, status=400).json()["column"] is not None
    here.post(f"{path}/publish")
    tag = here.get(path).headers["etag"]
    here.ask("PATCH", path, json={"spec": spec}, headers={"If-Match": tag}, status=409)
    assert here.post(f"{path}/clone", status=201).json()["status"] == "draft"
    here.post(f"{path}/archive")
    assert [item["name"] for item in here.get("/dataviews").json()] == ["autos copy"]


# ------------------------------------------------------------------------------------------------------ live, pages
async def _first(stream: Any, count: int) -> bytes:
    return b"".join([await anext(stream) for _ in range(count)])


def test_events_are_replayed_from_the_last_one() -> None:
    import asyncio

    async def listen() -> tuple[bytes, bytes, bytes]:
        events = Events()
        for number in range(3):
            events.publish("frame.updated", frame=f"f{number}")
        resumed = events.stream(1)
        replayed = await _first(resumed, 3)
        events.publish("version.published", version="v")
        live = await anext(resumed)
        await resumed.aclose()
        lost = await _first(events.stream(99), 2)
        idle = events.stream(None, keep_alive_s=0.01)
        quiet = await _first(idle, 2)
        return replayed, live + lost, quiet

    replayed, live, quiet = asyncio.run(listen())
    assert b'id: 2\nevent: frame.updated\ndata: {"frame":"f1"}\n\nid: 3' in replayed
    assert b"version.published" in live
    assert b"event: reset" in live
    assert quiet.endswith(b": keep-alive\n\n")


def test_pages_and_health(reading: Site, folder: Path) -> None:
    client = reading.client
    assert client.get("/healthz").json() == {"status": "ok"}
    hint = client.get("/datasets/street/versions/v1/frames/f0")
    assert hint.status_code == 200
    assert "make web" in hint.text
    static = folder / "static"
    (static / "assets").mkdir(parents=True, exist_ok=True)
    (static / "index.html").write_text('<!doctype html><head><script src="/assets/a.js"></script></head>viewer')
    (static / "assets" / "a.js").write_text("let x = 1")
    page = client.get("/datasets/street/versions/v1/frames/f0")
    assert "viewer" in page.text
    assert page.headers["cache-control"] == "no-cache"
    script = client.get("/assets/a.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert client.get("/assets/none.js").status_code == 404
    assert "smalti_requests_total" in client.get("/metrics").text
    (static / "index.html").unlink()


def test_a_prefix_of_a_proxy(tmp_path: Path) -> None:
    make_store(tmp_path, 1).close()
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text('<head></head><script src="/assets/a.js"></script>')
    with site(tmp_path, prefix="/smalti") as found:
        text = found.client.get("/smalti/datasets").text
        assert 'src="/smalti/assets/a.js"' in text
        assert '<meta name="smalti-base" content="/smalti">' in text
        assert found.client.get("/smalti/api/v1/datasets").status_code == 200
        assert found.client.get("/api/v1/datasets").status_code == 200


def test_settings_and_colors(here: Site) -> None:
    here.ask("PUT", "/settings/me", json={"theme": "dark"})
    assert here.get("/settings/me").json() == {"theme": "dark"}
    tag = here.get("/datasets/street/label-colors").headers["etag"]
    here.ask("PUT", "/datasets/street/label-colors", json={"car": "#ff0000"}, headers={"If-Match": tag})
    assert here.get("/datasets/street/label-colors").json() == {"car": "#ff0000"}
    here.ask("PUT", "/datasets/street/label-colors", json={"car": "url(x)"}, headers={"If-Match": tag}, status=400)


def test_the_library_reads_what_the_server_stored(here: Site) -> None:
    write_files(here.folder / "files", range(3, 4))
    here.post(f"{V2}/frames", {"frames": [frame(3)]})
    handle = here.draft.get("f3")
    assert isinstance(handle, SingleFrame)
    assert handle.metadata == frame(3)["meta"]
