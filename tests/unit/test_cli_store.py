"""The verbs on stores: from frames in a file to a published version, a diff, a query and a split."""

import json
from pathlib import Path

import pytest

from smalti.cli import main
from smalti.demo import write_demo


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    write_demo(folder)
    return folder


class Shell:
    """`smalti …` on one store."""

    def __init__(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store, self.capsys = store, capsys

    def __call__(self, *arguments: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*(str(a) for a in arguments), "--store", str(self.store)])
        printed = self.capsys.readouterr()
        assert left.value.code == code, printed.err
        return printed.out or printed.err

    def json(self, *arguments: object) -> object:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "store", capsys)


def test_a_dataset_from_file_to_published_and_on(shell: Shell, street: Path, tmp_path: Path) -> None:
    assert "go on with" in shell("dataset", "create", "drive", "--project", "cars", "--tag", "demo")
    assert shell.json("version", "create", "drive@v1")["state"] == "draft"  # type: ignore[index]
    added = shell.json("frames", "add", "drive@v1", street / "frames.jsonl", "--facts")
    assert (added["frames"], added["failed"]) == (8, [])  # type: ignore[index]
    assert "published drive@v1" in shell("version", "publish", "drive@v1", "--check")
    assert "is published" in shell("frames", "delete", "drive@v1", "street_00", code=2)
    shell("version", "create", "drive@v2", "--parent", "v1")
    assert shell.json("frames", "delete", "drive@v2", "street_00", "street_01") == {
        "deleted": 2,
        "missing": [],
    }
    missing = json.loads(shell("frames", "delete", "drive@v2", "nope", "nada", "nope", "--json", code=1))
    assert missing == {"deleted": 0, "missing": ["nope", "nada"]}
    assert shell.json("version", "diff", "drive@v1", "v2") == {
        "added": [],
        "removed": ["street_00", "street_01"],
        "changed": [],
        "legends": {},
    }
    assert "v2  draft, 6 frames" in shell("version", "tree", "drive")
    (row,) = shell.json("dataset", "list")  # type: ignore[misc]
    assert (row["name"], row["project"], row["versions"], row["tags"]) == ("drive", "cars", 2, ["demo"])
    assert len(shell.json("dataset", "show", "drive")["tree"]) == 2  # type: ignore[index]
    listed = shell.json("frames", "list", "drive@v1", "--limit", 3, "--offset", 6)
    assert [f["id"] for f in listed["frames"]] == ["street_06", "street_07"]  # type: ignore[index]
    assert shell.json("frames", "show", "drive@v1", "street_03")["meta"]["city"] == "Ravenna"  # type: ignore[index]
    shell("frames", "export", "drive@v1", tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 8
    assert shell.json("query", "drive@v1", "label:car AND meta.city:bremen", "--count")["count"] == 4  # type: ignore[index]
    assert shell("query", "drive@v1", "mask.sky.share:[0.1 TO *]", "--count").strip() == "8"
    assert "must match" in shell("query", "drive@v1", "label:car", "--sql")
    assert "^" in shell("query", "drive@v1", "label:(car", code=2)
    parts = shell.json("split", "drive@v1", "--by", "id", "-o", tmp_path / "parts")
    assert sum(parts.values()) == 8  # type: ignore[attr-defined]
    assert len((tmp_path / "parts" / "train.jsonl").read_bytes().splitlines()) == parts["train"]  # type: ignore[index]
    assert "sound" in shell("store", "verify")
    shell("store", "maintain")
    shell("store", "backup", tmp_path / "copy")
    assert "street_05" not in shell("store", "purge", "street_05", "--who", "me", "--why", "asked")
    assert shell.json("query", "drive@v1", "--count")["count"] == 7  # type: ignore[index]
    assert Shell(tmp_path / "copy", shell.capsys).json("query", "drive@v1", "--count")["count"] == 8  # type: ignore[index]
    shell("version", "delete", "drive@v2")
    assert "needs" in shell("dataset", "delete", "drive", code=2)
    shell("dataset", "delete", "drive", "--force")
    assert "no datasets yet" in shell("dataset", "list")


def test_a_publish_that_the_checks_refuse_names_the_findings(shell: Shell, street: Path, tmp_path: Path) -> None:
    broken = json.loads((street / "frame.json").read_text())
    broken["sources"][0]["masks"][0]["uri"] = "gone.png"
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    shell("version", "create", "drive@v1")
    shell("frames", "add", "drive@v1", tmp_path / "broken.json")
    assert "file-missing" in shell("version", "publish", "drive@v1", "--check", code=1)
    assert shell.json("version", "show", "drive@v1")["state"] == "draft"  # type: ignore[index]


def test_frames_that_are_near(shell: Shell, tmp_path: Path) -> None:
    shell("dataset", "create", "d")
    shell("dataset", "declare", "d", "meta.v", "vector[2]")
    shell("version", "create", "d@v1")
    angles = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 0.2], "d": [-1.0, 0.0]}
    frames = [{"id": id_, "sources": [{"id": "s", "uri": "a.png"}], "meta": {"v": v}} for id_, v in angles.items()]
    (tmp_path / "frames.jsonl").write_text("\n".join(map(json.dumps, frames)))
    shell("frames", "add", "d@v1", tmp_path / "frames.jsonl")
    (tmp_path / "asked.json").write_text("[2, 0]")
    found = shell.json("query", "d@v1", "--near", tmp_path / "asked.json", "--field", "meta.v", "-k", "2")
    assert found == {"frames": [{"id": "a", "score": 1.0}, {"id": "c", "score": pytest.approx(0.990290)}]}
    assert shell("query", "d@v1", "id:(b OR d)", "--near", "a", "--field", "v").split()[-4:] == [
        "b", "0.500000", "d", "0.000000"
    ]  # fmt: skip
    assert "euclid" in shell("query", "d@v1", "--near", "a", "--metric", "euclid", code=2)
    (tmp_path / "asked.json").write_text('["x"]')
    assert "list of numbers" in shell("query", "d@v1", "--near", tmp_path / "asked.json", code=2)


def test_bad_references_are_told(shell: Shell) -> None:
    assert "DATASET@VERSION" in shell("version", "publish", "drive", code=2)
    assert "there is no store at" in shell("frames", "list", "drive@v1", code=2)
    shell("dataset", "create", "walk")
    assert "has no dataset 'drive'" in shell("frames", "list", "drive@v1", code=2)
