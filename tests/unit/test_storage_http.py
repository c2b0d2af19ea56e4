"""Servers of every temper."""

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.web import Web

from smalti import storage as st
from smalti.errors import AccessDenied, StorageError

pytestmark = pytest.mark.usefixtures("bare_environment")

QUICK = st.Storage(timeout_s=5, retries=2, cache=None)
BIG = bytes(range(256)) * 8000  # 2 MB


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (403, AccessDenied, r"access denied \(403 Forbidden\)"),
        (401, AccessDenied, r"access denied \(401"),
        (404, FileNotFoundError, "no such object"),
        (410, FileNotFoundError, "no such object"),
        (400, StorageError, "answered 400 Bad Request; check the address"),
        (418, StorageError, "answered 418"),
        (500, StorageError, "answered 500.*in trouble: try later"),
        (503, StorageError, "answered 503.*in trouble: try later"),
        (429, StorageError, "answered 429.*try later"),
    ],
)
def test_a_status_is_said_in_words(web: Web, status: int, kind: type[OSError], said: str) -> None:
    uri = web.put("x.png", b"x", statuses=[status] * 9)
    for verb in (st.fetch, st.open_uri, st.size):
        with pytest.raises(kind, match=said) as caught:
            verb(uri, storage=st.Storage(retries=0, cache=None))
        assert uri in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_server_in_trouble_is_asked_again(web: Web) -> None:
    uri = web.put("x.png", b"fine", statuses=[500, 503])
    assert st.fetch(uri, storage=QUICK) == b"fine"
    assert len(web.asked("x.png")) == 3


@pytest.mark.parametrize("etag", [True, False])
def test_an_answer_that_breaks_off_is_asked_for_again(web: Web, etag: bool) -> None:
    uri = web.put("x.bin", BIG, cuts=2, etag=etag)
    assert st.fetch(uri, storage=QUICK) == BIG
    assert len(web.asked("x.bin")) == 3
    uri = web.put("y.bin", BIG, cuts=9)
    with pytest.raises(StorageError, match="broke before all bytes came"):
        st.fetch(uri, storage=QUICK)


@pytest.mark.parametrize("etag", [True, False])
def test_a_copy_that_breaks_off_is_made_again(web: Web, tmp_path: Path, etag: bool) -> None:
    cached = st.Storage(retries=2, cache=st.Cache(tmp_path))
    assert st.local_path(web.put("x.bin", BIG, cuts=2, etag=etag), storage=cached).read_bytes() == BIG
    with pytest.raises(StorageError, match="broke before all bytes came"):
        st.local_path(web.put("y.bin", BIG, cuts=9), storage=cached)
    assert st.cache_info(cached).files == 1  # type: ignore[union-attr]
    assert list((tmp_path / "v1" / "tmp").iterdir()) == []


def test_silence_ends_in_a_timeout(web: Web) -> None:
    uri = web.put("x.png", b"x", silent=True)
    impatient = st.Storage(timeout_s=0.2, retries=1, cache=None)
    for verb in (st.fetch, st.open_uri, st.size):
        with pytest.raises(StorageError, match=r"timeout.*SMALTI_TIMEOUT_S"):
            verb(uri, storage=impatient)


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(StorageError, match="connection refused"):
        st.fetch(f"http://127.0.0.1:{port}/x.png", storage=st.Storage(retries=0, cache=None))


def test_a_plain_server_is_not_tls(web: Web) -> None:
    with pytest.raises(StorageError):
        st.fetch(web.put("x", b"x").replace("http:", "https:"), storage=st.Storage(retries=0, timeout_s=2, cache=None))


def test_redirects_are_followed(web: Web) -> None:
    web.put("real.bin", BIG)
    uri = web.put("moved.bin", b"", location="/real.bin")
    assert st.fetch(uri, storage=QUICK) == BIG
    with st.open_uri(uri, storage=QUICK) as file:
        file.seek(-10, 2)
        assert file.read() == BIG[-10:]
    loop = web.put("loop", b"", location="/loop")
    with pytest.raises(StorageError):
        st.fetch(loop, storage=st.Storage(retries=0, cache=None))


def test_addresses_with_a_query_are_sent_letter_by_letter(web: Web) -> None:
    uri = web.put("a.png?sig=x/y+z&n=1", b"signed")
    assert st.fetch(uri, storage=QUICK) == b"signed"
    assert st.size(uri, storage=QUICK) == 6
    odd = web.put("a//b.png", b"odd")
    assert st.fetch(odd, storage=QUICK) == b"odd"
    with pytest.raises(FileNotFoundError) as caught:
        st.fetch(f"{web.origin}/b.png?sig=secret", storage=QUICK)
    assert "secret" not in str(caught.value)


def test_a_page_without_a_length_is_read_to_its_end(web: Web, tmp_path: Path) -> None:
    uri = web.put("made.bin", BIG[:5500], chunked=True)
    cached = st.Storage(cache=st.Cache(tmp_path))
    assert st.fetch(uri, storage=QUICK) == BIG[:5500]
    assert st.size(uri, storage=QUICK) == 5500
    assert st.local_path(uri, storage=cached).read_bytes() == BIG[:5500]
    with st.open_uri(uri, storage=QUICK) as file:
        file.seek(1000)
        assert file.read(10) == BIG[1000:1010]
    with pytest.raises(StorageError, match="at most 2000"):
        st.fetch(uri, storage=st.Storage(max_bytes=2000, cache=None))


def test_a_page_without_a_length_may_have_any_name_and_may_break_off(web: Web) -> None:
    assert st.fetch(web.put("ü b.bin", b"made", chunked=True), storage=QUICK) == b"made"
    with pytest.raises(StorageError, match="broke before all bytes came"):
        st.fetch(web.put("cut.bin", BIG, chunked=True, cuts=9), storage=QUICK)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind: Connect, ConnectError("dns error", "failed to lookup address")', "host name is unknown"),
        ("kind: Connect, invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("Error performing GET https://h/x?sig=HUSH in 1ms - odd", "Error performing GET the server in 1ms"),
        ("status code: 301 Moved: <Code>PermanentRedirect</Code>", r"PermanentRedirect.*AWS_REGION"),
        ("status code: 400 Bad Request: <Code>ExpiredToken</Code>", r"access denied \(400 ExpiredToken"),
        ("Error performing PUT http://169.254.169.254/latest/api/token - 403", "no credentials were found"),
    ],
)
def test_what_the_library_says_is_put_in_words(text: str, said: str) -> None:
    from obstore.exceptions import GenericError

    from smalti.storage.faults import explain

    fault = explain(st.parse_uri("s3://bucket/key"), GenericError(text))
    assert isinstance(fault, StorageError)
    assert re.search(said, str(fault))
    assert "HUSH" not in str(fault)


def test_a_server_without_head_still_tells_the_size(web: Web) -> None:
    assert st.size(web.put("x.bin", BIG, head=False), storage=QUICK) == len(BIG)
    assert web.sent < 1000
    assert st.exists(web.put("y.bin", BIG, head=False, ranges=False), storage=QUICK)


def test_a_server_without_ranges_is_read_whole_and_it_is_noted(web: Web) -> None:
    uri = web.put("x.bin", BIG, ranges=False)
    with st.open_uri(uri, storage=QUICK) as file:
        assert isinstance(file, st.RemoteFile)
        assert file.note is not None
        assert "does not send ranges" in file.note
        file.seek(1_000_000)
        assert file.read(3) == BIG[1_000_000:1_000_003]
        assert file.bytes_fetched == len(BIG)


def test_only_the_ranges_that_are_read_are_sent(web: Web) -> None:
    uri = web.put("x.bin", BIG)
    with st.open_uri(uri, storage=QUICK) as file:
        assert isinstance(file, st.RemoteFile)
        assert file.note is None
        file.seek(-1000, os.SEEK_END)
        assert file.read(200) == BIG[-1000:-800]
        file.seek(900_000)
        assert file.read(10) == BIG[900_000:900_010]
        file.seek(900_020)
        file.read(10)
        assert file.requests == len(web.asked("x.bin")) == 3
        assert file.bytes_fetched == web.sent < 3 * 128 * 1024 + 1


def test_reading_forward_asks_for_more_at_a_time(web: Web) -> None:
    uri = web.put("x.bin", BIG * 3)
    with st.open_uri(uri, storage=QUICK) as file:
        assert isinstance(file, st.RemoteFile)
        got = b"".join(iter(lambda: file.read(10_000), b""))
        assert got == BIG * 3
        assert file.bytes_fetched == len(BIG) * 3
        assert file.requests < 12  # 47 blocks


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(web: Web) -> None:
    uri = web.put("x.bin", BIG)
    with st.open_uri(uri, storage=QUICK) as file:
        file.read(10)
        web.put("x.bin", BIG[::-1])
        file.seek(1_000_000)
        with pytest.raises(StorageError, match="replaced while it was being read"):
            file.read(10)


def test_pillow_reads_through_an_open_file(web: Web) -> None:
    import io

    from PIL import Image

    picture = Image.effect_noise((300, 200), 80)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    with st.open_uri(web.put("n.png", buffer.getvalue()), storage=QUICK) as file, Image.open(file) as read:
        assert read.tobytes() == picture.tobytes()


def test_equal_addresses_are_fetched_once(web: Web) -> None:
    uris = [web.put("a", b"A"), web.put("b", b"B"), f"{web.origin}/none"] * 5
    got = st.fetch_many(uris, storage=QUICK)
    assert [g if isinstance(g, bytes) else type(g) for g in got] == [b"A", b"B", FileNotFoundError] * 5
    assert sorted(path for _, path, _ in web.requests) == ["a", "b", "none"]


def test_no_more_than_so_many_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from smalti.storage import access

    at_once, most, lock, met = 0, 0, threading.Lock(), threading.Barrier(3)

    def slow(uri: str, *, storage: st.Storage) -> bytes:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        met.wait(20)  # all three threads must be here at the same time, or this breaks
        with lock:
            at_once -= 1
        return uri.encode()

    monkeypatch.setattr(access, "fetch", slow)
    names = [f"/{n}" for n in range(12)]
    assert st.fetch_many(names, concurrency=3, storage=QUICK) == [n.encode() for n in names]
    assert most == 3


def test_after_a_fork_remote_stores_say_so_instead_of_hanging() -> None:
    code = """
import os, sys
from smalti import storage as st
st.put("memory://m/x", b"1")
sys.stdout.flush()
child = os.fork()
if child == 0:
    try:
        st.fetch("memory://m/x")
    except st.access.StorageError as fault:
        print(fault)
    print(st.fetch(sys.argv[1]).decode(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    path = os.pathsep.join(p for p in sys.path if p)
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(here)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert "was forked" in done.stdout
    assert "spawn" in done.stdout
    assert here.read_text() in done.stdout  # plain files go on working
