"""`smalti pull` from a server that speaks the protocol: our own, over a socket; and from exported frames."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.clearml_wire import Running, frame

from smalti import wire
from smalti.cli.pull import Peer, pull
from smalti.store import Store, open_store


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path / "theirs")
    yield found
    found.stop()


def fill(store: Store) -> None:
    """A dataset in a project: a published version, a child that lost and gained frames, a draft; and a view."""
    dataset = store.create_dataset("street", "a/b", description="words", tags=["t"], metadata={"k": [1]})
    dataset.declare("meta.emb", "vector[2,l2_norm]")
    first = dataset.create_version("v1", description="first")
    assert first.add_frames([frame(n, odd={"n": n}) for n in range(5)]) == []
    first.set_metadata({"season": "winter", "mask_labels": {"_all_": [{"value": [1, 2, 3], "labels": ["sky"]}]}})
    first.publish()
    child = first.child("v2")
    child.delete_frames(["e001"])
    child.add_frames([frame(7)])
    child.publish()
    dataset.create_version("draft").add_frames([frame(9)])
    store.create_dataset("other").create_version("v1")
    view = first.view("label:cat")
    view.name = "cats"
    view.store(store)


def run(running: Running, target: Path, *options: str) -> Result:
    api = running.variables
    keys = ["--access-key", api["CLEARML_API_ACCESS_KEY"], "--secret-key", api["CLEARML_API_SECRET_KEY"]]
    return CliRunner().invoke(
        pull, [api["CLEARML_API_HOST"], *keys, "--store", str(target), "--json", *options], catch_exceptions=False
    )


def contents(store: Store) -> dict[str, dict[str, dict[str, object]]]:
    """Every frame of every version, as JSON by id."""
    return {
        f"{dataset.project}/{dataset.name}@{version.name}": {str(r.id): wire.to_dict(r) for r in version.records()}
        for dataset in store.datasets()
        for version in dataset.versions()
    }


def test_everything_comes_over(running: Running, tmp_path: Path) -> None:
    theirs = running.server.service.store
    fill(theirs)
    done = run(running, tmp_path / "ours")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.output)) == 4
    with open_store(tmp_path / "ours") as ours:
        assert contents(ours) == contents(theirs)
        dataset = ours["a/b/street"] if "a/b/street" in ours else ours["street"]
        assert (dataset.project, dataset.description, dataset.tags, dataset.metadata) == (
            "a/b",
            "words",
            ["t"],
            {"k": [1]},
        )
        assert dataset.declared == {"meta.emb": "vector[2,l2_norm]"}
        assert dataset["v2"].nearest([7.0, 1.0], 1, "meta.emb", metric="l2_norm") == [("e007", 1.0)]
        states = {version.name: (version.state, [p.name for p in version.parents]) for version in dataset.versions()}
        assert states == {"v1": ("published", []), "v2": ("published", ["v1"]), "draft": ("draft", [])}
        assert dataset["v1"].metadata == theirs["street"]["v1"].metadata
        legend = dataset["v2"].legend()
        assert legend is not None
        assert legend.labels == ["sky"]
        [view] = ours.catalog.list_views()
        assert view.name == "cats"
        assert view.spec["versions"] == [{"dataset": dataset.id, "version": dataset["v1"].id}]
        before = contents(ours)
    again = run(running, tmp_path / "ours")
    assert again.exit_code == 0
    with open_store(tmp_path / "ours") as ours:
        assert contents(ours) == before
        assert len(ours.catalog.list_views()) == 1


def test_one_dataset_of_one_project(running: Running, tmp_path: Path) -> None:
    fill(running.server.service.store)
    assert run(running, tmp_path / "ours", "street", "--project", "a/b", "--no-views").exit_code == 0
    with open_store(tmp_path / "ours") as ours:
        assert [dataset.name for dataset in ours] == ["street"]
        assert ours.catalog.list_views() == []


def test_a_wrong_key_is_refused(running: Running, tmp_path: Path) -> None:
    keys = ["--access-key", "nobody", "--secret-key", "x"]
    address = running.variables["CLEARML_API_HOST"]
    done = CliRunner().invoke(pull, [address, *keys, "--store", str(tmp_path / "ours")])
    assert "wrong" in str(done.exception)
    done = CliRunner().invoke(pull, [f"{address}/nowhere", *keys, "--store", str(tmp_path / "ours")])
    assert done.exception is not None


@pytest.mark.parametrize("form", ["json", "jsonlines"])
def test_what_a_server_exports(running: Running, tmp_path: Path, form: str) -> None:
    fill(running.server.service.store)
    version = running.server.service.store["street"]["v1"]
    keys = [running.variables[f"CLEARML_API_{name}_KEY"] for name in ("ACCESS", "SECRET")]
    peer = Peer(running.variables["CLEARML_API_HOST"], *keys)
    spec = {"versions": [{"dataset": version.dataset.id, "version": version.id}]}
    asked = {"dataview": spec, "download_type": form}
    made = peer.ask("frames.prepare_download_for_dataview", asked)["prepare_id"]
    url = f"{peer.address}/frames.download_for_dataview"
    got = peer._http.get(url, params={"prepare_id": made}, headers=peer._headers)
    peer.close()
    path = tmp_path / f"frames.{form}"
    path.write_bytes(got.content)
    done = CliRunner().invoke(pull, [str(path), "street@v1", "--store", str(tmp_path / "ours")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with open_store(tmp_path / "ours") as ours:
        assert list(contents(ours).values()) == [contents(running.server.service.store)["a/b/street@v1"]]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_frames_of_an_export(tmp_path: Path, form: str) -> None:
    frames = [{**frame(n), "dataset": {"id": "x", "version": "y"}, "rule_name": "0"} for n in range(3)]
    path = tmp_path / f"frames.{form}"
    path.write_text(json.dumps(frames) if form == "json" else "".join(json.dumps(f) + "\n" for f in frames))
    done = CliRunner().invoke(pull, [str(path), "street@v1", "--store", str(tmp_path / "ours")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with open_store(tmp_path / "ours") as ours:
        found = [wire.to_dict(record) for record in ours["street"]["v1"].records()]
        assert [(f["id"], f["rois"], f["meta"]) for f in found] == [(f["id"], f["rois"], f["meta"]) for f in frames]
        assert all("dataset" not in r.extra and "rule_name" not in r.extra for r in ours["street"]["v1"].records())
