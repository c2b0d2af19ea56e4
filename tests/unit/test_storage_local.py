"""Files of this machine."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from smalti import storage as st
from smalti.errors import AccessDenied, StorageError

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_relative_paths_are_read_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    st.put("sub/x.bin", b"here")
    assert (tmp_path / "sub" / "x.bin").read_bytes() == b"here"
    assert st.fetch("sub/x.bin") == b"here"
    assert st.local_path("sub/x.bin") == Path("sub/x.bin")
    assert list(st.list_uris("sub")) == ["sub/x.bin"]
    with pytest.raises(FileNotFoundError, match=rf"subb/x.bin: there is no such file \(looked in {tmp_path}\)"):
        st.fetch("subb/x.bin")


def test_the_nearest_folder_that_exists_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"nearest folder that exists is {tmp_path}$"):
        st.fetch(tmp_path / "masks" / "a.png")


@pytest.mark.parametrize("verb", [st.fetch, st.open_uri, st.size, st.local_path, st.stamp, st.delete])
def test_a_directory_is_not_a_file(tmp_path: Path, verb: object) -> None:
    with pytest.raises(StorageError, match="this is a directory, not a file"):
        verb(tmp_path)  # type: ignore[operator]
    with pytest.raises(StorageError, match="this is a directory, not a file"):
        st.put(tmp_path, b"")
    assert not st.exists(tmp_path)


def test_a_file_on_the_way_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="part of the path is a file"):
        st.fetch(tmp_path / "x" / "y")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="device, pipe or socket"):
        st.fetch(tmp_path / "pipe")
    with pytest.raises(StorageError, match="device, pipe or socket"):
        st.fetch("/dev/zero")


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Not root for a while: root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_permission_denied_is_access_denied(tmp_path: Path, unprivileged: None) -> None:
    with contextlib.suppress(PermissionError):  # where the folder is root's own, it is closed already
        (tmp_path / "x").write_bytes(b"x")
        (tmp_path / "x").chmod(0)
    with pytest.raises(AccessDenied, match="permission denied"):
        st.fetch(tmp_path / "x")


def test_permission_errors_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x").write_bytes(b"x")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AccessDenied, match=r"x: permission denied; check who owns it"):
        st.fetch(tmp_path / "x")


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    st.put(tmp_path / "x", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        st.put(tmp_path / "x", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x": b"old"}


def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    st.put(tmp_path / "ours", b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")}
    assert len(modes) == 1


def test_local_files_are_never_copied_into_the_cache(tmp_path: Path) -> None:
    cached = st.Storage(cache=st.Cache(tmp_path / "cache"))
    (tmp_path / "x").write_bytes(b"x")
    assert st.local_path(tmp_path / "x", storage=cached) == tmp_path / "x"
    assert st.local_path((tmp_path / "x").as_uri(), storage=cached) == tmp_path / "x"
    st.fetch(tmp_path / "x", storage=cached)
    assert not (tmp_path / "cache").exists()


def test_files_being_written_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".x.png.abc.smalti-part").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")
    assert list(st.list_uris(tmp_path)) == [str(tmp_path / ".hidden")]


def test_an_open_local_file_holds_no_lock_on_blocking(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with st.open_uri(tmp_path / "x") as file:
        file.seek(-3, os.SEEK_END)
        assert file.read() == b"789"
