"""Published views promise the same frames for ever: the versions that they read do not go without a word."""

from pathlib import Path
from typing import Any

import pytest
from tests.contract.test_store_served import store
from tests.serving import make_store

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
