"""Web servers that frames name: which may be read, and that the address that was checked is the one that is used."""

import ipaddress
import socket
from typing import Any

import httpcore
import pytest
from tests.web import Web

from smalti.errors import AccessDenied, StorageError
from smalti.server.pinned import Hosts, Pinned, is_public

LOOPBACK = Hosts(["127.0.0.1/32"])


def reader(hosts: Hosts | None = None, **options: Any) -> Pinned:
    return Pinned(hosts if hosts is not None else Hosts(), max_bytes=options.pop("max_bytes", 1 << 20), **options)


def answers(*addresses: str) -> Any:
    """A resolver that gives one more address each time it is asked."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        address = addresses[min(len(asked), len(addresses) - 1)]
        asked.append(host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    resolve.asked = asked  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "192.88.99.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ],
)
def test_every_spelling_of_loopback_is_refused(web: Web, host: str) -> None:
    web.put("a.png", b"secret")
    port = web.origin.rpartition(":")[2]
    with pytest.raises((AccessDenied, StorageError)):
        reader().fetch(f"http://{host}:{port}/a.png")
    assert web.requests == []


def test_listed_networks_and_names_are_read(web: Web) -> None:
    uri = web.put("a.png", b"bytes")
    assert reader(LOOPBACK).fetch(uri) == b"bytes"
    named = Hosts(["pictures.internal"])
    port = web.origin.rpartition(":")[2]
    there = reader(named, resolve=answers("127.0.0.1"))
    assert there.fetch(f"http://pictures.internal:{port}/a.png") == b"bytes"
    with pytest.raises(AccessDenied, match="--read-host"):
        reader(named, resolve=answers("127.0.0.1")).fetch(f"http://other.internal:{port}/a.png")


def test_only_listed_servers_where_the_internet_is_off() -> None:
    with pytest.raises(AccessDenied):
        reader(Hosts(public=False), resolve=answers("93.184.216.34")).fetch("http://example.org/a.png")


def test_one_forbidden_address_among_good_ones_is_enough() -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    with pytest.raises(AccessDenied):
        reader(resolve=resolve).fetch("http://example.org/a.png")


def test_rebinding_a_name_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second answer of the resolver, loopback, is never asked for; the connection goes to the first."""
    dialled: list[str] = []

    def connect(self: Any, host: str, port: int, *args: Any, **options: Any) -> Any:
        dialled.append(host)
        raise httpcore.ConnectError("no network in tests")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    resolve = answers("93.184.216.34", "127.0.0.1")
    with pytest.raises(StorageError, match="does not answer"):
        reader(resolve=resolve).fetch("http://rebound.example/a.png")
    assert dialled == ["93.184.216.34"]
    assert resolve.asked == ["rebound.example"]


def test_a_redirect_is_checked_like_the_first_address(web: Web) -> None:
    uri = web.put("a.png", b"", location="http://169.254.169.254/latest/meta-data")
    with pytest.raises(AccessDenied):
        reader(LOOPBACK).fetch(uri)
    uri = web.put("b.png", b"", location="file:///etc/passwd")
    with pytest.raises(AccessDenied, match="only http and https"):
        reader(LOOPBACK).fetch(uri)


def test_redirects_are_followed_a_few_times(web: Web) -> None:
    web.put("end", b"here")
    for number in range(5):
        web.put(f"hop{number}", b"", location=f"{web.origin}/{'end' if number == 0 else f'hop{number - 1}'}")
    assert reader(LOOPBACK).fetch(f"{web.origin}/hop2") == b"here"
    with pytest.raises(StorageError, match="redirects"):
        reader(LOOPBACK).fetch(f"{web.origin}/hop4")


def test_sizes_are_bounded_before_and_while_reading(web: Web) -> None:
    uri = web.put("big", b"x" * 5000)
    with pytest.raises(StorageError, match="larger"):
        reader(LOOPBACK, max_bytes=4999).fetch(uri)
    uri = web.put("unannounced", b"x" * 5000, chunked=True)
    with pytest.raises(StorageError, match="larger"):
        reader(LOOPBACK, max_bytes=4999).fetch(uri)


@pytest.mark.parametrize(
    "uri", ["http://user:secret@127.0.0.1/a", "http://127.0.0.1:99999/a", "http:///a", "http://[::1/a"]
)
def test_odd_addresses_are_refused(uri: str) -> None:
    with pytest.raises(AccessDenied):
        reader(Hosts(["127.0.0.0/8", "::1"])).fetch(uri)


def test_proxies_of_the_environment_are_not_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert reader(LOOPBACK).fetch(web.put("a.png", b"direct")) == b"direct"


def test_ranges_and_missing_files(web: Web) -> None:
    uri = web.put("clip", bytes(range(200)))
    part = reader(LOOPBACK).fetch_range(uri, 10, 20)
    assert (part.data, part.size) == (bytes(range(10, 20)), 200)
    with pytest.raises(FileNotFoundError):
        reader(LOOPBACK).fetch(f"{web.origin}/none")
