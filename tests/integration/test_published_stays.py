"""A published version through every door there is: the library, the command line, the HTTP API, the client of a
server, ClearML's names and ClearML's protocol. All are refused, and nothing has changed.
"""

from pathlib import Path
from typing import Any

import pytest
from tests.clearml_wire import frame as wire_frame
from tests.clearml_wire import wire
from tests.serving import frame, make_store, site

from smalti import allegroai, storage
from smalti.allegroai.naming import _opened
from smalti.cli import main
from smalti.errors import SmaltiError, VersionFrozen
from smalti.store import DatasetVersion, open_store


def everything(version: DatasetVersion) -> Any:
    """All that is promised to stay."""
    return (
        list(version.records()),
        version.metadata,
        version.get_masks_labels(),
        version.stats,
        version.report,
        version.state,
        version.row.head_version,
    )


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path, 3)
    before = everything(store["street"]["v1"])
    lines = tmp_path / "frames.jsonl"
    store["street"]["v1"].export_file(lines)
    legend = tmp_path / "legend.json"
    legend.write_text('[{"value": [1, 2, 3], "labels": ["car"]}]')
    table = tmp_path / "frames.parquet"
    store["street"]["v1"].export_file(table)
    for words in (
        ["frames", "add", "street@v1", lines],
        ["frames", "add", "street@v1", table],
        ["import", tmp_path / "files", "--to", "street@v1"],
        ["frames", "delete", "street@v1", "f0"],
        ["frames", "facts", "street@v1"],
        ["version", "publish", "street@v1"],
        ["version", "publish", "street@v1", "--check", "--force"],
        ["version", "snapshot", "street@v1"],
        ["version", "describe", "street@v1", "--metadata", "{}"],
        ["version", "describe", "street@v1", "--legend", legend],
        ["version", "delete", "street@v1"],
        ["dataset", "delete", "street"],
    ):
        with pytest.raises(SystemExit) as left:
            main([*map(str, words), "--store", str(tmp_path)])
        said = capsys.readouterr().err
        assert left.value.code == 2, (words, said)
        assert "publish" in said, words
    assert everything(store["street"]["v1"]) == before
    store.close()


def test_the_http_api(tmp_path: Path) -> None:
    make_store(tmp_path, 3).close()
    with site(tmp_path) as here:
        version = here.server.service.store["street"]["v1"]
        before = everything(version)
        tag = here.get("/versions/street@v1/frames/f0").headers["etag"]
        own = here.get("/versions/street@v1").headers["etag"]
        matching = {"If-Match": tag}
        frames, metadata = "/versions/street@v1/frames", "/versions/street@v1/metadata"
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("PATCH", f"{frames}/f0", {"json": {"meta": {"x": 1}}, "headers": matching}),
            ("DELETE", f"{frames}/f0", {"headers": matching}),
            ("POST", f"{frames}/f0/copy", {"json": {"frame": frame(9)}}),
            ("POST", frames, {"json": {"frames": [frame(0)]}}),
            ("PUT", metadata, {"json": {"a": 1}, "headers": {"If-Match": own}}),
            (
                "POST",
                "/versions/street@v1/publish",
                {"json": {"check": False, "force": True}, "headers": {"If-Match": own}},
            ),
            ("DELETE", "/versions/street@v1", {"headers": {"If-Match": own}}),
        ]
        for method, path, options in asked:
            answer = here.client.request(
                method,
                f"/api/v1{path}",
                json=options.get("json"),
                headers={"Origin": "http://127.0.0.1:8080", **options.get("headers", {})},
            )
            assert answer.status_code == 409, (method, path, answer.text)
        assert everything(version) == before


def test_the_protocol_of_clearml(tmp_path: Path) -> None:
    with wire(tmp_path) as found:
        dataset, version = found.make()
        found.ask("datasets.save_frames", {"version": version, "frames": [wire_frame(1)]})
        found.ask("datasets.commit_version", {"version": version})
        found.ask("datasets.publish_version", {"version": version})
        (ours,) = found.server.service.store["pictures"].versions()
        before = everything(ours)
        for name, body in (
            ("datasets.save_frames", {"version": version, "frames": [wire_frame(2)]}),
            ("datasets.update_frames", {"version": version, "frames": [wire_frame(1)]}),
            ("datasets.delete_frames", {"version": version, "frames": ["e001"]}),
            ("datasets.publish_version", {"version": version}),
            ("datasets.publish_and_create_child_version", {"version": version}),
            ("datasets.update_version", {"version": version, "metadata": {"a": 1}}),
            ("datasets.delete_version", {"version": version}),
            ("datasets.delete", {"dataset": dataset, "delete_all_versions": True}),
        ):
            said = found.ask(name, body, status=400)
            assert "publish" in said, (name, said)
        view = found.ask("dataviews.create", {"name": "cars", "versions": [{"dataset": dataset, "version": version}]})
        found.ask("dataviews.publish", {"dataview": view["id"]})
        for name, body in (
            ("datasets.delete_version", {"version": version, "force": True}),
            ("datasets.delete", {"dataset": dataset, "delete_all_versions": True, "force": True}),
        ):
            assert "published views read it and would lose their frames: 'cars'" in str(
                found.ask(name, body, status=400)
            )
        assert everything(ours) == before


def test_the_names_of_clearml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path))
    _opened.cache_clear()
    make_store(tmp_path, 3).close()
    version = allegroai.DatasetVersion.get_version(dataset_name="street", version_name="v1")
    ours = open_store(tmp_path)["street"]["v1"]
    before = everything(ours)
    some = version.get_single_frame("f0")
    for act in (
        lambda: version.add_frames([some]),
        lambda: version.update_frames([some]),
        lambda: version.update_frames([some], without_fields=["meta"]),
        lambda: version.delete_frames(["f0"]),
        lambda: version.set_metadata({"a": 1}),
        lambda: version.set_masks_labels({(1, 2, 3): ["car"]}),
        lambda: version.publish_version(),
        lambda: bulk(version, some),
        lambda: allegroai.DatasetVersion.create_snapshot(dataset_name="street", version_name="v1"),
        lambda: allegroai.DatasetVersion.remove_version(dataset_name="street", version_name="v1"),
        lambda: allegroai.Dataset.delete(dataset_name="street", delete_all_versions=True),
    ):
        with pytest.raises(SmaltiError, match="publish"):
            act()
    assert everything(ours) == before
    _opened.cache_clear()


def bulk(version: Any, some: Any) -> None:
    with version.get_bulk_context(allow_update=True) as context:
        context.update_frame(some)


def test_merges_uploads_and_declarations_leave_it_as_it_is(tmp_path: Path) -> None:
    store = make_store(tmp_path, 3)
    street = store["street"]
    first = street["v1"]
    before = everything(first)
    child = street["v2"]
    child.delete_frames(["f1"])
    child.publish()
    street.declare("meta.city", "string")
    merged = street.merge("v1", "v2", name="merged")
    assert (merged.name, merged.state, len(merged)) == ("merged", "draft", 2)
    with pytest.raises(VersionFrozen):
        first.add_frames([frame(0)], upload_to=str(tmp_path / "uploads"))
    assert not storage.exists(str(tmp_path / "uploads" / street.id))
    store.maintain()
    # A declared column is computed from what is there: a new state of the rows, with the same frames.
    assert everything(street["v1"])[:-1] == before[:-1]
    store.close()
