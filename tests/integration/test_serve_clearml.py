"""`smalti serve --clearml` as a user starts it: the lines that it prints are enough to log in."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

NAMES = ["API_HOST", "WEB_HOST", "FILES_HOST", "API_ACCESS_KEY", "API_SECRET_KEY"]


@contextmanager
def serving(store: Path, *options: str) -> Iterator[dict[str, str]]:
    """A server in its own process, and the variables that it printed."""
    code = "import sys; from smalti.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "serve", str(store), "--port", "0", "--no-browser", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    found: dict[str, str] = {}
    try:
        for line in process.stdout:
            if line.startswith("export "):
                name, _, value = line.strip().removeprefix("export ").partition("=")
                found[name] = value
            if len(found) == len(NAMES):
                break
        yield found
    finally:
        process.terminate()
        process.communicate(timeout=30)


def log_in(found: dict[str, str], *, secret: str | None = None) -> httpx.Response:
    keys = found["CLEARML_API_ACCESS_KEY"], secret or found["CLEARML_API_SECRET_KEY"]
    # The lines come just before the server accepts; a refused connection is tried again, as the client does.
    transport = httpx.HTTPTransport(retries=5)
    with httpx.Client(transport=transport, timeout=20) as client:
        return client.get(found["CLEARML_API_HOST"] + "/auth.login", auth=keys)


@pytest.mark.parametrize("options", [["--clearml"], ["--clearml-ports", "0", "0"]], ids=["one port", "own ports"])
def test_the_printed_variables_log_in(tmp_path: Path, options: list[str]) -> None:
    with serving(tmp_path / "store", *options) as found:
        assert list(found) == [f"CLEARML_{name}" for name in NAMES]
        answer = log_in(found)
        assert answer.status_code == 200
        assert answer.json()["data"]["token"].count(".") == 2
        refused = log_in(found, secret="wrong")
        assert (refused.status_code, refused.json()["meta"]["result_code"]) == (401, 401)


def test_the_key_pair_in_the_file_outlives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "clearml.env"
    with serving(tmp_path / "store", "--clearml-env", str(file)) as first:
        assert file.stat().st_mode & 0o777 == 0o600
    with serving(tmp_path / "store", "--clearml-env", str(file)) as second:
        assert second["CLEARML_API_SECRET_KEY"] == first["CLEARML_API_SECRET_KEY"]
        assert log_in(second).status_code == 200
