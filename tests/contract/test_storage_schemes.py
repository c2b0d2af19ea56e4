"""The same behaviour wherever bytes lie: files, http, S3, memory."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.s3 import S3Server
from tests.web import Web

from smalti import storage as st
from smalti.errors import StorageError

pytestmark = pytest.mark.usefixtures("bare_environment")

NAMES = ["plain.bin", "sub/deep er/a b.png", "sub/ünï+cødé(1).png", "100%/x%20y.bin", "sub/a&b=c,d;e@f.bin"]


@dataclass
class Shelf:
    """A place to keep objects, filled without the code under test."""

    base: str
    config: st.Storage
    place: Callable[[str, bytes], None]
    writable: bool = True

    def uri(self, name: str) -> str:
        return st.join_uri(self.base, *name.split("/"))


@pytest.fixture(params=["path", "file", "http", "s3", "memory"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """One store of each kind."""
    kind = request.param
    plain = st.Storage(timeout_s=60, retries=1, cache=st.Cache(tmp_path / "cache"))
    if kind in ("path", "file"):
        folder = tmp_path / "a folder"

        def place(name: str, data: bytes) -> None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

        return Shelf(str(folder) if kind == "path" else folder.as_uri(), plain, place)
    if kind == "http":
        web: Web = request.getfixturevalue("web")
        return Shelf(f"{web.origin}/d", plain, lambda name, data: void(web.put(f"d/{name}", data)), writable=False)
    if kind == "memory":
        base = f"memory://{tmp_path.name}/d"
        return Shelf(base, plain, lambda name, data: st.put(st.join_uri(base, name), data, storage=plain))
    s3: S3Server = request.getfixturevalue("s3_server")
    bucket = s3.bucket()
    options = {"access_key_id": "test", "secret_access_key": "test"}
    config = st.Storage(endpoint=s3.endpoint, timeout_s=60, retries=1, cache=plain.cache, options=options)
    return Shelf(f"s3://{bucket}/d", config, lambda name, data: s3.put(bucket, f"d/{name}", data))


def void(_: object) -> None:
    """Nothing."""


def bytes_of(count: int, seed: int = 7) -> bytes:
    """Reproducible noise."""
    return random.Random(seed).randbytes(count)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back_as_it_was_written(shelf: Shelf, name: str) -> None:
    shelf.place(name, b"bytes of " + name.encode())
    uri = shelf.uri(name)
    assert st.fetch(uri, storage=shelf.config) == b"bytes of " + name.encode()
    assert st.exists(uri, storage=shelf.config)
    assert st.size(uri, storage=shelf.config) == len(b"bytes of " + name.encode())
    assert st.local_path(uri, storage=shelf.config).read_bytes() == b"bytes of " + name.encode()


def test_an_empty_object_is_empty_bytes(shelf: Shelf) -> None:
    shelf.place("empty", b"")
    uri = shelf.uri("empty")
    assert st.fetch(uri, storage=shelf.config) == b""
    assert st.size(uri, storage=shelf.config) == 0
    with st.open_uri(uri, storage=shelf.config) as file:
        assert (file.read(), file.seek(0, 2)) == (b"", 0)
    assert st.local_path(uri, storage=shelf.config).read_bytes() == b""


def test_what_is_missing_is_a_file_not_found_error_with_the_uri(shelf: Shelf) -> None:
    uri = shelf.uri("no/such.png")
    for verb in (st.fetch, st.size, st.open_uri, st.local_path, st.stamp):
        with pytest.raises(FileNotFoundError) as caught:
            verb(uri, storage=shelf.config)
        assert uri in str(caught.value)
        assert not isinstance(caught.value, StorageError)
    assert not st.exists(uri, storage=shelf.config)


def test_many_come_in_order_with_errors_in_their_places(shelf: Shelf) -> None:
    for number in range(40):
        shelf.place(f"{number}.bin", bytes_of(number * 50, number))
    uris = [shelf.uri(f"{n}.bin") for n in range(40)]
    uris.insert(3, shelf.uri("absent"))
    got = st.fetch_many(uris, concurrency=8, storage=shelf.config)
    assert isinstance(got.pop(3), FileNotFoundError)
    assert got == [bytes_of(n * 50, n) for n in range(40)]


def test_an_open_file_reads_as_a_real_one(shelf: Shelf, tmp_path: Path) -> None:
    data = bytes_of(700_001)
    shelf.place("big.bin", data)
    (tmp_path / "real").write_bytes(data)
    dice = random.Random(3)
    with st.open_uri(shelf.uri("big.bin"), storage=shelf.config) as ours, (tmp_path / "real").open("rb") as real:
        assert ours.seekable()
        assert ours.readable()
        for _ in range(60):
            whence, n = dice.choice([0, 0, 1, 2]), dice.choice([0, 1, 7, 5000, 150_000, 400_000])
            offset = {0: dice.randrange(720_000), 1: dice.randrange(3000), 2: -dice.randrange(700_001)}[whence]
            assert ours.seek(offset, whence) == real.seek(offset, whence)
            buffer, expected = bytearray(n), bytearray(n)
            assert ours.readinto(buffer) == real.readinto(expected)  # type: ignore[attr-defined]
            assert buffer == expected
            assert ours.read(n) == real.read(n)
            assert ours.tell() == real.tell()
        ours.seek(0)
        assert ours.read() == data
        assert ours.read(5) == b""
    with pytest.raises(ValueError, match="closed"):
        ours.read(1)


def test_a_stamp_changes_with_the_bytes(shelf: Shelf) -> None:
    shelf.place("x.bin", b"old")
    before = st.stamp(shelf.uri("x.bin"), storage=shelf.config)
    assert st.stamp(shelf.uri("x.bin"), storage=shelf.config) == before
    shelf.place("x.bin", b"newer")
    assert st.stamp(shelf.uri("x.bin"), storage=shelf.config) != before


def test_bytes_that_change_are_seen_at_once(shelf: Shelf) -> None:
    for data in (b"first", b"other", b"longer than that", b"first"):
        shelf.place("x.bin", data)
        assert st.fetch(shelf.uri("x.bin"), storage=shelf.config) == data
        assert st.local_path(shelf.uri("x.bin"), storage=shelf.config).read_bytes() == data


def test_what_is_too_large_is_refused_before_it_is_read(shelf: Shelf) -> None:
    shelf.place("x.bin", b"x" * 1001)
    from dataclasses import replace

    for verb in (st.fetch, st.open_uri):
        with pytest.raises(StorageError, match=r"1001 bytes, but at most 1000"):
            verb(shelf.uri("x.bin"), storage=replace(shelf.config, max_bytes=1000))
    assert len(st.fetch(shelf.uri("x.bin"), storage=replace(shelf.config, max_bytes=1001))) == 1001


def test_written_bytes_come_back_and_can_be_removed(shelf: Shelf) -> None:
    uri = shelf.uri("new/folder/a b.bin")
    if not shelf.writable:
        with pytest.raises(StorageError, match="read only"):
            st.put(uri, b"x", storage=shelf.config)
        with pytest.raises(StorageError, match="read only"):
            st.delete(uri, storage=shelf.config)
        return
    st.put(uri, b"one", storage=shelf.config)
    st.put(uri, b"two", content_type="application/x-test", storage=shelf.config)
    assert st.fetch(uri, storage=shelf.config) == b"two"
    with pytest.raises(FileExistsError, match="already"):
        st.put(uri, b"three", overwrite=False, storage=shelf.config)
    assert st.fetch(uri, storage=shelf.config) == b"two"
    st.delete(uri, storage=shelf.config)
    st.delete(uri, storage=shelf.config)  # nothing to remove is fine
    assert not st.exists(uri, storage=shelf.config)
    st.put(uri, b"three", overwrite=False, storage=shelf.config)
    assert st.fetch(uri, storage=shelf.config) == b"three"


def test_a_folder_lists_its_files_as_uris_that_can_be_fetched(shelf: Shelf) -> None:
    if not shelf.writable:
        with pytest.raises(StorageError, match="no list"):
            list(st.list_uris(shelf.uri("m"), storage=shelf.config))
        return
    inside = ["m/a.bin", "m/a/b c.bin", "m/a/ü%20.bin", "m/z/z/z.bin"]
    for name in [*inside, "m2/no.bin", "m.bin"]:
        shelf.place(name, name.encode())
    found = list(st.list_uris(shelf.uri("m"), storage=shelf.config))
    assert found == [shelf.uri(name) for name in inside]
    assert list(st.list_uris(shelf.uri("m") + "/", storage=shelf.config)) == found
    assert st.fetch_many(found, storage=shelf.config) == [name.encode() for name in inside]
    assert list(st.list_uris(shelf.uri("nothing"), storage=shelf.config)) == []


def test_a_scheme_may_be_closed(shelf: Shelf) -> None:
    from dataclasses import replace

    shelf.place("x", b"x")
    closed = replace(shelf.config, schemes=frozenset({"gs"}))
    with pytest.raises(StorageError, match="may not be used here; allowed are gs"):
        st.fetch(shelf.uri("x"), storage=closed)
    got = st.fetch_many([shelf.uri("x")] * 2, storage=closed)
    assert [type(g) for g in got] == [StorageError, StorageError]
