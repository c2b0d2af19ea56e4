"""Published views promise the same frames for ever: the versions that they read do not go without a word."""

from pathlib import Path
from typing import Any

import pytest
from tests.clearml_wire import wire
from tests.contract.test_store_served import store
from tests.serving import make_store

from smalti import allegroai
from smalti.errors import VersionError
from smalti.store import Store, open_store
from smalti.store.rows import ViewRow

__all__ = ["store"]


def pin(place: Path, name: str, status: Any = "published") -> None:
    with open_store(place) as opened:
        version = opened["street"]["v1"]
        spec = version.view("label:car").to_spec()
        opened.catalog.save_view(ViewRow(name=name, status=status, spec=spec))


def test_a_version_of_published_views_goes_only_by_choice(store: Any, tmp_path: Path) -> None:
    pin(tmp_path / "store", "cars")
    pin(tmp_path / "store", "draft", "draft")
    store["street"]["v2"].delete()
    for delete in (
        store["street"]["v1"].delete,
        store["street"].delete,
        lambda **o: store.delete_dataset("street", **o),
    ):
        with pytest.raises(VersionError, match=r"street@v1: published views read it .*: 'cars'; delete those views"):
            delete(force=True)
    assert len(store["street"]["v1"]) == 4
    store["street"].delete_version("v1", force=True, with_views=True)
    assert "v1" not in store["street"]


@pytest.mark.parametrize("how", ["id", "name"])
@pytest.mark.parametrize("where", ["versions", "filters", "merge_with"])
def test_a_version_is_found_wherever_a_view_names_it(tmp_path: Path, where: str, how: str) -> None:
    with make_store(tmp_path / "store", 1) as opened:
        street = opened["street"]
        street["v2"].publish()
        one, two = ({"dataset": street.id, "version": street[name].id} for name in ("v1", "v2"))
        if how == "name":
            one, two = ({"dataset": "street", "version": name} for name in ("v1", "v2"))
        spec: dict[str, Any] = {
            "versions": {"versions": [two]},
            "filters": {"versions": [one], "filters": [two, two]},
            "merge_with": {"versions": [{**one, "merge_with": two["version"]}]},
        }[where]
        opened.catalog.save_view(ViewRow(name="cars", status="published", spec=spec))
        with pytest.raises(VersionError, match="cars"):
            street["v2"].delete(force=True)
        assert opened.catalog.get_lease(street["v2"].id) is None
        street["v2"].delete(force=True, with_views=True)
        assert len(lost(opened)) == 1


def test_views_are_asked_for_while_the_version_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    with make_store(tmp_path / "store", 1) as opened:
        version = opened["street"]["v2"]
        asked = "smalti.store.dataset.require_unread"
        monkeypatch.setattr(asked, lambda found: held.append(opened.catalog.get_lease(found[0].id)))
        version.delete()
    assert held[0] is not None


def test_a_dataset_is_refused_before_any_of_its_versions_goes(tmp_path: Path) -> None:
    with make_store(tmp_path / "store", 1) as opened:
        pin(tmp_path / "store", "cars")
        with pytest.raises(VersionError, match="cars"):
            opened.delete_dataset("street", force=True)
        assert [version.name for version in opened["street"].versions()] == ["v1", "v2"]
        opened.delete_dataset("street", force=True, with_views=True)
        assert "street" not in opened


def test_verify_says_which_views_lost_their_version(tmp_path: Path) -> None:
    with make_store(tmp_path / "store", 1) as opened:
        pin(tmp_path / "store", "cars")
        assert lost(opened) == []
        opened["street"]["v2"].delete()
        opened["street"]["v1"].delete(force=True, with_views=True)
        (problem,) = lost(opened)
        assert problem.startswith("published view 'cars' reads version ")
        assert problem.endswith(", which is not there any more")


def lost(opened: Store) -> list[str]:
    return [problem for problem in opened.verify().problems if "view" in problem]


def test_the_advice_names_what_the_caller_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "store", 1).close()
    pin(tmp_path / "store", "cars")
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path / "store"))
    with open_store(tmp_path / "store") as opened:
        opened["street"]["v2"].delete()
        with pytest.raises(VersionError, match="with_views=True") as caught:
            opened["street"]["v1"].delete(force=True)
        assert "--with-views" not in str(caught.value)
        assert caught.value.on_command_line.endswith("or give --with-views if nobody needs them to be read again")
    found = allegroai.Dataset.get(dataset_name="street")
    for delete in (
        lambda: allegroai.Dataset.delete(dataset_name="street", delete_all_versions=True, force=True),
        lambda: found.delete_version(version_name="v1", force=True),
        lambda: allegroai.DatasetVersion.remove_version(dataset_name="street", version_name="v1", force=True),
    ):
        with pytest.raises(VersionError, match=r"'cars'; delete those views first$"):
            delete()


def test_the_advice_of_clearml_s_calls(tmp_path: Path) -> None:
    make_store(tmp_path / "store", 1).close()
    pin(tmp_path / "store", "cars")
    with wire(tmp_path) as at:
        street = at.server.service.store["street"]
        street["v2"].delete()
        for call, asked in (
            ("datasets.delete_version", {"version": street["v1"].id, "force": True}),
            ("datasets.delete", {"dataset": street.id, "force": True, "delete_all_versions": True}),
        ):
            assert "'cars'; delete those views first" in (said := at.ask(call, asked, status=400))
            assert "with" not in said
