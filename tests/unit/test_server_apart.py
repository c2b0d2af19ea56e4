"""Decoding in processes of their own: the same answers, and files that break a decoder break nothing else."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.serving import make_store, site

from smalti.codecs.limits import Limits
from smalti.errors import DecodeError
from smalti.server.apart import Apart
from smalti.server.stills import Stills

LIMITS = Limits(max_pixels=1 << 24)
RGB = np.random.default_rng(1).integers(0, 256, (300, 500, 3), np.uint8)


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    found = Apart(LIMITS, 1)
    yield found
    found.close()


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, kind)
    return out.getvalue()


def test_answers_are_those_of_this_process(apart: Apart) -> None:
    here = Stills(LIMITS)
    for kind, data in (("image/png", encoded("PNG")), (None, encoded("TIFF")), ("image/jpeg", encoded("JPEG"))):
        ours, theirs = here.whole(data, kind), apart.whole(data, kind)
        assert (theirs.mode, theirs.content_type, theirs.size_hw) == (ours.mode, ours.content_type, ours.size_hw)
        if ours.data is not None:
            assert np.array_equal(theirs.data, ours.data)
        else:
            assert all(np.array_equal(a, b) for a, b in zip(theirs.planes or (), ours.planes or (), strict=True))
    small, full = apart.small_jpeg(encoded("JPEG"), 64)
    expected, full_here = here.small_jpeg(encoded("JPEG"), 64)
    assert full == full_here == (300, 500)
    assert np.array_equal(small, expected)


def test_faults_come_back_as_faults(apart: Apart) -> None:
    with pytest.raises(DecodeError, match="damaged"):
        apart.small_jpeg(encoded("JPEG")[:400], 64)
    with pytest.raises(DecodeError):
        apart.whole(b"nothing that anybody knows", None)
    assert apart.whole(encoded("PNG"), None).size_hw == (300, 500)


def test_a_worker_that_dies_is_replaced(apart: Apart) -> None:
    apart.whole(encoded("PNG"), None)
    (worker,) = apart._alive
    worker.process.kill()
    worker.process.join(10)
    with pytest.raises(DecodeError, match="died"):
        apart.whole(encoded("PNG"), None)
    assert np.array_equal(apart.whole(encoded("PNG"), None).data, RGB)


def test_a_picture_that_takes_too_long_is_given_up(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    apart.whole(encoded("PNG"), None)
    with monkeypatch.context() as hasty:
        hasty.setattr(apart, "_timeout_s", 0.0)
        with pytest.raises(DecodeError, match="longer than"):
            apart.whole(encoded("TIFF"), None)
    assert not apart._alive
    assert np.array_equal(apart.whole(encoded("PNG"), None).data, RGB)


@pytest.mark.skipif(sys.platform != "linux", reason="bounds on address space are asked of Linux")
def test_memory_is_bounded() -> None:
    code = (
        "from smalti.server.apart import _bound; import numpy as np; _bound(64 << 20)\n"
        "np.ones(16 << 20, np.uint8)\n"
        "try:\n    np.ones(256 << 20, np.uint8)\nexcept MemoryError:\n    print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"


def test_only_strangers_files_are_decoded_apart(tmp_path: Path) -> None:
    make_store(tmp_path, 1).close()
    with site(tmp_path) as own:
        assert type(own.server.service.pictures.stills) is Stills
    with site(tmp_path, host="0.0.0.0") as shared:
        assert isinstance(shared.server.service.pictures.stills, Apart)
        shared.get("/versions/street@v1/frames/f0/sources/front/image?fmt=jpeg")
        assert len(shared.server.service.pictures.stills._alive) == 1


@pytest.mark.realdata
def test_hostile_files_end_no_worker(realdata: Path) -> None:
    apart, here = Apart(LIMITS, 1), Stills(LIMITS)
    apart.whole(encoded("PNG"), None)
    before = set(apart._alive)
    try:
        for path in sorted((realdata / "hostile").rglob("*")):
            if not path.is_file():
                continue
            data, outcomes = path.read_bytes(), []
            for stills in (here, apart):
                try:
                    outcomes.append(stills.whole(data, None).size_hw)
                except DecodeError as error:
                    outcomes.append(type(error))
            assert outcomes[0] == outcomes[1], path.name
        assert apart._alive == before
    finally:
        apart.close()
