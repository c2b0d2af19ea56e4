"""A shared server as its operator starts it: passwords, and a reverse proxy that shows it below a path, over real HTTP."""

import http.client
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browsing import Running, running
from tests.serving import make_store

from smalti.cli.serve import serve

PASSWORD = "correct horse battery"
NAME = "data.example.org"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "serve.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Below /smalti, behind a proxy on this machine, with a user whose password was set at the command line."""
    folder = tmp_path_factory.mktemp("shared")
    store = folder / "store"
    make_store(store, 2).close()
    (folder / "password").write_text(PASSWORD + "\n")
    added = [sys.executable, "-m", "smalti", "users", "add", "anna", str(store), "--role", "annotator"]
    subprocess.run([*added, "--password-file", str(folder / "password")], check=True, capture_output=True)
    options = ("--prefix", "/smalti", "--trust-proxy", "127.0.0.1", "--allow-name", NAME)
    with running(store, *options) as found:
        yield found


class Proxy:
    """What a proxy sends on for a browser at https://data.example.org/smalti."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.cookie = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        sent = {
            "Host": NAME,
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Proto": "https",
            "Origin": f"https://{NAME}",
            "Content-Type": "application/json",
            **({"Cookie": self.cookie} if self.cookie else {}),
            **headers,
        }
        for attempt in range(100):
            try:
                connection.request(method, path, None if body is None else json.dumps(body), sent)
                break
            except ConnectionRefusedError:  # the address is printed just before the server accepts
                if attempt == 99:
                    raise
                connection.close()
        answer = connection.getresponse()
        data = answer.read()
        if answer.headers["set-cookie"]:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        connection.close()
        return answer.status, answer.headers, data


def test_a_password_logs_in_below_the_prefix(server: Running) -> None:
    anna = Proxy(server)
    assert anna.ask("GET", "/smalti/api/v1/datasets")[0] == 401
    wrong = {"name": "anna", "password": "not the password"}
    assert anna.ask("POST", "/smalti/api/v1/auth/login", wrong)[0] == 401
    status, headers, data = anna.ask("POST", "/smalti/api/v1/auth/login", {"name": "anna", "password": PASSWORD})
    assert status < 300
    assert json.loads(data)["role"] == "annotator"
    cookie = headers["set-cookie"]
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert re.search(r"Path=/(smalti)?(;|$)", cookie)
    status, _, data = anna.ask("GET", "/smalti/api/v1/auth/me")
    assert (status, json.loads(data)["name"]) == (200, "anna")
    status, headers, data = anna.ask("GET", "/smalti/api/v1/versions/street@v2/frames/f0")
    assert status == 200
    edit = {"meta": {"by": "anna"}}
    path = "/smalti/api/v1/versions/street@v2/frames/f0"
    assert anna.ask("PATCH", path, edit, **{"If-Match": headers["etag"]})[0] == 200
    foreign = {"If-Match": headers["etag"], "Origin": "https://evil.example.org"}
    assert anna.ask("PATCH", path, edit, **foreign)[0] == 403
    assert anna.ask("POST", "/smalti/api/v1/auth/logout")[0] in (200, 201, 204)
    assert anna.ask("GET", "/smalti/api/v1/auth/me")[0] == 401


def test_pages_and_pictures_lie_below_the_prefix(server: Running) -> None:
    anna = Proxy(server)
    anna.ask("POST", "/smalti/api/v1/auth/login", {"name": "anna", "password": PASSWORD})
    for path in ("/smalti", "/smalti/", "/smalti/datasets"):
        status, headers, _ = anna.ask("GET", path)
        assert status == 200
        assert headers["content-type"].startswith("text/html")
    picture = "/smalti/api/v1/versions/street@v1/frames/f0/sources/front/thumb?size=32"
    status, headers, data = anna.ask("GET", picture)
    assert (status, headers["content-type"], data[:4]) == (200, "image/webp", b"RIFF")
    status, _, data = anna.ask("GET", "/smalti/api/v1/openapi.json")
    assert status == 200
    assert json.loads(data)["openapi"].startswith("3.1")


def test_other_names_and_other_proxies_are_not_believed(server: Running) -> None:
    stranger = Proxy(server)
    assert stranger.ask("GET", "/smalti/api/v1/version", Host="evil.example.org")[0] == 400
    assert stranger.ask("GET", "/smalti/api/v1/version", Host=f"{NAME}:443")[0] == 200


def test_what_a_proxy_says_counts_only_from_those_that_are_trusted(tmp_path: Path) -> None:
    make_store(tmp_path / "store", 1).close()
    with running(tmp_path / "store", "--allow-name", NAME) as plain:
        token = Proxy(plain)
        status, headers, _ = token.ask(
            "POST", "/api/v1/auth/token-exchange", {"token": "a-token-that-only-the-tests-know"}
        )
        assert status < 300
        assert "Secure" not in headers["set-cookie"], "nobody said that this proxy may be believed"


def commands() -> list[list[str]]:
    """Every `smalti serve` of the page about serving, as words."""
    text = DOCS.read_text()
    lines = re.findall(r"(?m)^(?:\$ |ExecStart=\S*/)?(smalti serve\b[^#\n]*)", text)
    entry = re.search(r"(?m)^ENTRYPOINT (\[.*\])$", text)
    assert entry is not None
    return [*(shlex.split(line) for line in lines), json.loads(entry[1])]


def test_the_documented_commands_are_ones_that_it_takes() -> None:
    known = {name for parameter in serve.params for name in parameter.opts}
    found = commands()
    assert len(found) >= 6
    for words in found:
        assert words[:2] == ["smalti", "serve"]
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= known, words


def test_the_documented_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    block = re.search(r"```ini\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert block is not None
    sections = [line for line in block[1].splitlines() if line.startswith("[")]
    assert sections == ["[Unit]", "[Service]", "[Install]"]
    settings = dict(line.split("=", 1) for line in block[1].splitlines() if "=" in line and not line.startswith("#"))
    assert settings["ExecStart"].startswith("/")
    assert {"User", "ProtectSystem", "ReadWritePaths", "CacheDirectory", "WantedBy"} <= set(settings)
    assert os.path.join("/var/cache", settings["CacheDirectory"]) == "/var/cache/smalti"
