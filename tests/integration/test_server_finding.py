"""What a page asks beside the frame itself: what is like it, polygons of its masks, a copy of an edit that came too late."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.serving import RED, H, Site, W, frame, make_store, scene, site

from smalti.convert import polygons_to_mask
from smalti.polygons import rasterise
from smalti.server.tracing import simplified

V1 = "/versions/street@v1"
V2 = "/versions/street@v2"
SEG = f"{V1}/frames/f0/sources/front/masks/seg"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    make_store(tmp_path, 3).close()
    with site(tmp_path) as found:
        yield found


# ---------------------------------------------------------------------------------------------------------- vectors
@pytest.fixture
def vectors(here: Site) -> np.ndarray:
    """Ten frames more, each with a vector of six numbers; returned as rows."""
    found = np.random.default_rng(3).normal(size=(10, 6))
    made = [frame(0, id=f"v{n}", meta={"city": "ab"[n % 2], "look": {"clip": found[n].tolist()}}) for n in range(10)]
    assert here.draft.add_frames(made) == []
    return found


def test_vector_fields_are_found(here: Site, vectors: np.ndarray) -> None:
    (field,) = here.get(f"{V2}/vector-fields").json()
    assert field == {"field": "meta.look.clip", "dimensions": 6, "frames": 10}
    assert here.get(f"{V1}/vector-fields").json() == []


@pytest.mark.parametrize("metric", ["cosine", "l2_norm"])
def test_the_nearest_come_first(here: Site, vectors: np.ndarray, metric: str) -> None:
    wanted = vectors[4]
    if metric == "cosine":
        near = -(vectors @ wanted) / np.linalg.norm(vectors, axis=1)
    else:
        near = np.linalg.norm(vectors - wanted, axis=1)
    order = [f"v{n}" for n in np.argsort(near)]
    body = {"field": "meta.look.clip", "metric": metric, "k": 5}
    found = here.post(f"{V2}/nearest", {**body, "vector": wanted.tolist()}).json()
    assert [hit["id"] for hit in found["hits"]] == order[:5]
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1)
    like = here.post(f"{V2}/nearest", {**body, "frame": "v4"}).json()
    assert [hit["id"] for hit in like["hits"]] == order[1:6], "the frame itself is left out"


def test_the_nearest_among_those_that_filters_let_through(here: Site, vectors: np.ndarray) -> None:
    body = {"field": "meta.look.clip", "frame": "v0", "k": 50}
    odd = {"v1", "v3", "v5", "v7", "v9"}
    by_query = here.post(f"{V2}/nearest", {**body, "query": "meta.city:b"}).json()
    by_filter = here.post(f"{V2}/nearest", {**body, "filters": [{"frame_query": "meta.city:b"}]}).json()
    assert {hit["id"] for hit in by_query["hits"]} == odd
    assert [hit["id"] for hit in by_filter["hits"]] == [hit["id"] for hit in by_query["hits"]]


def test_vectors_that_make_no_sense(here: Site, vectors: np.ndarray) -> None:
    here.post(f"{V2}/nearest", {"field": "meta.look.clip"}, status=422)
    here.post(f"{V2}/nearest", {"field": "meta.look.clip", "frame": "v0", "vector": [1.0]}, status=422)
    here.post(f"{V2}/nearest", {"vector": [1.0, 2.0], "metric": "taste"}, status=400)
    here.post(f"{V2}/nearest", {"vector": [0.5] * 9000}, status=400)
    wrong = here.post(f"{V2}/nearest", {"frame": "v0", "field": "meta.nothing"}, status=422).json()
    assert wrong["known"] == ["meta.look.clip"]
    assert here.post(f"{V2}/nearest", {"vector": [1.0, 2.0], "field": "meta.look.clip"}).json()["hits"] == []


# --------------------------------------------------------------------------------------------------------- polygons
def test_exact_polygons_are_the_mask_again(here: Site) -> None:
    labels = scene(0)["labels"]
    found = here.post(f"{SEG}/polygonize", {"tolerance": 0, "min_area": 0}).json()
    assert (found["width"], found["height"]) == (W, H)
    again = np.zeros((H, W), np.uint8)
    for region in found["polygons"]:
        inside = rasterise(region["rings"], (H, W), rule="even-odd") > 0
        assert int(inside.sum()) == region["area"]
        again[inside] = region["index"]
    assert np.array_equal(again, labels)


def test_only_what_was_asked_for(here: Site) -> None:
    road = here.post(f"{SEG}/polygonize", {"labels": ["road"]}).json()["polygons"]
    assert [region["labels"] for region in road] == [["road"]]
    by_number = here.post(f"{SEG}/polygonize", {"index": [2]}).json()["polygons"]
    assert by_number == road
    assert here.post(f"{SEG}/polygonize", {"min_area": H * W}).json()["polygons"] == []
    assert here.post(f"{SEG}/polygonize", {"index": [99, -1, 0]}).json()["polygons"] == []
    here.post(f"{V1}/frames/f0/sources/front/masks/matte/polygonize", {}, status=422)


def test_fewer_corners_stay_close() -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = np.stack([50 + 40 * np.cos(angles), 50 + 40 * np.sin(angles)], axis=1)
    found = simplified(ring.ravel().tolist(), 1.0)
    assert 8 <= len(found) < 60
    full = polygons_to_mask(ring.ravel().tolist(), (100, 100)) > 0
    less = polygons_to_mask(found.ravel().tolist(), (100, 100)) > 0
    assert (full != less).sum() < 0.05 * full.sum()
    assert np.array_equal(simplified(ring.ravel().tolist(), 0), ring)


# ------------------------------------------------------------------------------------------------------------ copies
def test_an_edit_that_came_too_late_is_kept_as_a_copy(here: Site) -> None:
    path = f"{V2}/frames/f0"
    mine = here.get(path).json()
    here.ask("PATCH", path, json={"meta": {"by": "her"}}, headers={"If-Match": f'"{mine["etag"]}"'})
    edited = {**mine["frame"], "meta": {"by": "me"}}
    late = here.ask("PATCH", path, json={"meta": {"by": "me"}}, headers={"If-Match": f'"{mine["etag"]}"'}, status=412)
    assert late.json()["type"] == "urn:smalti:problem:conflict"
    assert late.json()["etag"] == here.get(path).json()["etag"]
    copy = here.post(f"{path}/copy", {"frame": edited}, status=201)
    assert (copy.json()["frame"]["id"], copy.json()["frame"]["meta"]) == ("f0-copy", {"by": "me"})
    assert copy.headers["etag"] == f'"{copy.json()["etag"]}"'
    assert here.draft.get("f0").metadata == {"by": "her"}
    assert here.draft.get("f0-copy").metadata == {"by": "me"}
    second = here.post(f"{path}/copy", {"frame": edited}, status=201).json()
    assert second["frame"]["id"] == "f0-copy-2"


def test_a_copy_replaces_nothing_and_follows_the_rules(here: Site) -> None:
    frame_0 = here.get(f"{V2}/frames/f0").json()["frame"]
    taken = here.post(f"{V2}/frames/f0/copy", {"frame": frame_0, "id": "f1"}, status=409).json()
    assert taken["type"] == "urn:smalti:problem:taken"
    assert (
        here.post(f"{V2}/frames/f0/copy", {"frame": frame_0, "id": "mine"}, status=201).json()["frame"]["id"] == "mine"
    )
    here.post(f"{V1}/frames/f0/copy", {"frame": frame_0}, status=409)
    outside = {**frame_0, "sources": [{"id": "front", "uri": "/etc/passwd"}]}
    here.post(f"{V2}/frames/f0/copy", {"frame": outside}, status=403)
    wrong = {**frame_0, "rois": [{"label": ["x"], "mask": {"id": "nope", "value": list(RED)}}]}
    here.post(f"{V2}/frames/f0/copy", {"frame": {"id": "x", "sources": []}}, status=422)
    lost = here.post(f"{V2}/frames/f0/copy", {"frame": wrong}, status=404).json()
    assert set(lost["known"]) == {"front/seg", "front/objects", "front/matte"}
    assert "f0-copy" not in here.draft
