"""Files that frames name: only below the folders that were allowed, only regular ones, never through a link."""

import os
from pathlib import Path

import pytest
from tests.web import Web

from smalti.errors import AccessDenied, StorageError
from smalti.server.pinned import Hosts
from smalti.server.safe_io import Doors, Policy, local_parts, open_under


@pytest.fixture
def place(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "a.png").write_bytes(b"good")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return root


def doors(place: Path, **more: object) -> Doors:
    return Doors(Policy(base=place, roots=(place,), hosts=Hosts(public=False), **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form", ["{root}/in/a.png", "file://{root}/in/a.png", "file://localhost{root}/in/a.png", "in/a.png", "./in//a.png"]
)
def test_files_below_the_root_are_read(place: Path, form: str) -> None:
    assert doors(place).read(form.format(root=place)) == b"good"


@pytest.mark.parametrize(
    "form",
    [
        "{root}/../secret",
        "../secret",
        "in/../../secret",
        "file://{root}/../secret",
        "file://{root}/%2e%2e/secret",
        "file://{root}/in/..%2f..%2fsecret",
        "file://host{root}/in/a.png",
        "//host{root}/in/a.png",
        "file:////{root}/in/a.png",
        "{root}/in/a.png#x",
        "{root}/in/a.png?x",
        "file://{root}/in/a.png?x=/../..",
        "{root}/in\\..\\..\\secret",
        "{root}/link",
        "{root}/folder/secret",
        "link",
        "{root}/pipe",
        "{root}/in",
        "{root}",
        "/etc/passwd",
        "file:///etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "memory://x/y",
        "s3://bucket/key",
        "gs://bucket/key",
        "az://container@account/key",
        "s3://127.0.0.1:9000/bucket/key",
        "http://127.0.0.1/x",
    ],
)
def test_everything_else_is_refused(place: Path, form: str) -> None:
    uri = form.format(root=place)
    for read in (doors(place).read, doors(place).open):
        with pytest.raises(StorageError) as caught:
            read(uri)
        assert isinstance(caught.value, AccessDenied) or "//host/" in uri.replace(str(place), "/")


def test_a_nul_is_no_path(place: Path) -> None:
    with pytest.raises(StorageError):
        doors(place).read(f"{place}/in/a.png\0.txt")
    with pytest.raises(AccessDenied):
        local_parts("file:///a%00b")


def test_a_missing_file_is_a_missing_file(place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        doors(place).read(f"{place}/in/b.png")


def test_large_files_are_refused_before_they_are_read(place: Path) -> None:
    with pytest.raises(StorageError, match="at most 3"):
        doors(place, max_bytes=3).read("in/a.png")


def test_a_component_that_becomes_a_link_is_not_followed(place: Path) -> None:
    """What counts is what is opened, not what a check saw before."""
    with pytest.raises(AccessDenied):
        open_under(place, ["folder", "secret"], uri="x", max_bytes=100)
    with open_under(place, ["in", "a.png"], uri="x", max_bytes=100) as file:
        assert file.read() == b"good"


def test_the_owner_reads_own_files_but_no_devices(place: Path) -> None:
    mine = doors(place, own_files=True)
    assert mine.read(str(place.parent / "secret")) == b"secret"
    assert mine.read(str(place / "link")) == b"secret"
    (place / "trick").symlink_to("/proc/self/environ")
    for uri in ("/proc/self/environ", str(place / "trick"), "/dev/zero", str(place / "pipe")):
        with pytest.raises(AccessDenied):
            mine.read(uri)


def test_what_is_added_over_http_stays_below_the_roots(place: Path) -> None:
    mine = doors(place, own_files=True)
    mine.check_new(f"{place}/in/new.png")
    mine.check_new("in/new.png")
    for uri in ("/etc/passwd", f"file://{place}/../secret", str(place.parent / "secret"), "s3://other/key"):
        with pytest.raises(AccessDenied):
            mine.check_new(uri)


def test_buckets_are_allowed_by_prefix(place: Path) -> None:
    listed = doors(place, buckets=("s3://data/masks",))
    listed.check_new("s3://data/masks/a.png")
    for uri in (
        "s3://data/masks2/a.png",
        "s3://data/a.png",
        "s3://host:9000/data/masks/a.png",
        "gs://data/masks/a.png",
    ):
        with pytest.raises(AccessDenied):
            listed.check_new(uri)


def test_a_clip_on_a_web_server_is_read_in_ranges(place: Path, web: Web) -> None:
    data = os.urandom(1 << 20)
    uri = web.put("clip.mp4", data)
    there = Doors(Policy(base=place, roots=(place,), hosts=Hosts(["127.0.0.1"])))
    with there.open(uri) as file:
        file.seek(900_000)
        assert file.read(10) == data[900_000:900_010]
    assert all(asked is not None for asked in web.asked("clip.mp4"))
