"""What a server is started with: one frozen record, checked before anything listens."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import StorageError

__all__ = ["MIN_TOKEN", "Settings", "is_loopback"]

MIN_TOKEN = 16
"""Characters of a token that somebody chose; beyond loopback twice as many."""


def is_loopback(host: str) -> bool:
    """Whether an address to bind to can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def default_cache() -> Path:
    """Where thumbnails are kept: $XDG_CACHE_HOME/smalti, else ~/.cache/smalti."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smalti" / "thumbs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve one store.

    Attributes:
        store: URI of the store.
        catalog_url: its catalog database, where that is not inside the store.
        host, port: where to listen.
        token: a standing token that logs in as administrator until the server stops; None = a link that works once.
        names: what the server may be called in the Host header, `name` or `name:port`; addresses are always allowed.
        prefix: the path below which a reverse proxy shows the server, e.g. "/smalti".
        roots: folders whose files frames may name; the store's own folder always counts.
        read_hosts: servers on private networks that frames may name: host names, addresses or networks (CIDR).
        buckets: places on object stores that frames may name: "s3://bucket", "gs://bucket/prefix".
        public_http: whether frames may name any server on the public internet, or only `read_hosts`.
        static: folder of the viewer; None = the one that came with the package.
        thumbs: folder of the thumbnail cache; None = the user's cache folder.
        thumbs_bytes: how much it may hold.
        max_pixels: the largest picture that is decoded.
        max_media_bytes: the largest file that is read for a picture.
        memory_bytes: how much is kept decoded in memory.
        secure_cookies: cookies for https only; None = as each request came.
    """

    store: str
    catalog_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    names: tuple[str, ...] = ()
    prefix: str = ""
    roots: tuple[str, ...] = ()
    read_hosts: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    public_http: bool = True
    static: Path | None = None
    thumbs: Path | None = None
    thumbs_bytes: int = 1 << 30
    max_pixels: int = 1 << 26
    max_media_bytes: int = 1 << 29
    memory_bytes: int = 256 << 20
    secure_cookies: bool | None = None

    def __post_init__(self) -> None:
        if self.prefix and not (self.prefix.startswith("/") and not self.prefix.endswith("/")):
            raise StorageError(f"the prefix is {self.prefix!r}; it starts with a slash and ends without one: /smalti")
        least = MIN_TOKEN if self.is_local else 2 * MIN_TOKEN
        if self.token is not None and len(self.token) < least:
            raise StorageError(
                f"the token has {len(self.token)} characters, at least {least} are needed on {self.host}; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def static_folder(self) -> Path:
        """Where the built viewer lies, or would lie."""
        return self.static if self.static is not None else Path(__file__).parent / "static"
