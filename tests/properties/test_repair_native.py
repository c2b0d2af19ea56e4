"""The compiled repair gives the same bits as the NumPy one: any planes, legends, sizes, samplings and parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import kernels
from smalti.kernels.reference.repair import MAX_COLORS, RepairParameters, repair

pytestmark = pytest.mark.skipif(not kernels.IS_NATIVE, reason="no compiled kernels in this build")


@st.composite
def pictures(draw):
    """Planes of a blocky scene with noise, its legend, and a size that may be odd or empty."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(0, 33)), draw(st.integers(0, 33))
    cell, grain = draw(st.sampled_from([1, 2])), draw(st.integers(1, 9))
    colors = rng.integers(0, 256, (draw(st.integers(1, 12)), 3)).astype(np.uint8)
    coarse = rng.integers(0, len(colors) + draw(st.integers(0, 1)), (height // grain + 1, width // grain + 1))
    labels = coarse.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width]
    foreign = rng.integers(0, 256, (1, 3)).astype(np.uint8)  # a colour that the legend may lack
    picture = np.concatenate([colors, foreign])[labels] + rng.normal(0, draw(st.sampled_from([0, 1, 3, 20])), (1, 1, 3))
    picture = picture + rng.normal(0, draw(st.sampled_from([0, 1, 6])), picture.shape)
    samples = np.clip(picture, 0, 255).astype(np.uint8)
    chroma = samples[::cell, ::cell]
    return samples[..., 0], chroma[..., 1], chroma[..., 2], colors


numbers = st.builds(
    lambda variances, **others: RepairParameters(variance_least=variances[0], variance_most=variances[1], **others),
    variances=st.tuples(st.integers(1, 300), st.integers(1, 300)).map(sorted),
    tolerance_luma=st.integers(0, 12),
    tolerance_chroma=st.integers(0, 12),
    support=st.one_of(st.integers(0, 10), st.integers(250, 270)),
    radius=st.integers(0, 8),
    luma_variance=st.integers(1, 200),
    chroma_variance=st.integers(1, 200),
    luma_cap=st.integers(0, 5000),
    chroma_cap=st.integers(0, 5000),
    smooth=st.integers(0, 60),
    smooth_diagonal=st.integers(0, 60),
    new_label=st.integers(0, 600),
    rare_label=st.integers(0, 300),
    rare_below=st.integers(0, 40),
    sweeps=st.integers(0, 5),
    vertical_tap=st.sampled_from([0, 4, 8]),
    alien=st.integers(0, 80),
    noise_luma=st.sampled_from([0, 16, 40, 90]),
    noise_chroma=st.integers(0, 90),
)


def compare(y, cb, cr, colors, parameters=None):
    found, counts = kernels.repair(y, cb, cr, colors, parameters)
    expected, expected_counts = repair(y, cb, cr, colors, parameters)
    assert np.array_equal(found, expected)
    assert counts.tolist() == expected_counts.tolist()
    assert counts.sum() == y.size
    assert (found == 0).sum() == counts[3]


@given(pictures())
@settings(max_examples=80, deadline=None)
def test_same_bits_with_the_defaults(picture):
    compare(*picture)


@given(pictures(), numbers)
@settings(max_examples=80, deadline=None)
def test_same_bits_with_any_parameters(picture, parameters):
    compare(*picture, parameters)


def test_same_bits_with_the_largest_legend_and_noise_everywhere():
    rng = np.random.default_rng(7)
    y, cb, cr = (rng.integers(0, 256, shape).astype(np.uint8) for shape in ((31, 40), (16, 20), (16, 20)))
    compare(y, cb, cr, rng.integers(0, 256, (MAX_COLORS, 3)).astype(np.uint8))


def test_same_bits_for_planes_that_are_views():
    rng = np.random.default_rng(8)
    big = rng.integers(0, 4, (50, 60)).astype(np.uint8) * 60
    colors = np.array([[0, 60, 60], [60, 0, 60], [180, 60, 0]], np.uint8)
    compare(big[1:41:2, 3:43:2], big[:20, :40:2], big[::-1, ::-1][:20, :20], colors)
    read_only = big[:20, :20].copy()
    read_only.flags.writeable = False
    compare(read_only, read_only, read_only, colors)


def test_the_compiled_repair_refuses_parameters_that_contradict_each_other():
    from smalti.kernels import _native

    y, chroma, colors = np.zeros((4, 6), np.uint8), np.zeros((2, 3), np.uint8), np.zeros((1, 3), np.uint8)
    parameters = RepairParameters().as_array()
    room = np.zeros((4, 6), np.uint8), np.zeros(4, np.int64)
    _native.repair(y, chroma, chroma, 6, 2, colors, parameters, *room)
    parameters[-2:] = 1, 0
    with pytest.raises(ValueError):
        _native.repair(y, chroma, chroma, 6, 2, colors, parameters, *room)
