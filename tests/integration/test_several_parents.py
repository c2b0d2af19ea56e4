"""A version of several parents, over HTTP: what they disagree about is named, and settled as asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving import Site, make_store, site

VERSIONS = "/datasets/street/versions"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    """`left` and `right` both changed f0; `left` took f1 away, `right` changed f2."""
    store = make_store(tmp_path, 4)
    street = store["street"]
    for name in ("left", "right"):
        child = street["v1"].child(name)
        frame = child.get("f0")
        frame.metadata["by"] = name
        child.update_frame(frame)
        if name == "left":
            child.delete_frames(["f1"])
        else:
            other = child.get("f2")
            other.metadata["seen"] = True
            child.update_frame(other)
        child.publish()
    store.close()
    with site(tmp_path) as found:
        yield found


def test_conflicts_are_named_and_nothing_is_made(here: Site) -> None:
    body = {"name": "both", "parents": ["left", "right"]}
    refused = here.post(VERSIONS, body, status=412).json()
    assert "f0" in refused["detail"]
    assert "by" in refused["detail"]
    assert "both" not in here.server.service.store["street"]


@pytest.mark.parametrize(("rule", "winner"), [("ours", "left"), ("theirs", "right")])
def test_a_rule_settles_them_and_the_rest_is_merged(here: Site, rule: str, winner: str) -> None:
    made = here.post(VERSIONS, {"name": "both", "parents": ["left", "right"], "prefer": rule}, status=201).json()
    assert len(made["parents"]) == 2
    both = here.server.service.store["street"]["both"]
    assert both.frame_ids() == ["f0", "f2", "f3"]
    assert both.get("f0").metadata["by"] == winner
    assert both.get("f2").metadata["seen"] is True
    assert [parent.name for parent in both.parents] == ["left", "right"]
    assert both.row.extra["conflicts"]


def test_a_draft_is_no_parent(here: Site) -> None:
    said = here.post(VERSIONS, {"name": "x", "parents": ["v1", "v2"]}, status=409).json()
    assert "only a published version" in said["detail"]
