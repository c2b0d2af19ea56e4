"""`smalti serve` and `smalti users`: what is refused before anything listens, and who may log in."""

import json
import logging
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from smalti.cli.serve import _JsonLines, _listen, refuse_open_door, users
from smalti.errors import StorageError
from smalti.server.app import create_app
from smalti.server.auth import hash_password, verify_password
from smalti.server.settings import Settings
from smalti.store import open_store
from smalti.store.rows import UserRow


def settings(folder: Path, **more: object) -> Settings:
    return Settings(store=str(folder), thumbs=folder / "t", **more)  # type: ignore[arg-type]


def test_beyond_loopback_somebody_must_be_able_to_log_in(tmp_path: Path) -> None:
    refuse_open_door(create_app(settings(tmp_path)))
    with pytest.raises(StorageError, match="smalti users add"):
        refuse_open_door(create_app(settings(tmp_path, host="0.0.0.0")))
    refuse_open_door(create_app(settings(tmp_path, host="0.0.0.0", token="x" * 32)))
    store = open_store(tmp_path)
    store.catalog.add_user(UserRow(name="anna"))
    with pytest.raises(StorageError):
        refuse_open_door(create_app(settings(tmp_path, host="::")))
    store.catalog.update_user("anna", password=hash_password("a long secret"))
    refuse_open_door(create_app(settings(tmp_path, host="::")))


@pytest.mark.parametrize(
    ("host", "users_too", "own"),
    [("127.0.0.1", False, True), ("localhost", False, True), ("127.0.0.1", True, False), ("0.0.0.0", False, False)],
)
def test_only_a_server_of_ones_own_reads_any_file(tmp_path: Path, host: str, users_too: bool, own: bool) -> None:
    if users_too:
        open_store(tmp_path).catalog.add_user(UserRow(name="anna"))
    assert create_app(settings(tmp_path, host=host)).service.doors.policy.own_files is own


def test_the_socket_sends_answers_at_once() -> None:
    """asyncio turns off Nagle's algorithm for sockets that say TCP: answers waited 40 ms when ours did not."""
    with _listen("127.0.0.1", 0, is_fixed=True) as found:
        assert found.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StorageError, match="cannot listen"):
            _listen("127.0.0.1", port, is_fixed=True)
        with _listen("127.0.0.1", port, is_fixed=False) as other:
            assert other.getsockname()[1] > port


def test_users(tmp_path: Path) -> None:
    store, run = str(tmp_path / "s"), CliRunner().invoke
    secret = tmp_path / "secret"
    secret.write_text("a long secret\n")
    for words in (["list", store], ["remove", "anna", store], ["change", "anna", store, "--role", "admin"]):
        assert "there is no store at" in str(run(users, words).exception)
    assert not Path(store).exists()
    made = run(users, ["add", "anna", store, "--role", "annotator", "--password-file", str(secret)])
    assert made.exit_code == 0, made.output
    row = open_store(store).catalog.get_user("anna")
    assert row is not None
    assert row.role == "annotator"
    assert verify_password("a long secret", row.password)
    assert "secret" not in (row.password or "")
    assert run(users, ["change", "anna", store, "--role", "admin"]).exit_code == 0
    listed = json.loads(run(users, ["list", store, "--json"]).output)
    assert listed == [{"name": "anna", "role": "admin", "password": True}]
    assert run(users, ["change", "anna", store]).exit_code == 2
    assert run(users, ["remove", "anna", store]).exit_code == 0
    assert json.loads(run(users, ["list", store, "--json"]).output) == []


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("smalti.server.access", logging.INFO, "", 0, "%s", ('{"path":"/x","status":200}',), None)
    found = json.loads(_JsonLines().format(record))
    assert (found["path"], found["status"], found["level"]) == ("/x", 200, "info")
