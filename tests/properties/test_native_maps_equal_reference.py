"""Tiles of kept maps and labels of video planes: the compiled kernels against the NumPy ones, and both against plain code."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalti import kernels
from smalti.codecs.raster import Raster
from smalti.codecs.show import plane_tables, to_rgb
from smalti.kernels import PlaneLegend, Tiles, reference
from smalti.kernels.maps import label_counts

pytestmark = pytest.mark.skipif(not kernels.IS_NATIVE, reason="no compiled kernels here")

BUILDS = [kernels, reference]


@st.composite
def label_maps(draw: st.DrawFn) -> NDArray[Any]:
    """Maps from flat to noise, of every dtype, as views that are not contiguous too."""
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.uint32]))
    top = draw(st.sampled_from([1, 2, 40, int(np.iinfo(dtype).max)]))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    coarse = draw(st.integers(1, 16))
    small = rng.integers(0, top + 1, (-(-height // coarse), -(-width // coarse)), dtype=np.uint64).astype(dtype)
    labels = np.kron(small, np.ones((coarse, coarse), dtype))[:height, :width]
    return labels[:, ::-1] if draw(st.booleans()) else labels


@settings(max_examples=120, deadline=None)
@given(
    labels=label_maps(),
    tile=st.integers(1, 40),
    corner=st.tuples(st.integers(0, 69), st.integers(0, 69)),
    data=st.data(),
)
def test_tiles_give_back_every_box(
    labels: NDArray[Any], tile: int, corner: tuple[int, int], data: st.DataObject
) -> None:
    packed = [build.tiles_pack(labels, tile) for build in BUILDS]
    for ours, theirs in zip(*packed, strict=True):
        assert np.array_equal(ours, theirs)
    height, width = labels.shape
    x, y = corner[0] % width, corner[1] % height
    box = (x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    for build in BUILDS:
        out = np.zeros((box[3], box[2]), labels.dtype)
        build.tiles_unpack(packed[0], (height, width), tile, box, out)
        assert np.array_equal(out, labels[y : y + box[3], x : x + box[2]])


@pytest.mark.parametrize("build", BUILDS, ids=["native", "reference"])
def test_a_changed_byte_is_found_in_the_tile_that_has_it_and_nowhere_else(build: Any) -> None:
    labels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) // 9
    tiles = build.tiles_pack(labels, 32)
    broken = Tiles(tiles.packed.copy(), tiles.offsets, tiles.sums)
    broken.packed[int(tiles.offsets[3]) + 5] ^= 1
    out = np.zeros((32, 32), np.uint16)
    build.tiles_unpack(broken, (64, 64), 32, (0, 0, 32, 32), out)
    assert np.array_equal(out, labels[:32, :32])
    with pytest.raises(ValueError):
        build.tiles_unpack(broken, (64, 64), 32, (32, 32, 32, 32), out)


@pytest.mark.parametrize("build", BUILDS, ids=["native", "reference"])
def test_offsets_that_lie_reach_nothing(build: Any) -> None:
    labels = np.zeros((8, 8), np.uint8)
    tiles = build.tiles_pack(labels, 8)
    for offsets in ([0, 1 << 30], [7, 3], [200, 210]):
        lying = Tiles(tiles.packed, np.array(offsets, np.uint32), tiles.sums)
        with pytest.raises(ValueError):
            build.tiles_unpack(lying, (8, 8), 8, (0, 0, 8, 8), np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError):
        build.tiles_unpack(tiles, (8, 8), 8, (1, 0, 8, 8), np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError):
        build.tiles_unpack(tiles, (8, 8), 8, (0, 0, 8, 8), np.zeros((4, 8), np.uint8))


Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def _expected(planes: Planes, colors: NDArray[np.uint8], values: NDArray[np.uint8], limit: int, space: Any) -> Any:
    """Labels, exact and void pixels by the definition: to RGB, then every distance."""
    rgb = to_rgb(Raster("ycc", planes=planes, matrix=space[0], full_range=space[1])).astype(np.int64)
    away = rgb[:, :, None] - colors.astype(np.int64)
    best = (away**2).sum(axis=3).argmin(axis=2)
    worst = np.abs(np.take_along_axis(away, best[:, :, None, None], axis=2)).max(axis=(2, 3))
    labels = np.where(worst <= limit, values[best], 0)
    return labels, int((worst == 0).sum()), int((worst > limit).sum())


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 50), st.integers(1, 90)),
    steps=st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4])),
    seed=st.integers(0, 1 << 30),
    colors=st.integers(1, 40),
    limit=st.sampled_from([0, 10, 60, 255]),
    space=st.sampled_from([("bt601", True), ("bt601", False), ("bt709", False), ("bt2020", True)]),
    flat=st.booleans(),
)
def test_planes_are_labelled_as_pixel_by_pixel_whatever_came_before(
    size: tuple[int, int], steps: tuple[int, int], seed: int, colors: int, limit: int, space: Any, flat: bool
) -> None:
    # Where a picture is smaller than a chroma sample reaches, the step cannot be told: the general way takes it.
    assume(all(-(-side // -(-side // step)) == step for side, step in zip(size, steps, strict=True)))
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 256, (colors, 3)).astype(np.uint8)
    values = rng.permutation(255)[:colors].astype(np.uint8) + np.uint8(1)
    shapes = [size, *[(-(-size[0] // steps[0]), -(-size[1] // steps[1]))] * 2]
    first: list[NDArray[np.uint8]] = [
        np.full(s, rng.integers(0, 256), np.uint8) if flat else rng.integers(0, 256, s).astype(np.uint8) for s in shapes
    ]
    second = [plane.copy() for plane in first]
    for plane in second:
        if rng.integers(0, 2):
            plane[rng.integers(0, plane.shape[0]), rng.integers(0, plane.shape[1])] ^= rng.integers(1, 256).astype(
                np.uint8
            )
    outcomes = []
    for build in BUILDS:
        legend = PlaneLegend(plane_tables(*space), table, values, limit, np.zeros(1 << 24, np.uint16))
        labels, counts = np.zeros(size, np.uint8), label_counts(size)
        before: Planes | None = None
        steps_done = []
        for planes in (first, second):
            now: Planes = (planes[0], planes[1], planes[2])
            steps_done.append(build.label_planes(now, before, legend, labels, counts))
            wanted, exact, void = _expected(now, table, values, limit, space)
            assert np.array_equal(labels, wanted)
            assert counts.sum(axis=(0, 1)).tolist() == [exact, void] == list(steps_done[-1][1:])
            before = now
        places = np.flatnonzero(legend.cells)
        outcomes.append((steps_done, counts.tolist(), places.tolist(), legend.cells[places].tolist()))
    assert outcomes[0] == outcomes[1]
    most = 1 + 2 * steps[0]
    assert outcomes[0][0][1].redone <= most, "one changed sample a plane relabels the stretches that it belongs to"
