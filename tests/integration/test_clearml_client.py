"""The real ClearML client, unmodified, in its own process against our server."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.clearml_wire import Running

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("clearml") is None, reason="the package clearml is not installed"
)
OLDER = Path(sys.prefix) / "clearml-2.1.7"
SCRIPT = Path(__file__).parents[1] / "clearml_script.py"


def run_script(
    server: Running, *sections: str, name: str = "work", seconds: int = 50, package: Path | None = None
) -> list[dict[str, str | None]]:
    """What each call of the script said; its errors are shown where it does not reach its end."""
    work = server.folder / name
    work.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(work), *sections],
        env=server.client_environment() | ({"PYTHONPATH": str(package)} if package else {}),
        cwd=work,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert said, done.stderr[-3000:]
    assert said[-1] == {"call": "end", "wrong": None}, done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]
    return said


class Client(Running):
    """A server, and the client against it."""

    def run(self, *sections: str, **options: Any) -> list[dict[str, str | None]]:
        return run_script(self, *sections, **options)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Client]:
    found = Client(tmp_path)
    yield found
    found.stop()


def test_every_call_of_the_client(running: Client) -> None:
    said = running.run("write", "read", "text", "task", "publish", "delete")
    assert [each for each in said if each["wrong"]] == []
    assert len(said) > 90
    store = running.server.service.store
    [dataset] = store.datasets()
    assert (dataset.project, dataset.name) == ("Client tests/a + b", "animals-1")
    names = sorted(version.name for version in dataset.versions())
    assert names[1:] == ["v1"]
    assert names[0].startswith("snapshot 20")
    frame = dataset[names[0]].get_record("e003")
    files = running.variables["CLEARML_FILES_HOST"]
    assert frame.sources[0].uri == f"{files}/ds/{dataset.id}/{dataset[names[0]].id}/image%2003.png"
    assert len(list((running.folder / "store" / "files" / "names").glob("*/*"))) == 12
    assert {mask.id: mask.uri for mask in frame.sources[0].masks} == {
        "seg": "s3://masks/3.png",
        "more": "https://example.org/3.png",
    }
    assert frame.rois[2].mask is not None
    assert frame.rois[2].mask.value == [1, 2, 3]


def test_every_call_of_an_older_client(running: Client) -> None:
    if not OLDER.is_dir():
        pytest.skip(
            f"{OLDER.name} is not installed: pip install --no-deps --target {OLDER} -r requirements/{OLDER.name}.txt"
        )
    assert (OLDER / "clearml").is_dir()
    said = running.run("older", package=OLDER)
    assert [each for each in said if each["wrong"]] == []
    assert len(said) > 20


def test_a_server_that_restarts_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    at = [Client(tmp_path)]
    restarts, over = [], threading.Event()

    def restart() -> None:
        mark = tmp_path / "work" / "pause"
        while not over.wait(0.02):
            if mark.exists():
                mark.unlink()
                at[0].stop()
                at[0] = Client(tmp_path, at[0].port)
                restarts.append(at[0].port)

    keeper = threading.Thread(target=restart)
    keeper.start()
    try:
        said = at[0].run("restart")
    finally:
        over.set()
        keeper.join()
        at[0].stop()
    assert [each for each in said if each["wrong"]] == []
    assert len(restarts) == 2


class Killable(Running):
    """A server in a process of its own, as a user starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        code = "import sys; from smalti.cli import main; main(sys.argv[1:])"
        options = ["--port", str(self.port), "--no-browser", "--clearml-env", str(self.folder / "env")]
        command = [sys.executable, "-c", code, "serve", str(self.folder / "store"), *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        assert self.process.stdout is not None
        self.variables = {}
        for line in self.process.stdout:
            if line.startswith("export "):
                name, _, value = line.strip().removeprefix("export ").partition("=")
                self.variables[name] = value
            if len(self.variables) == 5:
                break

    def kill(self) -> None:
        """kill -9, and start again on the same port."""
        self.process.kill()
        self.process.communicate()
        self.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


def test_a_server_that_is_killed_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    server = Killable(tmp_path)
    work, names = tmp_path / "work", tmp_path / "store" / "files" / "names"
    kills, over = [], threading.Event()

    def keep() -> None:
        while not over.wait(0.002):
            asked, waiting = work / "kill", work / "kill between uploads"
            if asked.exists():
                asked.unlink()
            elif waiting.exists() and len(list(names.glob("*/*"))) >= 2:
                waiting.unlink()
            else:
                continue
            server.kill()
            kills.append(server.port)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        said = run_script(server, "killed", seconds=120)
    finally:
        over.set()
        keeper.join()
        server.stop()
    assert [each for each in said if each["wrong"]] == []
    assert len(kills) == 3
    # A kill in the moment of a rename leaves a hidden file, which is swept after a day.
    assert len([path for path in names.glob("*/*") if not path.name.startswith(".")]) == 8


def test_two_clients_write_one_version_at_once(running: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: running.run("together", name=name), ["one", "two"]))
    assert [each for said in found for each in said if each["wrong"]] == []
    [dataset] = running.server.service.store.datasets()
    assert sorted(dataset["v1"].frame_ids()) == sorted(f"{name}-{n}" for name in ("one", "two") for n in range(5))
