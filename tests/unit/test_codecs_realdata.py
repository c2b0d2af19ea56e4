"""Real files: PngSuite, odd formats and hostile ones, against Pillow, against their own twins, and within bounds."""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smalti.codecs import decode_still, sniff
from smalti.codecs.png import decode_png
from smalti.codecs.show import to_rgb
from smalti.errors import DecodeError, SmaltiError

pytestmark = pytest.mark.realdata

# Pillow 13 refuses these two over ancillary chunks that libpng skips with a warning.
PILLOW_REFUSES = {"cicp_pq.png", "issue#430.png"}


def pictures(folder: Path) -> list[Path]:
    return [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0].isalnum() and path.suffix != ".md"
    ]


def pngs(folder: Path) -> list[Path]:
    return [path for path in pictures(folder) if path.suffix == ".png"]


def is_spoilt(path: Path) -> bool:
    return path.name.startswith("x_") or (path.name[0] == "x" and path.parent.name == "pngsuite")


def assert_as_pillow(data: bytes, name: str) -> None:
    raster = decode_still(data)
    assert raster.data is not None, name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Image.open(io.BytesIO(data))
        theirs.load()
    samples = np.asarray(theirs)
    if raster.bits == 16 and theirs.mode in ("RGB", "RGBA", "LA"):
        # Pillow keeps the upper byte of 16-bit samples with several channels.
        ours = raster.data.reshape(*raster.data.shape[:2], -1)
        if raster.alpha is not None and theirs.mode != "RGB":
            ours = np.dstack([ours, raster.alpha])
        if samples.shape[2] != ours.shape[2]:  # grey and alpha of 16 bits become RGBA there
            ours = ours[..., [0, 0, 0, 1]]
        assert np.array_equal(ours >> 8, samples), name
    elif theirs.mode in ("RGBA", "LA"):
        assert raster.alpha is not None, name
        assert np.array_equal(np.dstack([raster.data, raster.alpha]), samples), name
    elif raster.bits in (2, 4) and theirs.mode == "L":
        assert np.array_equal(raster.data * (255 // ((1 << raster.bits) - 1)), samples), name
    else:
        assert np.array_equal(raster.data, samples), name
    if theirs.mode == "P":
        assert raster.palette is not None, name
        flat = theirs.getpalette("RGB") or []
        used = min(len(flat), raster.palette.size)
        assert raster.palette.ravel()[:used].tolist() == flat[:used], name


def test_pngsuite_agrees_with_pillow(realdata: Path) -> None:
    seen = 0
    for path in pngs(realdata / "pngsuite"):
        if is_spoilt(path):
            with pytest.raises(DecodeError):
                decode_png(path.read_bytes())
        elif path.name not in PILLOW_REFUSES:
            assert_as_pillow(path.read_bytes(), path.name)
            seen += 1
    assert seen > 120


def test_files_that_pillow_refuses_are_read(realdata: Path) -> None:
    """As libpng reads them. Once the damaged chunks are cut out, Pillow gives the same samples."""
    for name in PILLOW_REFUSES:
        data = (realdata / "pngsuite" / "bugfixes" / name).read_bytes()
        raster = decode_png(data)
        kept, offset = bytearray(data[:8]), 8
        while offset < len(data):
            length = int.from_bytes(data[offset : offset + 4], "big")
            if data[offset + 4 : offset + 8] in (b"IHDR", b"IDAT", b"IEND"):
                kept += data[offset : offset + 12 + length]
            offset += 12 + length
        samples = np.asarray(Image.open(io.BytesIO(kept)))
        assert np.array_equal(to_rgb(raster), samples[..., :3])
        assert any("wrong CRC" in note for note in raster.notes)


def test_odd_formats_agree_with_pillow_or_are_refused(realdata: Path) -> None:
    refused = set()
    for path in pictures(realdata / "formats_misc"):
        data = path.read_bytes()
        try:
            raster = decode_still(data, content_type=path.suffix)
        except SmaltiError:
            refused.add(path.name)
            continue
        if path.suffix in (".tif", ".tiff"):
            assert_tiff_as_pillow(data, path.name)
        elif path.suffix == ".png":
            assert_as_pillow(data, path.name)
        elif raster.mode == "ycc" or path.suffix == ".gif" or raster.alpha is not None:
            with Image.open(io.BytesIO(data)) as theirs:
                assert np.array_equal(to_rgb(raster), np.asarray(theirs.convert("RGBA"))[..., :3]), path.name
        elif path.suffix != ".tga":
            with Image.open(io.BytesIO(data)) as theirs:
                assert np.array_equal(to_rgb(raster), np.asarray(theirs.convert("RGB"))), path.name
    # What Pillow itself refuses: bit fields, depths and headers that are rare, and 10 pages of three colours in one.
    assert refused == {"rgb32bf.bmp", "pal2.bmp", "pal8os2v2-16.bmp", "pal8oversizepal.bmp", "multipage_rgb.tif"}


# How Pillow turned a picture of orientation 2, 4, 6 and 8, undone.
UNTURNED = {
    2: lambda a: a[:, ::-1],
    4: lambda a: a[::-1],
    6: lambda a: np.rot90(a, 1),
    8: lambda a: np.rot90(a, -1),
}


def assert_tiff_as_pillow(data: bytes, name: str) -> None:
    raster = decode_still(data)
    assert raster.data is not None
    with Image.open(io.BytesIO(data)) as theirs:
        samples = np.asarray(theirs)
    if raster.orientation != 1:
        samples = UNTURNED[raster.orientation](samples)
    ours = raster.data >> 8 if raster.mode == "rgb" and raster.bits == 16 else raster.data
    if raster.bits == 4:
        ours = ours * 17
    assert np.array_equal(ours, samples), name


def test_one_picture_in_many_formats(realdata: Path) -> None:
    folder = realdata / "formats_misc" / "wuffs"
    for stem in ("hippopotamus", "bricks-nodither"):
        shown = {
            path.name: to_rgb(decode_still(path.read_bytes(), content_type=path.suffix))
            for path in pictures(folder)
            if path.name.startswith(stem) and path.suffix != ".pgm" and "masked" not in path.name
        }
        assert len(shown) >= 3
        lossless = [rgb for name, rgb in shown.items() if not name.endswith(".gif")]
        assert all(np.array_equal(rgb, lossless[0]) for rgb in lossless[1:]), list(shown)


def test_orientation_of_photos(realdata: Path) -> None:
    for orientation in range(2, 9):
        path = realdata / "formats_misc" / "pillow" / f"hopper_orientation_{orientation}.jpg"
        assert decode_still(path.read_bytes()).orientation == orientation
    assert decode_still((realdata / "formats_misc/pillow/avif/rot0mir1.avif").read_bytes()).orientation == 2


def test_real_masks_keep_their_numbers(realdata: Path) -> None:
    """One of each kind that people have, read by Pillow in the test."""
    for name in (
        "voc/fcn_demo/label.png",
        "drive_gif_tiff/drive/21_manual1.gif",
        "suim_bmp/masks/d_r_47_.bmp",
        "tiff_instance_stardist/mask2d.tif",
    ):
        assert_as_pillow((realdata / name).read_bytes(), name)
    for folder in ("cityscapes", "bdd100k_rgba", "coco_panoptic", "davis17_palette", "cityscapes_small"):
        for path in pngs(realdata / folder)[:12]:
            assert_as_pillow(path.read_bytes(), path.name)


def test_clips_are_told_from_stills(realdata: Path) -> None:
    for path in sorted((realdata / "videos").rglob("*")):
        if path.suffix in (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v"):
            with path.open("rb") as file:
                assert (sniff(file.read(4096)) or "").startswith("video/"), path.name


BOUNDED = """
import resource, sys, warnings
from pathlib import Path
warnings.simplefilter("error")
from PIL import Image
from smalti.codecs import decode_still
from smalti.errors import SmaltiError
decode_still(Path(sys.argv[2]).read_bytes())  # libraries are loaded before the bound is set
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (96 << 20), size + (96 << 20)))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file() and path.suffix != ".md":
        try:
            raster = decode_still(path.read_bytes(), content_type=path.suffix)
            print(path.name, "read", *raster.size_hw)
        except SmaltiError as error:
            assert not isinstance(error.__cause__, MemoryError), path
            print(path.name, "refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="bounds are read from /proc")
def test_hostile_files_within_96_mebibytes_and_without_a_warning(realdata: Path) -> None:
    """All of them in one process that may take 96 MiB and 20 s of processor time, with warnings as errors."""
    command = [sys.executable, "-c", BOUNDED, str(realdata / "hostile"), str(realdata / "suim_bmp/masks/d_r_47_.bmp")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcome = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert len(outcome) == len(pictures(realdata / "hostile"))
    for name in ("reallybig.bmp", "decompression_bomb.gif", "badcrc.png", "truncated_image.png", "huge_IDAT.png"):
        assert outcome[name] == ["refused"], name
    assert outcome["padded_idat.png"] == ["read", "10", "256"]


def test_hostile_files_are_what_pillow_says(realdata: Path) -> None:
    """Where both read a file, they read the same."""
    both = 0
    for path in pictures(realdata / "hostile"):
        data = path.read_bytes()
        try:
            raster = decode_still(data, content_type=path.suffix)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(data)) as picture:
                    picture.load()
                    theirs = np.asarray(picture if picture.mode in ("P", "1", "L") else picture.convert("RGBA"))
        except (SmaltiError, OSError):
            continue
        ours = (
            raster.data
            if raster.mode != "ycc" and raster.data is not None and raster.data.ndim == 2
            else to_rgb(raster)
        )
        assert np.array_equal(ours, theirs if theirs.ndim == 2 else theirs[..., :3]), path.name
        both += 1
    assert both > 25
