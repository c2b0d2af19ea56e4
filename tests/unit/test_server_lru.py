"""What is kept in memory and on disk, and for how long."""

import os
import threading
from pathlib import Path

from smalti.server.lru import Folder, Lru


def test_the_oldest_makes_room() -> None:
    kept: Lru[bytes] = Lru(10, len)
    for name in "abc":
        kept.put(name, bytes(4))
        kept.get("a")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (bytes(4), None, bytes(4))
    assert kept.bytes == 8
    kept.put("huge", bytes(11))
    assert kept.get("huge") is None
    kept.put("a", bytes(1))
    assert kept.bytes == 5


def test_of_many_who_ask_at_once_one_makes_it() -> None:
    kept: Lru[bytes] = Lru(100, len)
    made: list[int] = []
    gate = threading.Barrier(4)

    def make() -> bytes:
        made.append(1)
        return b"x"

    def ask() -> None:
        gate.wait(10)
        assert kept.get_or("k", make) == b"x"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1


def test_a_maker_that_fails_leaves_nothing_behind() -> None:
    kept: Lru[bytes] = Lru(100, len)
    for _ in range(2):
        try:
            kept.get_or("k", lambda: bytes(1 // 0))
        except ZeroDivisionError:
            continue
    assert kept.get_or("k", lambda: b"good") == b"good"


def test_files_are_kept_up_to_a_size(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "thumbs", 1000)
    for number in range(12):
        key = f"{number:02d}key"
        folder.put(key, bytes(100))
        os.utime(tmp_path / "thumbs" / key[:2] / key[2:], (number, number))
    assert folder.get("11key") == bytes(100)
    assert folder.get("00key") is None
    assert sum(p.stat().st_size for p in (tmp_path / "thumbs").rglob("*") if p.is_file()) <= 1000


def test_a_disk_that_refuses_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    folder = Folder(tmp_path / "file" / "thumbs", 1000)
    folder.put("00key", b"x")
    assert folder.get("00key") is None
