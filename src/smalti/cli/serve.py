"""`smalti serve`: the store and the viewer over HTTP. `smalti users`: who may log in to a shared server."""

import gc
import logging
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smalti.cli.output import as_json, is_terminal, json_option, say, table
from smalti.errors import StorageError

if TYPE_CHECKING:
    from smalti.server.app import Server
    from smalti.store import Store

__all__ = ["serve", "users"]

_ROLES = ("viewer", "annotator", "admin")
_PORTS_TRIED = 20


@click.command()
@click.argument("store", required=False)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; beyond loopback needs users."
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 = any free one.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--token", envvar="SMALTI_TOKEN", help="A standing token instead of a link that works once.")
@click.option("--catalog", help="Database of the store's catalog, e.g. postgresql://...")
@click.option(
    "--allow-root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="A folder whose files frames may name.",
)
@click.option(
    "--allow-bucket", "buckets", multiple=True, help="A place such as s3://bucket/prefix that frames may name."
)
@click.option("--allow-name", "names", multiple=True, help="A name that the server is called by (Host header).")
@click.option("--read-host", "read_hosts", multiple=True, help="A private host or network that frames may name.")
@click.option("--no-public-http", is_flag=True, help="Frames may name only --read-host servers.")
@click.option("--prefix", default="", help="The path that a reverse proxy puts in front, e.g. /smalti.")
@click.option("--trust-proxy", "proxies", multiple=True, help="Address of a proxy whose X-Forwarded-* headers count.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--log-requests", is_flag=True, help="A line for every request.")
@click.option(
    "--clearml", is_flag=True, help="Also answer ClearML's client, and print the variables that point it here."
)
@click.option(
    "--clearml-env", type=click.Path(dir_okay=False), help="Write those variables here, and keep the key pair in it."
)
@click.option(
    "--clearml-ports",
    nargs=2,
    type=click.IntRange(0, 65535),
    help="Ports of their own for its endpoints and its files.",
)
def serve(store: str | None, **options: Any) -> None:
    """Browse and edit STORE at a page of this machine (default: $SMALTI_STORE, else the user's own store)."""
    from smalti.server.app import create_app
    from smalti.server.settings import Settings
    from smalti.store import default_store_uri

    _set_up_logs(options["log_format"], options["log_requests"])
    listening = _listen(options["host"], options["port"], is_fixed=_was_given("port"))
    host, port = options["host"], listening.getsockname()[1]
    try:
        settings = Settings(
            store=store or default_store_uri(),
            catalog_url=options["catalog"],
            host=host,
            port=port,
            token=options["token"],
            names=_names(host, options["names"]),
            prefix=options["prefix"],
            roots=options["roots"],
            read_hosts=options["read_hosts"],
            buckets=options["buckets"],
            public_http=not options["no_public_http"],
        )
        app = create_app(settings)
        refuse_open_door(app)
        _run(app, listening, options)
    finally:
        listening.close()


def _was_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _names(host: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """What the server is called: what was listed, and beyond loopback the machine's own names."""
    from smalti.server.settings import is_loopback

    return names if is_loopback(host) else (*names, socket.gethostname(), socket.getfqdn())


def _listen(host: str, port: int, *, is_fixed: bool) -> socket.socket:
    """A socket that is bound before anything is said about it; without --port the next free one is taken."""
    from smalti.server.listening import listen

    last: StorageError | None = None
    for candidate in [port] if is_fixed else range(port, port + _PORTS_TRIED):
        try:
            return listen(host, candidate)
        except StorageError as error:
            last = last or error
    raise last or StorageError(f"cannot listen on {host}:{port}; choose another --port")


def refuse_open_door(app: "Server") -> None:
    """A server that others can reach needs a way to tell them apart.

    Raises:
        StorageError: it has none.
    """
    settings = app.service.settings
    if not settings.is_local and not app.service.gate.is_secured():
        raise StorageError(
            f"--host {settings.host} can be reached by others, and nobody has a password or a key yet; add a user with "
            f"`smalti users add NAME --role admin {settings.store}`, or pass a --token of 32 characters or more"
        )


def _run(app: "Server", listening: socket.socket, options: dict[str, Any]) -> None:
    import uvicorn

    service = app.service
    settings = service.settings
    shown = "localhost" if settings.is_local else settings.host
    base = f"http://{f'[{shown}]' if ':' in shown else shown}:{settings.port}{settings.prefix}"
    link = f"{base}/?token={settings.token or service.gate.new_link_token()}"
    service.gate.on_new_link = lambda token: say(f"another browser: {base}/?token={token}")
    say(
        f"smalti serves {settings.store}"
        + ("" if service.store.is_made else ", which is made when it is first written to")
    )
    say(f"open      {link}")
    say("stop      Ctrl+C")
    sys.stdout.flush()
    proxies = options["proxies"]
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies) or None,
        ws="none",
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 << 10,
    )
    if not options["no_browser"] and is_terminal():
        threading.Timer(0.5, webbrowser.open, [link]).start()
    _collect_rarely()
    with _clearml(app, config, base, options):
        _server_class()(config, service).run(sockets=[listening])


def _collect_rarely() -> None:
    """What a server keeps (ids and columns of versions) is many objects and no garbage.

    With Python's own thresholds a look through all of them stops every answer for as long as a person notices, each time
    a quarter more were made. The young, where requests leave their cycles, are looked through as often as before.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, 10_000)


@contextmanager
def _clearml(app: "Server", config: Any, base: str, options: dict[str, Any]) -> Iterator[None]:
    """ClearML's protocol beside the pages, where it is asked for, and the lines that point its client here."""
    ports, file = options["clearml_ports"], options["clearml_env"]
    if not (options["clearml"] or ports or file):
        yield
        return
    from smalti.server.clearml import mount, serve_apart, variables

    with ExitStack() as running:
        if ports:
            ports = running.enter_context(serve_apart(app.service, options["host"], ports))
        else:
            # Around the pages' own front door, which answers without the envelope that the client needs.
            config.app = mount(app)
        for name, value in variables(app.service, base, file=Path(file) if file else None, ports=ports or None).items():
            say(f"export {name}={value}")
        sys.stdout.flush()
        yield


def _server_class() -> Any:
    import uvicorn

    class Quiet(uvicorn.Server):
        """Ends the event streams first: uvicorn waits for open answers before it shuts down."""

        def __init__(self, config: uvicorn.Config, service: Any) -> None:
            super().__init__(config)
            self._service = service

        def handle_exit(self, sig: int, frame: Any) -> None:
            self._service.events.close()
            super().handle_exit(sig, frame)

    return Quiet


class _JsonLines(logging.Formatter):
    """One JSON object a line; what is JSON already is merged in."""

    def format(self, record: logging.LogRecord) -> str:
        import msgspec

        found: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        text = record.getMessage()
        if record.name.endswith(".access"):
            found |= msgspec.json.decode(text)
        else:
            found["message"] = text
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(found).decode()


def _set_up_logs(style: str, requests: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonLines() if style == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("smalti.server").setLevel(logging.INFO)
    logging.getLogger("smalti.server.access").setLevel(logging.INFO if requests else logging.WARNING)


# ----------------------------------------------------------------------------------------------------------- users
@click.group()
def users() -> None:
    """Who may log in to a shared server. A running server learns of changes within seconds."""


@contextmanager
def _opened(uri: str | None, catalog: str | None, *, may_be_new: bool = False) -> "Iterator[Store]":
    """The store that a server is started on, by the same two words as `smalti serve`."""
    from smalti.store import open_store

    with open_store(uri, catalog_url=catalog) as store:
        if not may_be_new:
            store.check_made()
        yield store


_STORE = click.argument("store", required=False)
_CATALOG = click.option("--catalog", help="Database of the store's catalog.")
_PASSWORD = click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Read the password from a file instead of asking.",
)


def _password(path: str | None) -> str:
    if path is not None:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
    found: str = click.prompt("Password (10 characters or more)", hide_input=True, confirmation_prompt=True)
    return found


@users.command("add")
@click.argument("name")
@_STORE
@click.option("--role", type=click.Choice(_ROLES), default="viewer", show_default=True)
@_PASSWORD
@_CATALOG
def add_user(name: str, store: str | None, role: Any, password_file: str | None, catalog: str | None) -> None:
    """Add somebody with a password."""
    from smalti.server.auth import hash_password
    from smalti.store.rows import UserRow

    kept = hash_password(_password(password_file))
    with _opened(store, catalog, may_be_new=True) as found:  # users come before a shared store's first dataset
        found.catalog.add_user(UserRow(name=name, role=role, password=kept))
    say(f"{name} may log in as {role}")


@users.command("change")
@click.argument("name")
@_STORE
@click.option("--role", type=click.Choice(_ROLES), help="Their new role.")
@click.option("--password", "new_password", is_flag=True, help="Give them a new password.")
@_PASSWORD
@_CATALOG
def change_user(name: str, store: str | None, **options: Any) -> None:
    """Change a role or a password."""
    from smalti.server.auth import hash_password

    changes: dict[str, Any] = {}
    if options["role"] is not None:
        changes["role"] = options["role"]
    if options["new_password"] or options["password_file"] is not None:
        changes["password"] = hash_password(_password(options["password_file"]))
    if not changes:
        raise click.UsageError("nothing to change: give --role or --password")
    with _opened(store, options["catalog"]) as found:
        found.catalog.update_user(name, **changes)
    say(f"{name}: changed {', '.join(changes)}")


@users.command("remove")
@click.argument("name")
@_STORE
@_CATALOG
def remove_user(name: str, store: str | None, catalog: str | None) -> None:
    """Remove somebody with their keys; what they did stays in the audit trail."""
    with _opened(store, catalog) as found:
        found.catalog.delete_user(name)
    say(f"{name} was removed")


@users.command("list")
@_STORE
@_CATALOG
@json_option
def list_users(store: str | None, catalog: str | None, as_json_text: bool) -> None:
    """Who may log in."""
    with _opened(store, catalog) as found:
        rows = found.catalog.list_users()
    if as_json_text:
        as_json([{"name": row.name, "role": row.role, "password": row.password is not None} for row in rows])
        return
    table(["name", "role", "password"], [[row.name, row.role, "yes" if row.password else "no"] for row in rows])
