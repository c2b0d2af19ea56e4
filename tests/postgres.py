"""A PostgreSQL server for tests: Debian's binaries, an unprivileged user, a folder of its own, gone afterwards."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

__all__ = ["postgres_database", "postgres_server"]

SUPERUSER = "smalti"


def _binaries() -> Path | None:
    """The newest installed release's folder of binaries."""
    found = [
        p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists() and (p / "postgres").exists()
    ]
    return max(found, key=lambda p: float(p.parent.name), default=None)


def _somebody() -> dict[str, Any]:
    """Whom to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known.get("nobody")
    if entry is None:
        pytest.skip("PostgreSQL: it does not run as root, and there is no user postgres or nobody to run it as")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running server, without a database name: `postgresql://smalti@127.0.0.1:PORT/`."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL: no binaries in /usr/lib/postgresql/*/bin (apt-get install postgresql)")
    who = _somebody()
    # Not below pytest's own folder, which nobody else may enter; short, for a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="smalti-pg-"))
    if who:
        os.chown(folder, who["user"], who["group"])
    data, port = folder / "data", _free_port()

    def run(*command: str) -> None:
        done = subprocess.run(
            [str(binaries / command[0]), *command[1:]],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
            **who,
        )
        assert done.returncode == 0, f"{command[0]} failed:\n{(folder / 'log').read_text()}"

    try:
        with open(folder / "log", "wb") as log:
            run("initdb", "-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
            run("pg_ctl", "-D", str(data), "-w", "-t", "50", "-o", settings, "start")
            try:
                yield f"postgresql://{SUPERUSER}@127.0.0.1:{port}/"
            finally:
                run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_database(postgres_server: str) -> Callable[[], str]:
    """Makes an empty database and returns its URL. They go with the server."""

    def make() -> str:
        import psycopg

        name = f"t{uuid4().hex[:12]}"
        with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{postgres_server}{name}"

    return make
