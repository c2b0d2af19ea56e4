"""What `smalti serve --clearml` does: a key pair, the variables that point a client here, and ports of their own."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from smalti.server.clearml.mounting import API_PATH, FILES_PATH, applications, environment, key_pair
from smalti.server.listening import listen
from smalti.server.service import Service

__all__ = ["read_environment", "serve_apart", "variables", "write_environment"]


def variables(
    service: Service, base: str, *, file: Path | None = None, ports: tuple[int, int] | None = None
) -> dict[str, str]:
    """The variables that point the client at this server, with a key pair.

    Args:
        service: the server's.
        base: where it is reached: scheme, host, port and prefix, without a slash at the end.
        file: kept here for the next start, which uses the same key pair as long as it holds.
        ports: of the endpoints and of the files, where they have ports of their own.
    """
    known = read_environment(file) if file is not None else {}
    keys = key_pair(service, known)
    api, files = base + API_PATH, base + FILES_PATH
    if ports is not None:
        parts = urlsplit(base)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        api, files = (f"{parts.scheme}://{name}:{port}" for port in ports)
    found = environment(api, files, base, keys)
    if file is not None:
        write_environment(file, found)
    return found


def read_environment(path: Path) -> dict[str, str]:
    """Variables from a file with lines `export NAME=value`; {} where there is none."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, is_set, value = line.removeprefix("export ").partition("=")
        if is_set and name.strip():
            found[name.strip()] = value.strip()
    return found


def write_environment(path: Path, found: Mapping[str, str]) -> None:
    """Write them as lines that a shell reads. Nobody else may read the file: there is a secret in it."""
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text("".join(f"export {name}={value}\n" for name, value in found.items()), encoding="utf-8")


@contextmanager
def serve_apart(service: Service, host: str, ports: tuple[int, int], **options: Any) -> Iterator[tuple[int, int]]:
    """The endpoints and the files on ports of their own, in threads, until the block ends; yields the ports.

    Args:
        service: the server's.
        host: the address to listen on.
        ports: of the endpoints and of the files; 0 = any free one.
        options: of `uvicorn.Config`.

    Raises:
        StorageError: a port is taken.
    """
    import uvicorn

    running: list[tuple[Any, socket.socket]] = []
    threads: list[threading.Thread] = []
    try:
        application: Any
        for application, port in zip(applications(service), ports, strict=True):
            config = uvicorn.Config(
                application,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                timeout_graceful_shutdown=5,
                **options,
            )
            running.append((uvicorn.Server(config), listen(host, port)))
        for server, listening in running:
            threads.append(threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True))
            threads[-1].start()
        api, files = (listening.getsockname()[1] for _, listening in running)
        yield api, files
    finally:
        for server, _ in running:
            server.should_exit = True
        for thread in threads:
            thread.join(10)
        for _, listening in running:
            listening.close()
