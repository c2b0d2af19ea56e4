"""Completion: the scripts that shells load, and what they are answered."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from smalti.cli import cli, main
from smalti.store import open_store
from smalti.testing import frame


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "store"
    with open_store(place) as made:
        drive = made.create_dataset("drive")
        drive.create_version("v1").publish().child("v2")
        made.create_dataset("walk").create_version("v1")
    monkeypatch.setenv("SMALTI_STORE", str(place))
    return place


def completed(*words: str) -> list[str]:
    *before, begun = words
    return [item.value for item in ShellComplete(cli, {}, "smalti", "_X").get_completions(before, begun)]


@pytest.mark.usefixtures("store")
def test_verbs_options_datasets_and_versions_complete() -> None:
    assert completed("ver") == ["version"]
    assert completed("version", "") == sorted(
        [
            "create",
            "delete",
            "describe",
            "diff",
            "list",
            "merge",
            "publish",
            "rename",
            "report",
            "show",
            "snapshot",
            "tree",
        ]
    )
    assert "--check" in completed("version", "publish", "drive@v2", "--")
    assert completed("dataset", "show", "d") == ["drive"]
    assert completed("frames", "list", "") == ["drive@v1", "drive@v2", "walk@v1"]
    assert completed("frames", "list", "drive@") == ["drive@v1", "drive@v2"]
    assert completed("version", "diff", "drive@v1", "") == ["v1", "v2"]
    assert completed("version", "merge", "drive@v1", "--rule", "") == ["error", "ours", "theirs"]


@pytest.mark.usefixtures("store")
def test_another_version_completes_after_an_option() -> None:
    assert completed("version", "create", "drive@v3", "--parent", "") == ["v1", "v2"]
    assert completed("version", "merge", "drive@v2", "--base", "") == ["v1", "v2"]


def test_views_complete_where_they_are_asked(store: Path) -> None:
    with open_store(store) as home:
        mine = home["drive"]["v1"].view("")
        mine.name = "mine"
        mine.store(home)
    for verb in ("show", "publish", "explain", "clone", "export", "delete"):
        assert completed("view", verb, "") == ["mine"]
    assert completed("view", "save", "other", "d") == ["drive@v1", "drive@v2"]
    for verb in ("stats", "export", "evaluate"):
        assert completed(verb, "") == ["drive@v1", "drive@v2", "walk@v1", "mine"]
        assert completed(verb, "drive@") == ["drive@v1", "drive@v2"]
    for verb in ("query", "split"):
        assert completed(verb, "") == ["drive@v1", "drive@v2", "walk@v1", "mine"]
    assert completed("import", "folder", "--to", "walk@") == ["walk@v1"]
    assert completed("evaluate", "predicted", "seg", "--in", "m") == ["mine"]


@pytest.mark.usefixtures("store")
def test_what_no_store_has_is_a_path() -> None:
    (found,) = ShellComplete(cli, {}, "smalti", "_X").get_completions(["stats"], "./fra")
    assert (found.type, found.value) == ("file", "./fra")


def test_frames_complete_by_their_ids(store: Path) -> None:
    with open_store(store) as home:
        home["drive"]["v2"].add_frames([frame(number) for number in (1, 2, 11)])
    assert completed("frames", "show", "drive@v2", "") == ["f0001", "f0002", "f0011"]
    assert completed("frames", "delete", "drive@v2", "f0001", "f001") == ["f0011"]
    assert completed("version", "diff", "drive@v2", "v1", "--frame", "f000") == ["f0001", "f0002"]
    assert completed("frames", "show", "drive@v2", "it's") == []


def test_a_store_that_is_not_there_completes_to_nothing_and_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path / "none"))
    assert completed("dataset", "show", "") == []
    assert completed("dataset", "show", "--store", str(tmp_path / "other"), "") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", staticmethod(lambda: None))
    with pytest.raises(SystemExit):
        main(["completion", shell])
    script = capsys.readouterr().out
    assert f"_SMALTI_COMPLETE={shell}_complete" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_a_version_as_one_word(store: Path, tmp_path: Path) -> None:
    tool = tmp_path / "smalti"
    tool.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {sys.path!r}\nfrom smalti.cli import main\nmain()\n"
    )
    tool.chmod(0o755)
    script = subprocess.run([tool, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    ask = "COMP_WORDS=(smalti frames list drive@) COMP_CWORD=3; _smalti_completion smalti; echo ${COMPREPLY[@]}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\nPATH={tmp_path}:$PATH\n{ask}\n[[ $COMP_WORDBREAKS == *@* ]] || echo one word"],
        capture_output=True,
        text=True,
        check=True,
        env={"SMALTI_STORE": str(store), "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.split("\n")[:2] == ["drive@v1 drive@v2", "one word"], done.stderr


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('smalti', None, '__main__')",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
    assert done.stdout.startswith("smalti")
