"""The compiled reader of flat objects takes what its NumPy twin takes, and both say what plain Python says."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smalti.kernels import reference
from smalti.query.values import canonical

native = pytest.importorskip("smalti.kernels.native_fold", reason="the compiled kernels are not built")

LONGEST = 5
PIECE = st.sampled_from(
    """{"a": @"b": @1@0@-0@1.5@2.0@-0.0@0.0@-3.0@1234567890123456.0@2.50@0.0001@123456789012345678@1e3@"x"@"a=b"@"\\u0041"@"ä"@true@null@
    @{@}@,@ @{"a":1}
    @{"a":1,"a":2}@[@]@-@.@"@{"k":"long text"}@{"=":1}""".split("@")  # noqa: SIM905
)
VALUE = (
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8) | st.none() | st.booleans()
)
OBJECT = st.dictionaries(st.text("abc=é", max_size=2), VALUE, max_size=4)
TEXT = st.lists(PIECE, max_size=5).map("".join) | OBJECT.map(
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
)


def run(twin: Any, texts: list[str]) -> tuple[list[str], list[int]]:
    raw = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, raw)])
    tokens, ends, counts = twin.flat_tokens(np.frombuffer(b"".join(raw), np.uint8), offsets, LONGEST)
    bounds = [0, *ends.tolist()]
    found = [tokens[a:b].tobytes().decode() for a, b in pairwise(bounds)]
    assert bounds[-1] == len(tokens)
    return found, counts.tolist()


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXT, max_size=4))
@example(["{}", '{"a":1,"b":"x","c":-0.25}', ""])
@example(["{" + ",".join(f'"{i}":{i}' for i in range(65)) + "}", "{" + ",".join(f'"{i}":{i}' for i in range(64)) + "}"])
def test_both_take_the_same(texts: list[str]) -> None:
    tokens, counts = run(native, texts)
    assert (tokens, counts) == run(reference, texts)
    rest = iter(tokens)
    for text, count in zip(texts, counts, strict=True):
        if count >= 0:
            pairs = json.loads(text, object_pairs_hook=list) if text != "{}" else []
            shown = [f"{key}={value[:LONGEST] if isinstance(value, str) else canonical(value)}" for key, value in pairs]
            assert [next(rest) for _ in range(count)] == shown


def test_ordinary_metadata_is_taken() -> None:
    texts = ['{"city":"ulm","date":"2024-04-19","speed":6.65,"n":-7}', '{"speed":-6.0}', "{}"]
    tokens, counts = run(native, texts)
    assert counts == [4, 1, 0]
    assert tokens[-1] == "speed=-6"


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1]])
def test_the_compiled_side_checks_by_itself(offsets: list[int]) -> None:
    from smalti.kernels import _native

    room = np.zeros(9, np.uint8), np.zeros(3, np.int32), np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="do not fit"):
        _native.flat_tokens(np.zeros(3, np.uint8), np.array(offsets, np.int64), 5, *room)


def test_little_room_is_no_overflow() -> None:
    from smalti.kernels import _native

    text = np.frombuffer(b'{"a":1,"b":2}', np.uint8)
    for size, count in ((0, 3), (3, 3), (9, 1), (6, 2)):
        counts = np.zeros(1, np.int32)
        _native.flat_tokens(text, np.array([0, 13]), 5, np.zeros(size, np.uint8), np.zeros(count, np.int32), counts)
        assert counts[0] == (2 if (size, count) == (6, 2) else -1)
