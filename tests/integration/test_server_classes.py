"""Frames under a data view, over HTTP: what is refused, what makes a new answer, and masks with very many entries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serving import BLUE, RED, Site, frame, make_store, scene, site

from smalti.server.auth import hash_password
from smalti.store.rows import UserRow

V1 = "/versions/street@v1"
SEG = f"{V1}/frames/f0/sources/front/masks/seg/classes"
OBJECTS = f"{V1}/frames/f0/sources/front/masks/objects/classes"
ROIS = f"{V1}/frames/f0/classes"
READS = {"versions": [{"dataset": "street", "version": "v1"}]}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    make_store(tmp_path, 1).close()
    with site(tmp_path) as found:
        yield found


def save(here: Site, **spec: Any) -> str:
    """The id of a view of v1."""
    made: str = here.post("/dataviews", {"name": "classes", "spec": {**READS, **spec}}, status=201).json()["id"]
    return made


def test_classes_of_a_mask_and_of_rois(here: Site) -> None:
    rules = [{"source": {"labels": ["car"], "version": "v1"}, "target": "wheeled"}]
    numbers = {"wheeled": 4, "road": 2}
    view = save(here, mapping={"rules": rules}, labels_enumeration=numbers, smalti={"void": 255})
    found = here.get(f"{SEG}?dataview={view}").json()
    truth = np.bincount(scene()["labels"].ravel())
    assert [(r["number"], r["name"], r["labels"], r["entries"], r["pixels"]) for r in found["rows"]] == [
        (2, "road", ["road"], [2], truth[2]),
        (4, "wheeled", ["car", "vehicle"], [1], truth[1]),
        (255, "void", [], [0], truth[0]),
    ]
    assert [row["color"] for row in found["rows"][:2]] == [list(BLUE), list(RED)]
    assert [(e["index"], e["number"], e["mapped"]) for e in found["entries"]] == [
        (1, 4, ["wheeled", "vehicle"]),
        (2, 2, ["road"]),
    ]
    assert (found["view"], found["void"], found["numbered"]) == (view, 255, True)
    rois = here.get(f"{ROIS}?dataview={view}").json()["rois"]
    assert [(r["roi"], r["number"], r["name"]) for r in rois] == [(0, 4, "wheeled"), (1, 2, "road"), (2, 4, "wheeled")]


def test_a_view_that_is_not_there_and_none_at_all(here: Site) -> None:
    for path in (SEG, ROIS):
        assert here.get(f"{path}?dataview=gone", status=404).json()["type"] == "urn:smalti:problem:view"
        here.get(path, status=400)


def test_classes_that_contradict_each_other_are_said_and_labels_stay(here: Site) -> None:
    view = save(here, labels_enumeration={"car": 1, "vehicle": 2, "road": 3})
    for path in (SEG, ROIS):
        said = here.get(f"{path}?dataview={view}", status=422).json()
        assert said["type"] == "urn:smalti:problem:legend"
        assert "car = 1, vehicle = 2" in said["detail"]
    assert here.get(SEG.replace("/classes", "/legend")).json()["entries"][0]["labels"] == ["car", "vehicle"]


@pytest.mark.parametrize("path", [SEG, ROIS])
def test_an_edited_view_is_another_answer(here: Site, path: str) -> None:
    view = save(here, labels_enumeration={"car": 1})
    first = here.get(f"{path}?dataview={view}")
    again = {"If-None-Match": first.headers["etag"]}
    here.get(f"{path}?dataview={view}", headers=again, status=304)
    tag = here.get(f"/dataviews/{view}").headers["etag"]
    spec = {**READS, "labels_enumeration": {"car": 8}}
    here.ask("PATCH", f"/dataviews/{view}", json={"spec": spec}, headers={"If-Match": tag})
    second = here.get(f"{path}?dataview={view}", headers=again)
    assert second.headers["etag"] != first.headers["etag"]
    assert '"number":8' in second.text


def test_a_rule_goes_by_the_name_that_a_version_has_now(here: Site) -> None:
    rules = [{"source": {"labels": ["road"], "version": "final"}, "target": "car"}]
    view = save(here, mapping={"rules": rules}, labels_enumeration={"car": 1, "road": 2})
    place = f"/versions/{here.server.service.store['street']['v1'].id}"
    path = f"{SEG.replace(V1, place)}?dataview={view}"
    before = here.get(path)
    assert [entry["number"] for entry in before.json()["entries"]] == [1, 2]
    tag = here.get(place).headers["etag"]
    here.ask("PATCH", place, json={"name": "final"}, headers={"If-Match": tag})
    after = here.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert [entry["number"] for entry in after.json()["entries"]] == [1, 1]


def test_ids_that_a_mask_brings_along_have_a_class_each(tmp_path: Path) -> None:
    make_store(tmp_path, 1).close()
    ids = np.arange(1, 70 * 90 + 1, dtype=np.uint16).reshape(70, 90)
    Image.fromarray(ids).save(tmp_path / "files" / "many.png")
    with site(tmp_path) as found:
        shown = frame(0, id="many")
        shown["sources"][0] |= {"width": 90, "height": 70}
        shown["sources"][0]["masks"] = [{"id": "objects", "uri": "files/many.png", "encoding": "plain"}]
        shown["rois"] = []
        assert found.server.service.store["street"]["v2"].add_frames([shown]) == []
        view = save(found, smalti={"void": 0, "numbers": [[17, 3], [18, 3], [6300, 4]]})
        path = f"/versions/street@v2/frames/many/sources/front/masks/objects/classes?dataview={view}"
        told = found.get(path).json()
        assert [(row["number"], row["name"], row["entries"], row["pixels"]) for row in told["rows"][:2]] == [
            (3, "3", [17, 18], 2),
            (4, "4", [6300], 1),
        ]
        void = told["rows"][2]
        assert (void["number"], len(void["entries"]), void["pixels"]) == (0, 6300 - 3 + 1, 6300 - 3)
        assert len(told["entries"]) == 6300
        # In another frame these are other objects: the class has a colour of its own, not one of theirs.
        assert [row["color"] for row in told["rows"][:2]] == [None, None]


def test_whoever_may_look_may_look_under_a_view(tmp_path: Path) -> None:
    store = make_store(tmp_path, 1)
    for role in ("viewer", "admin"):
        store.catalog.add_user(UserRow(name=role, role=role, password=hash_password("a long secret")))
    store.close()
    with site(tmp_path, log_in=False) as found:
        found.get(f"{SEG}?dataview=any", status=401)
        found.post("/auth/login", {"name": "admin", "password": "a long secret"})
        view = save(found, labels_enumeration={"car": 1})
        found.client.cookies.clear()
        found.post("/auth/login", {"name": "viewer", "password": "a long secret"})
        for path in (SEG, ROIS, OBJECTS):
            found.get(f"{path}?dataview={view}")
