"""Fetching from a web server whose address was checked, and that very address.

The name is resolved once; every address it resolves to must be allowed; the connection goes to one of those and to
nothing else. So a name that resolves differently a moment later (DNS rebinding) gains nothing. Redirects are followed
by hand, each hop checked anew. No proxies, no user names, bounds on size and time.
"""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from smalti.errors import AccessDenied, StorageError
from smalti.storage import shown

__all__ = ["Hosts", "Part", "Pinned", "is_public"]

MAX_HOPS = 3
TIMEOUT_S = 10.0
DEADLINE_S = 60.0
_CHUNK_TYPES = ("text/html", "application/xhtml+xml")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# "Global" by the registries, but not for us: Azure's wire server, 6to4 relays, and what wraps another address.
_DENIED = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, however it is wrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _wrapped(address)
        if inner is not None:
            return is_public(inner)
    if any(address.version == net.version and address in net for net in _DENIED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address carries: mapped, compatible, 6to4, NAT64."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class Hosts:
    """Which web servers may be read.

    Args:
        listed: host names, addresses or networks that may be private.
        public: whether every public address may be read.
    """

    def __init__(self, listed: Iterable[str] = (), *, public: bool = True) -> None:
        self.public = public
        self.names: set[str] = set()
        self.networks: list[Network] = []
        for item in listed:
            try:
                self.networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                self.names.add(item.lower().rstrip("."))

    def allows(self, host: str, address: Address) -> bool:
        """Whether a connection to this address, under this name, may be made."""
        if host.lower().rstrip(".") in self.names:
            return True
        inner = _wrapped(address) if isinstance(address, ipaddress.IPv6Address) else None
        for known in (address, inner):
            if known is not None and any(known.version == net.version and known in net for net in self.networks):
                return True
        return self.public and is_public(address)


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an object, and its whole size; size None = these are all bytes."""

    data: bytes
    size: int | None


Resolve = Callable[..., list[Any]]


class _Backend(httpcore.SyncBackend):
    """Connects to the address that was checked, whatever name the request carries."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.NetworkStream:
        last: Exception | None = None
        for address in self._addresses:
            try:
                return super().connect_tcp(address, port, *args, **options)
            except httpcore.ConnectError as error:
                last = error
        raise last if last is not None else httpcore.ConnectError("no address")

    def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("unix sockets are not served")


class Pinned:
    """Reads http(s) URIs under a policy.

    Args:
        hosts: which servers may be read.
        max_bytes: the largest answer.
        resolve: `socket.getaddrinfo`, or a stand-in.
    """

    def __init__(self, hosts: Hosts, *, max_bytes: int, resolve: Resolve | None = None) -> None:
        self.hosts = hosts
        self.max_bytes = max_bytes
        self._resolve = resolve

    def fetch(self, uri: str) -> bytes:
        """All bytes behind a URI.

        Raises:
            AccessDenied: the server may not be read.
            FileNotFoundError, StorageError: it does not have it, or does not answer in bounds.
        """
        return self._get(uri, {}).data

    def fetch_range(self, uri: str, start: int, stop: int) -> Part:
        """The bytes from `start` up to `stop`, or all of them where the server sends no ranges."""
        return self._get(uri, {"Range": f"bytes={start}-{stop - 1}"})

    def _get(self, uri: str, headers: dict[str, str]) -> Part:
        deadline = time.monotonic() + DEADLINE_S
        here = uri
        for _ in range(MAX_HOPS + 1):
            found = self._hop(here, uri, headers, deadline)
            if isinstance(found, Part):
                return found
            here = urljoin(here, found)
        raise StorageError(f"{shown(uri)}: more than {MAX_HOPS} redirects", uri=uri)

    def _hop(self, here: str, uri: str, headers: dict[str, str], deadline: float) -> "Part | str":
        host, port, target, scheme = self._checked(here, uri)
        addresses = self._addresses(host, port, uri)
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=scheme, host=host, port=port, target=target),
            headers=[
                ("Host", _host_header(host, port, scheme)),
                ("Accept-Encoding", "identity"),
                ("User-Agent", "smalti"),
                *headers.items(),
            ],
            extensions={"timeout": {"connect": TIMEOUT_S, "read": TIMEOUT_S, "write": TIMEOUT_S, "pool": TIMEOUT_S}},
        )
        try:
            with (
                httpcore.ConnectionPool(network_backend=_Backend(addresses), retries=0) as pool,
                pool.stream(request.method, request.url, headers=request.headers, extensions=request.extensions) as r,
            ):
                return self._read(r, uri, deadline)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            if isinstance(error, StorageError | FileNotFoundError):
                raise
            raise StorageError(
                f"{shown(uri)}: the server does not answer ({error or type(error).__name__})", uri=uri
            ) from None

    def _read(self, response: httpcore.Response, uri: str, deadline: float) -> "Part | str":
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        status = response.status
        if status in (301, 302, 303, 307, 308):
            if "location" not in headers:
                raise StorageError(f"{shown(uri)}: the server redirects to nowhere", uri=uri)
            return headers["location"]
        if status in (404, 410):
            raise FileNotFoundError(f"{shown(uri)}: the server does not have it (HTTP {status})")
        if status not in (200, 206):
            raise StorageError(f"{shown(uri)}: the server answers HTTP {status}", uri=uri)
        if headers.get("content-type", "").split(";")[0].strip().lower() in _CHUNK_TYPES:
            raise StorageError(f"{shown(uri)}: the server sends a web page, not a picture or clip", uri=uri)
        if "content-encoding" in headers and headers["content-encoding"].lower() != "identity":
            raise StorageError(f"{shown(uri)}: the server sends {headers['content-encoding']} unasked", uri=uri)
        size = None
        if status == 206:
            match = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("content-range", ""))
            if match is None:
                raise StorageError(f"{shown(uri)}: the server sends a part without saying of what", uri=uri)
            size = int(match[1])
        announced = headers.get("content-length", "0")
        if max(size or 0, int(announced) if announced.isdecimal() else 0) > self.max_bytes:
            raise StorageError(f"{shown(uri)} is larger than the {self.max_bytes} bytes that are read here", uri=uri)
        data = bytearray()
        for chunk in response.iter_stream():
            data += chunk
            if len(data) > self.max_bytes:
                raise StorageError(
                    f"{shown(uri)} is larger than the {self.max_bytes} bytes that are read here", uri=uri
                )
            if time.monotonic() > deadline:
                raise StorageError(f"{shown(uri)}: not read after {DEADLINE_S:g} s", uri=uri)
        return Part(bytes(data), size)

    def _checked(self, here: str, uri: str) -> tuple[str, int, str, str]:
        try:
            parts = urlsplit(here)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise AccessDenied(f"{shown(uri)}: not a web address ({error})", uri=uri) from None
        scheme = parts.scheme.lower()
        if scheme not in ("http", "https") or not host:
            raise AccessDenied(
                f"{shown(uri)} leads to {scheme or 'nowhere'}; only http and https are followed", uri=uri
            )
        if parts.username is not None or parts.password is not None:
            raise AccessDenied(f"{shown(uri)}: user names in addresses are not used here", uri=uri)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not target.isascii() or any(ord(c) < 33 for c in target):
            raise AccessDenied(f"{shown(uri)}: the address has characters that must be percent-encoded", uri=uri)
        try:
            name = host.encode("idna").decode() if not host.isascii() else host
        except UnicodeError:
            raise AccessDenied(f"{shown(uri)}: the host name is not valid", uri=uri) from None
        return name, port or (443 if scheme == "https" else 80), target, scheme

    def _addresses(self, host: str, port: int, uri: str) -> list[str]:
        resolve = self._resolve if self._resolve is not None else socket.getaddrinfo
        try:
            rows = resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise StorageError(f"{shown(uri)}: the host {host} is not known ({error})", uri=uri) from None
        found = list(dict.fromkeys(str(row[4][0]) for row in rows))
        for text in found:
            if not self.hosts.allows(host, ipaddress.ip_address(text)):
                raise AccessDenied(
                    f"{shown(uri)}: {host} is at an address that this server may not read; "
                    "an operator can allow it with --read-host",
                    uri=uri,
                )
        return found


def _host_header(host: str, port: int, scheme: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == (443 if scheme == "https" else 80) else f"{name}:{port}"
