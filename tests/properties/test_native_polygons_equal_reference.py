"""The compiled kernel of polygons equals its NumPy twin, and pycocotools where that is installed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalti.kernels import reference
from smalti.polygons import runs_of_polygons

native = pytest.importorskip("smalti.kernels.native_polygons", reason="the compiled kernels are not built")


@st.composite
def rings(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Corners in and around a picture, often on the same columns and rows; rings and groups may be empty."""
    sizes = draw(st.lists(st.integers(0, 9), max_size=6))
    begins = np.array([0, *np.cumsum(sizes, dtype=np.int64)])
    cuts = sorted(draw(st.lists(st.integers(0, len(sizes)), max_size=4)))
    groups = np.array([0, *cuts, len(sizes)])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    step, reach = draw(st.sampled_from([1, 5, 10])), draw(st.sampled_from([20, 300]))
    return rng.integers(-reach, 2 * reach, (int(begins[-1]), 2)) // step * step, begins, groups


@settings(max_examples=300, deadline=None)
@given(drawn=rings(), size_hw=st.tuples(st.integers(0, 70), st.integers(0, 70)), is_view=st.booleans())
def test_ring_edges(drawn: Any, size_hw: tuple[int, int], is_view: bool) -> None:
    grid, begins, groups = drawn
    if is_view:
        grid = np.ascontiguousarray(grid[::-1])[::-1]
    edges, ends = reference.ring_edges(grid, begins, groups, size_hw)
    found, stops = native.ring_edges(grid, begins, groups, size_hw)
    assert found.dtype == edges.dtype
    np.testing.assert_array_equal(found, edges)
    np.testing.assert_array_equal(stops, ends)
    assert ends[-1] == len(edges)
    for one, two in zip(
        *(b.ring_edges(grid, begins, groups, size_hw, closes=True) for b in (reference, native)), strict=True
    ):
        np.testing.assert_array_equal(two, one)
    for low, high in zip([0, *ends[:-1]], ends, strict=True):
        assert (np.diff(edges[low:high]) > 0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        (np.zeros((3, 2)), np.array([0, 3]), np.array([0, 1]), (4, 4)),
        (np.full((3, 2), 1 << 40), np.array([0, 3]), np.array([0, 1]), (4, 4)),
        (np.zeros((3, 2), np.int64), np.array([0, 2]), np.array([0, 1]), (4, 4)),
        (np.zeros((3, 2), np.int64), np.array([0, 4, 3]), np.array([0, 2]), (4, 4)),
        (np.zeros((3, 2), np.int64), np.array([0, 3]), np.array([0, 2]), (4, 4)),
        (np.zeros((3, 2), np.int64), np.array([0, 3]), np.array([0, 1]), (-1, 4)),
    ],
)
def test_both_refuse_alike(wrong: Any) -> None:
    messages = []
    for build in (reference, native):
        with pytest.raises(ValueError) as refusal:
            build.ring_edges(*wrong)
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # it speaks an older NumPy
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32), corners=st.integers(3, 30), reach=st.sampled_from([8.0, 60.0]), count=st.integers(1, 3)
)
def test_run_lengths_are_those_of_pycocotools(seed: int, corners: int, reach: float, count: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    object_rings = [np.round(rng.random(2 * corners) * reach, 2).tolist() for _ in range(count)]
    theirs = coco.merge(coco.frPyObjects(object_rings, 48, 64))
    wanted = coco.decode(theirs)
    (runs,) = runs_of_polygons([object_rings], (48, 64))
    assert sum(runs) == 48 * 64
    values = np.arange(len(runs)) % 2
    np.testing.assert_array_equal(np.repeat(values, runs).reshape(48, 64, order="F"), wanted)
