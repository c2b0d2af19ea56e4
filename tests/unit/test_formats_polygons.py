"""Polygons: the same pixels as pycocotools, outlines that lead back to the same mask, and nothing that is guessed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from smalti.codecs.rle import mask_of
from smalti.errors import FrameError
from smalti.polygons import area_of_ring, bridged, outline, rasterise, rasterise_many, runs_of_polygons

# pycocotools speaks an older NumPy: not our news.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def theirs(rings: list[list[float]], height: int, width: int) -> np.ndarray:
    return coco.decode(coco.merge(coco.frPyObjects(rings, height, width)))


# Whole pixels, fifths (where the rule rounds), and anything; some of it far outside.
numbers = st.one_of(
    st.integers(-20, 60).map(float),
    st.integers(-100, 300).map(lambda n: n / 5),
    st.floats(-30, 70, allow_nan=False, width=32),
)
rings = st.lists(st.lists(numbers, min_size=6, max_size=16).map(lambda r: r[: len(r) // 2 * 2]), min_size=1, max_size=3)


@settings(max_examples=400, deadline=None)
@given(rings=rings, height=st.integers(1, 45), width=st.integers(1, 45))
def test_pixels_are_those_of_pycocotools(rings: list[list[float]], height: int, width: int) -> None:
    expected = theirs(rings, height, width)
    assert np.array_equal(rasterise(rings, (height, width)), expected)
    assert np.array_equal(rasterise_many([rings], (height, width))[0], expected)
    assert np.array_equal(mask_of(runs_of_polygons([rings], (height, width))[0], (height, width)), expected)


def test_many_objects_at_once_are_each_object_alone() -> None:
    draw = np.random.default_rng(3)
    group = [[(draw.random((9, 2)) * (70, 50)).ravel().tolist() for _ in range(n)] for n in (1, 2, 1, 3)]
    alone = [theirs(rings, 50, 70) for rings in group]
    for found in (rasterise_many(group, (50, 70)), [mask_of(r, (50, 70)) for r in runs_of_polygons(group, (50, 70))]):
        assert all(np.array_equal(one, two) for one, two in zip(found, alone, strict=True))


def test_run_lengths_of_no_pixels_and_of_all() -> None:
    nothing, everything = [[100.0, 100, 120, 100, 120, 120]], [[-5.0, -5, 30, -5, 30, 30, -5, 30]]
    assert runs_of_polygons([nothing, everything], (8, 9)) == [[72], [0, 72]]


def test_rings_add_up_unless_holes_are_asked_for() -> None:
    frame, hole = [0.0, 0, 6, 0, 6, 6, 0, 6], [2.0, 2, 4, 2, 4, 4, 2, 4]
    assert rasterise([frame, hole], (6, 6)).sum() == 36
    inside = rasterise([frame, hole], (6, 6), rule="even-odd")
    assert inside.sum() == 32
    assert not inside[2:4, 2:4].any()


@settings(max_examples=300, deadline=None)
@given(mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)))
def test_outlines_lead_back_to_the_same_mask(mask: np.ndarray) -> None:
    regions = outline(mask)
    every = [ring for outer, holes in regions for ring in [outer, *holes]]
    if not mask.any():
        assert every == []
        return
    assert np.array_equal(rasterise(every, mask.shape, rule="even-odd"), mask)
    assert np.array_equal(rasterise([bridged(every)], mask.shape), mask)
    # Region by region, holes bridged: what a target without holes is given.
    assert np.array_equal(rasterise([bridged([outer, *holes]) for outer, holes in regions], mask.shape), mask)


def test_regions_that_touch_by_a_corner_are_two() -> None:
    assert len(outline(np.eye(2))) == 2
    assert len(outline(np.eye(2)[::-1])) == 2


def test_a_hole_belongs_to_the_smallest_region_around_it() -> None:
    mask = np.ones((9, 9), bool)
    mask[1:8, 1:8] = False
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    holes = sorted((area_of_ring(outer), [area_of_ring(hole) for hole in inner]) for outer, inner in outline(mask))
    assert holes == [(25.0, [1.0]), (81.0, [49.0])]


@pytest.mark.parametrize("ring", [[0, 0, 1, 1], [0, 0, 1, 1, 2], [0, 0, float("nan"), 1, 2, 2], [0, 0, 1e12, 1, 2, 2]])
def test_rings_that_are_none_are_refused(ring: list[float]) -> None:
    with pytest.raises(FrameError, match=r"ring"):
        rasterise([ring], (4, 4))
