"""`smalti view`: what is saved is found again, said, frozen and forgotten."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import smalti
from smalti.cli import main
from smalti.cli.view import view as view_group
from smalti.errors import QueryError, VersionError

CITIES = ["bremen", "bremen", "ulm", "jena", "ulm"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[smalti.Store]:
    """A published version and a draft; the legend of both has two colours."""
    with smalti.open(tmp_path / "store") as found:
        version = found.create_dataset("drive").create_version("v1")
        version.set_masks_labels({(255, 0, 0): "car", (0, 0, 255): "sky"})
        for number, city in enumerate(CITIES):
            frame = smalti.SingleFrame(
                f"{number}.png", id=f"f{number}", metadata={"city": city}, mask_source=f"{number}-mask.png"
            )
            frame.add_annotation(box2d_xywh=[0, 0, 2, 2], labels=["car" if number % 2 else "bus"])
            version.add_frames([frame])
        version.publish()
        version.child("v2")
        yield found


def _run(store: smalti.Store, *arguments: str) -> str:
    done = CliRunner().invoke(view_group, [*arguments, "--store", store.uri])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def _json(store: smalti.Store, *arguments: str) -> Any:
    return json.loads(_run(store, *arguments, "--json"))


def test_a_saved_view_is_the_same_view(store: smalti.Store) -> None:
    _run(store, "save", "mine", "drive@v1", "--query", "meta.city:ulm", "--query", "label:car", "--order", "random",
         "--seed", "7", "--limit", "3", "--tag", "night")  # fmt: skip
    shown = _json(store, "show", "mine")
    # Ulm: f2, f4; cars: f1, f3.
    assert (shown["frames"], shown["frames_per_filter"], shown["tags"]) == (4, [2, 2], ["night"])
    found = smalti.DataView.get(dataview_name="mine", store=store)
    expected = store["drive"]["v1"].view("meta.city:ulm").add_query("label:car")
    expected.set_iteration_parameters("random", None, 3, 7)
    assert [f.id for f in found] == [f.id for f in expected]
    assert len(found) == 3


def test_list_and_show_say_it_in_words(store: smalti.Store) -> None:
    assert "no views yet" in _run(store, "list")
    _run(store, "save", "mine", "drive@v1", "--query", "meta.city:ulm", "--description", "southern")
    assert "mine" in _run(store, "list")
    told = _run(store, "show", "mine")
    assert "2 frames" in told
    assert "southern" in told
    assert "meta.city:ulm: 2 frames, weight 1" in told
    (row,) = _json(store, "list")
    assert (row["name"], row["status"], row["versions"], row["filters"]) == ("mine", "draft", 1, 1)
    assert f"({row['id']})" in _run(store, "show", row["id"])


def test_explain_says_what_colours_become(store: smalti.Store) -> None:
    _run(store, "save", "mine", "drive@v1", "--label", "car=3", "--void", "200")
    told = _run(store, "explain", "mine")
    assert [line.split()[-1] for line in told.splitlines() if "car" in line] == ["3"]
    assert "sky → 200 (void)" in told


def test_a_published_view_stays(store: smalti.Store) -> None:
    _run(store, "save", "mine", "drive@v1")
    _run(store, "publish", "mine")
    assert _json(store, "show", "mine")["status"] == "published"
    with pytest.raises(VersionError, match="published"):
        _run(store, "save", "mine", "drive@v1", "--replace")
    with pytest.raises(VersionError, match="--force"):
        _run(store, "delete", "mine")
    _run(store, "delete", "mine", "--force")
    assert _json(store, "list") == []


def test_a_view_of_a_draft_is_not_published(store: smalti.Store) -> None:
    _run(store, "save", "mine", "drive@v2")
    with pytest.raises(VersionError, match="drive@v2"):
        _run(store, "publish", "mine")
    assert _json(store, "show", "mine")["status"] == "draft"


def test_a_name_is_taken_once_and_replaced_on_demand(store: smalti.Store) -> None:
    first = _json(store, "save", "mine", "drive@v1")
    with pytest.raises(VersionError, match="there already"):
        _run(store, "save", "mine", "drive@v1", "--query", "label:car")
    second = _json(store, "save", "mine", "drive@v1", "--query", "label:car", "--replace")
    assert (first["frames"], second["frames"], second["id"]) == (5, 2, first["id"])


def test_json_goes_out_and_in(store: smalti.Store, tmp_path: Path) -> None:
    _run(store, "save", "mine", "drive@v1", "--query", "meta.city:bremen")
    path = tmp_path / "view.json"
    path.write_text(_run(store, "show", "mine", "--json"))
    again = _json(store, "save", "again", "--spec", str(path))
    assert again["frames"] == 2
    assert _json(store, "show", "again")["spec"] == _json(store, "show", "mine")["spec"]
    path.write_text("[1]")
    with pytest.raises(QueryError, match="JSON object"):
        _run(store, "save", "third", "--spec", str(path))


def test_what_is_wrong_is_said(store: smalti.Store) -> None:
    with pytest.raises(VersionError, match="no view 'none'"):
        _run(store, "show", "none")
    with pytest.raises(QueryError, match="LABEL=NUMBER"):
        _run(store, "save", "mine", "drive@v1", "--label", "car")
    assert isinstance(view_group, click.Group)
    done = CliRunner().invoke(view_group, ["save", "mine", "--store", store.uri])
    assert done.exit_code == 2
    assert "--spec" in done.output


def test_a_clone_is_a_draft_of_its_own(store: smalti.Store, tmp_path: Path) -> None:
    _run(store, "save", "mine", "drive@v1", "--query", "meta.city:ulm", "--label", "car=3")
    _run(store, "publish", "mine")
    _run(store, "clone", "mine", "yours")
    shown = _json(store, "show", "yours")
    assert (shown["status"], shown["frames"]) == ("draft", 2)
    assert shown["spec"] == _json(store, "show", "mine")["spec"]
    with pytest.raises(VersionError, match="'yours' is there already"):
        _run(store, "clone", "mine", "yours")
    _run(store, "export", "yours", "-o", str(tmp_path / "view.json"))
    _run(store, "save", "third", "--spec", str(tmp_path / "view.json"))
    assert _json(store, "show", "third")["spec"] == shown["spec"]
    assert json.loads(_run(store, "export", "yours"))["labels_enumeration"] == {"car": 3}


def test_queries_complete_in_the_shell(store: smalti.Store) -> None:
    from click.shell_completion import ShellComplete

    from smalti.cli import cli

    def proposals(begun: str) -> list[str]:
        shell = ShellComplete(cli, {}, "smalti", "_SMALTI_COMPLETE")
        return [str(item.value) for item in shell.get_completions(["query", "--store", store.uri, "drive@v1"], begun)]

    assert proposals("meta.ci") == ["meta.city:"]
    assert proposals("label:car AND meta.city:j") == ["label:car AND meta.city:jena"]
    assert proposals("label:b") == ["label:bus"]


@pytest.mark.parametrize("parts", [("train=0.8", "val=0.8"), ("train=-1",), ("train",)])
def test_shares_that_are_none_are_said_in_a_sentence(
    store: smalti.Store, parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["split", "drive@v1", *(word for part in parts for word in ("--part", part)), "--store", store.uri])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("smalti: the shares {'train'")


def test_a_stored_view_is_asked_and_dealt_out_like_a_version(store: smalti.Store) -> None:
    from smalti.cli.query import query, split

    _run(store, "save", "mine", "drive@v1", "--query", "meta.city:ulm", "--query", "meta.city:jena")
    done = CliRunner().invoke(query, ["mine", "--count", "--store", store.uri])
    assert done.output == "3\n"
    dealt = CliRunner().invoke(split, ["mine", "--by", "id", "--part", "a=0.5", "--part", "b=0.5", "--json", "--store", store.uri])  # fmt: skip
    assert sum(json.loads(dealt.stdout).values()) == 3
    one_city = CliRunner().invoke(split, ["drive@v1", "--query", "meta.city:ulm", "--by", "meta.city", "--store", store.uri])  # fmt: skip
    assert "got no frames of 2; frames with the same meta.city stay together" in one_city.stderr
    refused = CliRunner().invoke(query, ["mine", "label:car", "--store", store.uri])
    assert isinstance(refused.exception, VersionError)
    assert "is a stored view, which has its queries" in str(refused.exception)
