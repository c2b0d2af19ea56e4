"""Local copies: found again, checked, evicted, shared by many processes."""

import hashlib
import multiprocessing
import os
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.web import Web

from smalti import storage as st
from smalti.errors import StorageError

pytestmark = pytest.mark.usefixtures("bare_environment")

DATA = bytes(range(256)) * 2000  # 512 kB


@pytest.fixture
def cached(tmp_path: Path) -> st.Storage:
    return st.Storage(retries=0, timeout_s=5, cache=st.Cache(tmp_path / "cache", grace_s=0))


def cache_of(storage: st.Storage) -> st.Cache:
    assert storage.cache is not None
    return storage.cache


def blobs(storage: st.Storage) -> list[Path]:
    return sorted(p for p in (cache_of(storage).folder / "v1" / "blobs").rglob("*") if p.is_file())


@pytest.mark.parametrize("how", [{"etag": True}, {"etag": False, "modified": "Wed, 21 Oct 2015 07:28:00 GMT"}])
def test_what_has_not_changed_is_not_sent_again(web: Web, cached: st.Storage, how: dict[str, object]) -> None:
    uri = web.put("x.png", DATA, **how)
    assert [st.fetch(uri, storage=cached) for _ in range(3)] == [DATA] * 3
    assert len(web.asked("x.png")) == 3
    assert web.sent == len(DATA)
    assert st.local_path(uri, storage=cached).read_bytes() == DATA
    with st.open_uri(uri, storage=cached) as file:
        assert file.read() == DATA
    assert web.sent <= len(DATA) + 128 * 1024  # one block, to ask whether the copy is current
    assert [p.suffix for p in blobs(cached)] == [".png"]


def test_a_server_that_ignores_conditions_is_believed_by_its_etag(web: Web, cached: st.Storage) -> None:
    uri = web.put("x.png", DATA, statuses=[])
    st.fetch(uri, storage=cached)
    before = blobs(cached)
    web.pages["x.png"].data = DATA[::-1]
    assert st.fetch(uri, storage=cached) == DATA[::-1]
    assert len(blobs(cached)) == 2
    assert before[0] in blobs(cached)


def test_what_has_no_validator_is_never_taken_from_the_cache(web: Web, cached: st.Storage) -> None:
    uri = web.put("x.png", DATA, etag=False)
    for data in (b"one", b"two"):
        web.pages["x.png"].data = data
        assert st.fetch(uri, storage=cached) == data
        assert st.local_path(uri, storage=cached).read_bytes() == data


def test_a_copy_is_not_given_to_who_may_not_read_any_more(web: Web, cached: st.Storage) -> None:
    uri = web.put("x.png", DATA)
    st.fetch(uri, storage=cached)
    web.pages["x.png"].statuses = [403, 403]
    with pytest.raises(PermissionError):
        st.fetch(uri, storage=cached)
    with pytest.raises(PermissionError):
        st.local_path(uri, storage=cached)


def test_refresh_reads_again(web: Web, cached: st.Storage) -> None:
    uri = web.put("x.png", DATA)
    st.local_path(uri, storage=cached)
    st.local_path(uri, storage=cached)
    assert web.sent == len(DATA)
    st.local_path(uri, refresh=True, storage=cached)
    assert web.sent == 2 * len(DATA)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "index"])
def test_damage_is_found_and_healed(web: Web, cached: st.Storage, damage: str) -> None:
    uri = web.put("x.bin", DATA)

    def by_fetch() -> bytes:
        return st.fetch(uri, storage=cached)

    def by_path() -> bytes:
        return st.local_path(uri, storage=cached).read_bytes()

    for verb in (by_fetch, by_path):
        assert verb() == DATA
        (blob,) = blobs(cached)
        if damage == "flip":
            blob.write_bytes(DATA[:-1] + b"!")
        elif damage == "cut":
            blob.write_bytes(DATA[:100])
        elif damage == "gone":
            blob.unlink()
        else:
            for path in (cache_of(cached).folder / "v1" / "index").rglob("*"):
                if path.is_file():
                    path.write_bytes(b'{"uri": 3')
        assert verb() == DATA
        assert [p.read_bytes() for p in blobs(cached)] == [DATA]


def test_an_index_file_cannot_lead_out_of_the_folder(cached: st.Storage, tmp_path: Path) -> None:
    cache = cache_of(cached)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    entry = cache.keep([b"secret"], uri="u", address="a", etag="e")
    assert cache.lookup("a") == entry
    (index,) = [p for p in (cache.folder / "v1" / "index").rglob("*") if p.is_file()]
    index.write_bytes(index.read_bytes().replace(entry.blob.encode(), b"../../../../secret"))
    assert cache.lookup("a") is None


def test_equal_bytes_are_kept_once(web: Web, cached: st.Storage) -> None:
    for name in ("a.png", "b.png", "c.png"):
        st.fetch(web.put(name, DATA), storage=cached)
    (blob,) = blobs(cached)
    assert blob.stem == hashlib.blake2b(DATA, digest_size=32).hexdigest()
    info = st.cache_info(cached)
    assert info == st.CacheInfo(cache_of(cached).folder, 1, len(DATA), 10 * 10**9)


def test_the_longest_unused_go_first(web: Web, cached: st.Storage) -> None:
    cached = replace(cached, cache=replace(cache_of(cached), max_bytes=50_000))
    uris = [web.put(f"{n}", bytes([n]) * 10_000) for n in range(6)]
    # By name: reading a copy, as a test would, is a use of it.
    number = {hashlib.blake2b(bytes([n]) * 10_000, digest_size=32).hexdigest(): n for n in range(6)}
    for uri in uris[:4]:
        st.fetch(uri, storage=cached)
    for path in blobs(cached):
        os.utime(path, ns=(10**9 * (number[path.name] + 1), path.stat().st_mtime_ns))
    st.fetch(uris[0], storage=cached)  # used again: now 1 is the oldest
    st.fetch(uris[4], storage=cached)
    st.fetch(uris[5], storage=cached)
    assert {number[p.name] for p in blobs(cached)} == {0, 3, 4, 5}
    info = st.cache_info(cached)
    assert info is not None
    assert info.bytes <= 50_000
    assert len([p for p in (cache_of(cached).folder / "v1" / "index").rglob("*") if p.is_file()]) == 4
    assert st.fetch(uris[1], storage=cached) == bytes([1]) * 10_000


def test_a_path_that_was_just_handed_out_is_not_evicted(web: Web, tmp_path: Path) -> None:
    cached = st.Storage(cache=st.Cache(tmp_path / "c", max_bytes=1, grace_s=3600))
    paths = [st.local_path(web.put(f"{n}", bytes([n]) * 1000), storage=cached) for n in range(3)]
    assert [p.read_bytes()[0] for p in paths] == [0, 1, 2]


def test_clearing_says_what_was_removed(web: Web, cached: st.Storage) -> None:
    st.fetch(web.put("x", DATA), storage=cached)
    st.fetch(web.put("y", DATA[:10]), storage=cached)
    removed = st.clear_cache(cached)
    assert removed is not None
    assert (removed.files, removed.bytes) == (2, len(DATA) + 10)
    assert st.cache_info(cached) == replace(removed, files=0, bytes=0)
    assert st.fetch(f"{web.origin}/x", storage=cached) == DATA
    assert st.cache_info(st.Storage(cache=None)) is None
    assert st.clear_cache(st.Storage(cache=None)) is None


def test_without_a_cache_there_is_no_local_copy(web: Web) -> None:
    with pytest.raises(StorageError, match="set SMALTI_CACHE to a folder"):
        st.local_path(web.put("x", DATA), storage=st.Storage(cache=None))


def test_a_cache_that_cannot_be_written_keeps_no_bytes_from_us(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    broken = st.Storage(cache=st.Cache(tmp_path / "file" / "cache"))
    assert st.fetch(web.put("x", DATA), storage=broken) == DATA
    assert "the cache cannot be written" in caplog.text
    with pytest.raises(StorageError, match="the cache cannot be written"):
        st.local_path(f"{web.origin}/x", storage=broken)


def test_left_overs_of_a_crash_are_swept_up(cached: st.Storage) -> None:
    cache = cache_of(cached)
    cache.keep([b"x"], uri="u")
    old, new = (cache.folder / "v1" / "tmp" / name for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.evict()
    assert (old.exists(), new.exists()) == (False, True)


def test_the_folder_is_for_its_owner_only(cached: st.Storage) -> None:
    cache_of(cached).keep([b"x"], uri="u")
    assert cache_of(cached).folder.stat().st_mode & 0o077 == 0


def test_signatures_are_not_written_down(web: Web, cached: st.Storage) -> None:
    st.fetch(web.put("x.png?sig=SECRET", DATA), storage=cached)
    for path in (cache_of(cached).folder).rglob("*"):
        assert not path.is_file() or b"SECRET" not in path.read_bytes()


def payload(number: int) -> bytes:
    """The bytes of one of the objects that the processes fight over."""
    return random.Random(number).randbytes(2000 + number)


def fight(cache: st.Cache, seed: int) -> tuple[int, int]:
    """Read, write, evict and clear at random. Returns (hits, misses); a wrong byte raises."""
    dice, hits, misses = random.Random(seed), 0, 0
    for step in range(400):
        number = dice.randrange(40)
        address = f"object {number}"
        entry = cache.lookup(address)
        data = cache.read(entry) if entry is not None else None
        if data is None:
            misses += 1
            entry = cache.keep([payload(number)], uri=address, address=address, etag=str(number))
            path = cache.path(entry)
            if path is not None and path.exists():
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue  # evicted since
                assert data == payload(number)
        else:
            hits += 1
            assert data == payload(number)
        if step % 150 == 149:
            cache.clear()
    return hits, misses


def test_many_processes_share_one_folder(tmp_path: Path) -> None:
    cache = st.Cache(tmp_path / "shared", max_bytes=50_000, grace_s=0)
    assert pickle.loads(pickle.dumps(cache)) == cache
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        results = pool.starmap(fight, [(cache, seed) for seed in range(3)])
    assert all(hits > 20 and misses > 20 for hits, misses in results)
    cache.evict()
    assert cache.info().bytes <= 50_000
    for path in (cache.folder / "v1" / "blobs").rglob("*"):
        if path.is_file():
            assert path.name == hashlib.blake2b(path.read_bytes(), digest_size=32).hexdigest()
    assert list((cache.folder / "v1" / "tmp").iterdir()) == []
