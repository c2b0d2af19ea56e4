"""The real ClearML client, unmodified, in its own process against our server."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.clearml_wire import Running

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("clearml") is None, reason="the package clearml is not installed"
)
OLDER = Path(sys.prefix) / "clearml-2.1.7"
SCRIPT = Path(__file__).parents[1] / "clearml_script.py"


class Client(Running):
    """A server, and the client against it."""

    def run(
        self, *sections: str, name: str = "work", seconds: int = 50, package: Path | None = None
    ) -> list[dict[str, str | None]]:
        """What each call of the script said; its errors are shown where it does not reach its end."""
        work = self.folder / name
        work.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(work), *sections],
            env=self.client_environment() | ({"PYTHONPATH": str(package)} if package else {}),
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


def test_two_clients_write_one_version_at_once(running: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: running.run("together", name=name), ["one", "two"]))
    assert [each for said in found for each in said if each["wrong"]] == []
    [dataset] = running.server.service.store.datasets()
    assert sorted(dataset["v1"].frame_ids()) == sorted(f"{name}-{n}" for name in ("one", "two") for n in range(5))
