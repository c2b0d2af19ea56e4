"""Many thumbnails in one body: each picture, map and shape against what NumPy and Pillow make of the files."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serving import BLUE, RED, H, Site, W, frame, make_store, scene, site

V1 = "/versions/street@v1"
V2 = "/versions/street@v2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    make_store(folder).close()
    return folder


@pytest.fixture(scope="module")
def reading(folder: Path) -> Iterator[Site]:
    with site(folder) as found:
        yield found


def unpack(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the blobs, by hand."""
    length = int.from_bytes(body[:4], "little")
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def ask(found: Site, items: list[dict[str, Any]], version: str = V1, **more: Any) -> tuple[dict[str, Any], bytes]:
    return unpack(found.post(f"{version}/masks/thumbs", {"items": items, **more}).content)


def map_of(item: dict[str, Any], blobs: bytes) -> np.ndarray[Any, Any]:
    labels = item["labels"]
    data = blobs[labels["offset"] : labels["offset"] + labels["length"]]
    return np.frombuffer(data, np.dtype(labels["dtype"]).newbyteorder("<")).reshape(labels["height"], labels["width"])


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_pictures_and_maps_of_several_frames(reading: Site, encoding: str) -> None:
    items = [{"frame": f"f{n}"} for n in (3, 0, 1)]
    answer = reading.post(f"{V1}/masks/thumbs", {"items": items, "size": 64}, headers={"Accept-Encoding": encoding})
    assert answer.headers.get("content-encoding", "identity") == encoding
    head, blobs = unpack(answer.content)
    assert [item["frame"] for item in head["items"]] == ["f3", "f0", "f1"]
    for item, number in zip(head["items"], (3, 0, 1), strict=True):
        assert (item["source"], item["mask"], item["width"], item["height"]) == ("front", "seg", W, H)
        assert item["error"] is None
        # The files are smaller than the thumbnail: nothing is scaled, so every pixel of the map is known.
        assert np.array_equal(map_of(item, blobs), scene(number)["labels"])
        picture = item["picture"]
        data = blobs[picture["offset"] : picture["offset"] + picture["length"]]
        shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert shown.shape == (picture["height"], picture["width"], 3) == (H, W, 3)
        apart = shown.astype(int).mean(axis=(0, 1)) - scene(number)["image"].mean(axis=(0, 1))
        assert np.abs(apart).max() < 6
    assert len(head["legends"]) == 1, "one legend, said once"
    entries = {entry["index"]: entry for entry in head["legends"][0]["entries"]}
    assert (entries[1]["labels"], tuple(entries[1]["color"])) == (["car", "vehicle"], RED)
    assert (entries[2]["labels"], tuple(entries[2]["color"])) == (["road"], BLUE)


def test_a_reduced_map_has_the_size_of_its_picture(reading: Site) -> None:
    head, blobs = ask(reading, [{"frame": "f0"}], size=20)
    item = head["items"][0]
    small = map_of(item, blobs)
    assert small.shape == (item["picture"]["height"], item["picture"]["width"]) == (12, 20)
    full = scene(0)["labels"]
    for y in range(12):
        for x in range(20):
            assert small[y, x] in full[y * 2 : y * 2 + 2, x * 2 : x * 2 + 2]


def test_ids_list_only_what_occurs(reading: Site) -> None:
    head, blobs = ask(reading, [{"frame": "f0", "mask": "objects"}], pictures=False)
    item = head["items"][0]
    legend = head["legends"][item["labels"]["legend"]]
    assert item["picture"] is None
    assert legend["kind"] == "ids"
    small, full = map_of(item, blobs), scene(0)["ids"]
    names = {entry["index"]: entry["labels"] for entry in legend["entries"]}
    assert sorted(names) == sorted(set(np.unique(small)) - {0})
    for index in names:
        assert len(np.unique(full[small == index])) == 1, "one object each"
    assert np.array_equal(small > 0, full > 0)


def test_shapes_come_along_where_asked(reading: Site) -> None:
    head, _ = ask(reading, [{"frame": "f0"}], shapes=True, pictures=False, labels=False)
    (roi,) = head["items"][0]["rois"]
    assert roi == {
        "roi": 2,
        "shape": "polygon",
        "points": [1, 1, 5, 1, 5, 5, 1, 5],
        "labels": ["car"],
        "confidence": 0.5,
        "class": None,
    }
    assert ask(reading, [{"frame": "f0"}])[0]["items"][0]["rois"] == []


def test_numbers_and_shapes_come_with_their_classes_under_a_view(reading: Site) -> None:
    rule = {"source": {"labels": ["car"], "version": "v1"}, "target": "wheeled"}
    spec = {"mapping": {"rules": [rule]}, "labels_enumeration": {"wheeled": 4}, "smalti": {"void": 255}}
    head, _ = ask(reading, [{"frame": "f0"}], shapes=True, spec=spec)
    assert [(e["labels"], e["class"]) for e in head["legends"][0]["entries"]] == [
        (["car", "vehicle"], {"number": 4, "name": "wheeled", "void": False, "color": list(RED)}),
        (["road"], {"number": 255, "name": "void", "void": True, "color": [128, 128, 128]}),
    ]
    assert head["items"][0]["rois"][0]["class"]["number"] == 4
    head, _ = ask(reading, [{"frame": "f0", "mask": "objects"}], spec={"smalti": {"numbers": [[300, 2]]}})
    assert [(e["labels"], e["class"]["number"]) for e in head["legends"][0]["entries"]] == [(["7"], 255), (["300"], 2)]


def test_a_view_that_contradicts_itself_leaves_the_labels(reading: Site) -> None:
    spec = {"labels_enumeration": {"car": 1, "vehicle": 2}}
    head, _ = ask(reading, [{"frame": "f0"}], shapes=True, spec=spec)
    assert [e["class"] for e in head["legends"][0]["entries"]] == [None, None]
    assert head["items"][0]["picture"]
    assert head["items"][0]["error"] is None
    reading.post(f"{V1}/masks/thumbs", {"items": [{"frame": "f0"}], "spec": {"versions": 3}}, status=400)


def test_what_cannot_be_shown_says_why_and_the_rest_comes(reading: Site) -> None:
    items = [{"frame": "nobody"}, {"frame": "f0", "source": "rear"}, {"frame": "f0", "mask": "x"}, {"frame": "f1"}]
    head, blobs = ask(reading, items)
    lost, no_source, no_mask, good = head["items"]
    assert "no frame 'nobody'" in lost["error"]
    assert lost["picture"] is None
    assert "no source 'rear'" in no_source["error"]
    assert no_source["labels"] is None
    assert "no mask 'x'" in no_mask["error"]
    assert no_mask["picture"] is not None
    assert good["error"] is None
    assert np.array_equal(map_of(good, blobs), scene(1)["labels"])
    without = ask(reading, [{"frame": "f0", "mask": None}])[0]["items"][0]
    assert (without["mask"], without["labels"], without["error"]) == (None, None, None)


def test_limits_of_one_batch(reading: Site) -> None:
    path = f"{V1}/masks/thumbs"
    reading.post(path, {"items": [{"frame": "f0"}] * 65}, status=400)
    reading.post(path, {"items": []}, status=400)
    reading.post(path, {"items": [{"frame": "f0"}], "size": 4096}, status=400)
    reading.post("/versions/street@v9/masks/thumbs", {"items": [{"frame": "f0"}]}, status=404)


def test_they_outlive_a_restart_and_a_torn_file(tmp_path: Path) -> None:
    make_store(tmp_path, 3).close()
    with site(tmp_path) as first:
        before = ask(first, [{"frame": "f0"}])
    kept = [path for path in (tmp_path / "thumbs").rglob("*") if path.is_file()]
    assert len(kept) == 2
    with site(tmp_path) as again:
        assert ask(again, [{"frame": "f0"}]) == before
        assert "smalti_thumbs_made_total" not in again.server.service.metrics.text()
    for path in kept:
        path.write_bytes(path.read_bytes()[:20])
    with site(tmp_path) as torn:
        assert ask(torn, [{"frame": "f0"}]) == before


def test_a_changed_legend_of_a_draft_is_seen(tmp_path: Path) -> None:
    make_store(tmp_path, 3).close()
    with site(tmp_path) as found:
        bare = frame(0, id="bare", rois=[])
        assert found.draft.add_frames([bare]) == []
        found.draft.set_masks_labels({"seg": {RED: "red"}})
        head, _ = ask(found, [{"frame": "bare"}], V2)
        assert [e["labels"] for e in head["legends"][0]["entries"]] == [["red"]]
        found.draft.set_masks_labels({"seg": {RED: "crimson"}})
        head, _ = ask(found, [{"frame": "bare"}], V2)
        assert [e["labels"] for e in head["legends"][0]["entries"]] == [["crimson"]]
