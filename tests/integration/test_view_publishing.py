"""Views that are published and named, by every door: the library, the HTTP API, ClearML's protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clearml_wire import wire
from tests.serving import Site, make_store, site

from smalti.errors import VersionError
from smalti.store.rows import ViewRow
from smalti.view import DataView


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    make_store(tmp_path, 1).close()
    with site(tmp_path) as found:
        yield found


def reads(*versions: str, **more: Any) -> dict[str, Any]:
    return {"versions": [{"dataset": "street", "version": version} for version in versions], **more}


def made(here: Site, name: str, spec: dict[str, Any]) -> str:
    found: str = here.post("/dataviews", {"name": name, "spec": spec}, status=201).json()["id"]
    return found


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (reads("v1", "v2"), "view 'cars' reads street@v2, which can still change; publish that first"),
        (reads("v9"), "view 'cars' reads street@v9, which is not there: dataset 'street' has no version 'v9'"),
        ({"versions": [{"dataset": "road", "version": "v1"}]}, "reads road@v1, which is not there"),
        (reads("v1", filters=[{"dataset": "street", "version": "v2"}]), "reads street@v2, which can still change"),
        ({"versions": [{"dataset": "street", "version": "v1", "merge_with": "v2"}]}, "reads street@v2, which can"),
    ],
)
def test_a_view_of_what_may_change_is_not_published(here: Site, spec: dict[str, Any], said: str) -> None:
    view = made(here, "cars", spec)
    problem = here.post(f"/dataviews/{view}/publish", status=409).json()
    assert problem["type"] == "urn:smalti:problem:version"
    assert said in problem["detail"]
    assert here.get(f"/dataviews/{view}").json()["status"] == "draft"


def test_a_published_view_reads_by_ids(here: Site) -> None:
    store = here.server.service.store
    version = store["street"]["v1"]
    rules = [{"dataset": "street", "version": "v1", "frame_query": "id:f0"}, {"dataset": "*", "version": "*"}]
    view = made(here, "cars", reads("v1", filters=rules, augmentation={"odd": 1}))
    spec = here.post(f"/dataviews/{view}/publish").json()["spec"]
    ids = {"dataset": version.dataset.id, "version": version.id}
    assert spec == {
        "versions": [ids],
        "filters": [{**ids, "frame_query": "id:f0"}, rules[1]],
        "augmentation": {"odd": 1},
    }
    version.rename("old")
    assert here.post(f"/dataviews/{view}/preview").json()["total"] == 1
    store["street"]["v2"].delete()
    with pytest.raises(VersionError, match="'cars'"):
        store["street"]["old"].delete(force=True)


def test_the_library_publishes_by_ids_what_was_saved_by_names(here: Site) -> None:
    store = here.server.service.store
    view = made(here, "cars", reads("v1"))
    DataView.get(view, store=store).publish(store)
    (entry,) = here.get(f"/dataviews/{view}").json()["spec"]["versions"]
    assert entry == {"dataset": store["street"].id, "version": store["street"]["v1"].id}


def test_clearml_refuses_filters_of_drafts_too(tmp_path: Path) -> None:
    with wire(tmp_path) as at:
        dataset, version = at.make()
        rule = {"dataset": dataset, "version": version, "label_rules": []}
        view = at.ask("dataviews.create", {"name": "mine", "versions": [], "filters": [rule]})["id"]
        assert "publish that first" in at.ask("dataviews.publish", {"dataview": view}, status=400)
        failed = at.ask("dataviews.publish_many", {"ids": [view]})["failed"]
        assert "publish that first" in failed[0]["error"]["msg"]
        at.ask("dataviews.update", {"dataview": view, "filters": []})
        assert at.ask("dataviews.publish", {"dataview": view})["published"]
        forced = {"dataview": view, "filters": [rule], "force": True}
        assert "publish that first" in at.ask("dataviews.update", forced, status=400)


# ------------------------------------------------------------------------------------------------------------- names
def test_a_view_does_not_get_a_name_that_hides_another(tmp_path: Path) -> None:
    with make_store(tmp_path, 1) as store:
        version = store["street"]["v1"]

        def stored(name: str) -> DataView:
            view = version.view("label:car")
            view.name = name
            return view.store(store)

        kept, view = stored("p").publish(store), stored("z")
        view.name = "p"
        for replace, said in ((False, "view 'p' already .published."), (True, "'p' is published and cannot change")):
            with pytest.raises(VersionError, match=said):
                view.store(store, replace=replace)
        assert DataView.get(dataview_name="p", store=store).id == kept.id
        draft = stored("d")
        view.name = "d"
        with pytest.raises(VersionError, match=r"view 'd' already .draft."):
            view.store(store)
        assert view.store(store, replace=True).id == draft.id
        view.name = "e"
        assert view.store(store).store(store).id == draft.id
        assert sorted(row.name for row in store.catalog.list_views()) == ["e", "p", "z"]


@pytest.mark.parametrize("name", ["a@b", "*", " x ", "taken", "put away"])
def test_the_api_gives_no_view_a_bad_or_taken_name(here: Site, name: str) -> None:
    made(here, "taken", reads("v1"))
    here.post(f"/dataviews/{made(here, 'put away', reads('v1'))}/archive")
    view = made(here, "mine", reads("v1"))
    said = here.post("/dataviews", {"name": name, "spec": reads("v1")}, status=409).json()
    assert said["type"] == "urn:smalti:problem:version"
    assert repr(name) in said["detail"]
    assert said["detail"].endswith("choose another" if name[0] in "a* " else "choose another name")
    own = {"If-Match": here.get(f"/dataviews/{view}").headers["etag"]}
    assert here.ask("PATCH", f"/dataviews/{view}", json={"name": name}, headers=own, status=409).json() == said
    kept = here.ask("PATCH", f"/dataviews/{view}", json={"name": "mine", "tags": ["a"]}, headers=own).json()
    assert (kept["name"], kept["tags"]) == ("mine", ["a"])


@pytest.mark.parametrize(("old", "copies"), [("x", ["x copy", "x copy 2", "x copy 3"]), (" a@b", ["a b copy"])])
def test_a_copy_gets_a_free_name(here: Site, old: str, copies: list[str]) -> None:
    row = here.server.service.store.catalog.save_view(ViewRow(name=old, spec=reads("v1")))
    for name in copies:
        assert here.post(f"/dataviews/{row.uuid}/clone", status=201).json()["name"] == name
    tag = {"If-Match": here.get(f"/dataviews/{row.uuid}").headers["etag"]}
    assert here.ask("PATCH", f"/dataviews/{row.uuid}", json={"tags": ["a"]}, headers=tag).json()["name"] == old
