"""What the store computes from a row: labels, label-set tokens, metadata tokens and a content hash.

Everything here works on whole Arrow batches with NumPy, because bulk loads pass through it. The tokens are the
contract between the writer and `store.pushdown`: both sides call `label_token` and `meta_token`.
"""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smalti.facts import MaskFacts
from smalti.kernels import flat_tokens, group_sets, number_groups, take_texts
from smalti.query.values import canonical, walk
from smalti.store.buckets import bucket_tokens
from smalti.store.rowhash import distinct_strings, hash_rows, string_parts
from smalti.store.schema import DERIVED, SCHEMA

__all__ = [
    "LONGEST_META_TOKEN",
    "NUMBERS",
    "derive",
    "facts_columns",
    "label_token",
    "meta_token",
    "meta_tokens",
    "numbers_token",
]

Ints = NDArray[np.int64]

LONGEST_META_TOKEN = 120
"""Characters of a value that go into its token. Longer values share a token, so the token is a superset, as it must be."""
NUMBERS = "\x1f"
LONGEST_LIST = 32
"""Numbers in a list from which on they have one token together."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def label_token(labels: Sequence[str]) -> str:
    """The token of one ROI's label set: its labels sorted and without repeats, as a JSON array."""
    return _encode(sorted(set(labels))).decode()


_token = lru_cache(maxsize=1 << 14)(label_token)  # a load meets the same sets in every batch


@lru_cache(maxsize=1 << 16, typed=True)  # True is not 1 here
def meta_token(path: str, value: str | int | float | bool) -> str:
    """The token of one scalar of the metadata: `path=value`, with the value's canonical text."""
    return f"{path}={canonical(value)[:LONGEST_META_TOKEN]}"


def numbers_token(path: str) -> str:
    """What stands for a long list of numbers, such as a vector: a token for each would be most of the index."""
    return f"{path}={NUMBERS}"


def meta_tokens(meta: dict[str, Any]) -> list[str]:
    """The tokens of every scalar in `meta`; an element of a list has the path of the list."""
    return list(dict.fromkeys(_tokens_below(meta, "")))


def _tokens_below(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _tokens_below(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        if len(value) > LONGEST_LIST and all(type(item) in (int, float) for item in value):
            yield numbers_token(path)
            return
        for inner in value:
            yield from _tokens_below(inner, path)
    else:
        for _, scalar in walk(value):
            yield meta_token(path, scalar)


def derive(truth: pa.RecordBatch, facts: Sequence[Sequence[MaskFacts] | None] | None = None) -> pa.RecordBatch:
    """The whole rows for some truth columns.

    Args:
        truth: columns of `schema.TRUTH`, without null lists.
        facts: mask facts per frame, None where they are not known.
    """
    size = len(truth)
    columns = [
        *_label_columns(truth),
        _meta_column(truth.column("meta")),
        pa.array(hash_rows(truth)),
        pa.array(np.full(size, time.time_ns() // 1_000_000, np.int64)),
        *(_no_facts(size) if facts is None else facts_columns(facts)),
    ]
    return pa.RecordBatch.from_arrays([*truth.columns, *columns], schema=SCHEMA)


def _column(values: Any, name: str) -> pa.Array:
    return pa.array(values, DERIVED.field(name).type)


def _meta_column(meta: pa.StringArray) -> pa.ListArray:
    """`meta_kv` of every row: a kernel reads the plain ones, which are nearly all."""
    text, offsets = string_parts(meta)
    tokens, ends, counts = flat_tokens(text, offsets, LONGEST_META_TOKEN)
    plain = pa.StringArray.from_buffers(
        len(ends), pa.py_buffer(np.concatenate([np.zeros(1, np.int32), ends])), pa.py_buffer(tokens)
    )
    others = np.flatnonzero(counts < 0)
    if not len(others):
        return pa.ListArray.from_arrays(_offsets(counts), plain)
    found = [_tokens_of(_decode(text or "{}")) for text in meta.take(pa.array(others)).to_pylist()]
    owner = np.repeat(np.arange(len(counts)), np.maximum(counts, 0))
    counts[others] = [len(some) for some in found]
    order = np.argsort(np.concatenate([owner, np.repeat(others, counts[others])]), kind="stable")
    words = pa.concat_arrays([plain, pa.array([word for some in found for word in some], pa.string())])
    return pa.ListArray.from_arrays(_offsets(counts), words.take(pa.array(order)))


def _offsets(counts: NDArray[np.int32]) -> pa.Array:
    return pa.array(np.concatenate([np.zeros(1, np.int32), np.cumsum(counts, dtype=np.int32)]))


def _tokens_of(meta: dict[str, Any]) -> list[str]:
    """As `meta_tokens`, quicker for a flat object without whole floats and truth values."""
    tokens: list[str] = []
    for path, value in meta.items():
        kind = type(value)
        if kind is int:
            tokens.append(f"{path}={value}")
        elif kind is str:
            tokens.append(f"{path}={value[:LONGEST_META_TOKEN]}")
        elif kind is float and not value.is_integer():
            tokens.append(f"{path}={_encode(value).decode()}")
        else:
            return meta_tokens(meta)
    return list(dict.fromkeys(tokens))


# -------------------------------------------------------------------------------------------------------- labels
def _starts(column: pa.ListArray) -> tuple[Ints, pa.Array]:
    """Offsets from 0 and the values between the first and the last of them."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    if not len(offsets):
        return np.zeros(1, np.int64), column.values.slice(0, 0)
    return offsets - offsets[0], column.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))


def _label_columns(truth: pa.RecordBatch) -> list[pa.Array]:
    """`labels`, `labelsets`, `roi_ls` and `roi_conf`.

    A ROI that names its mask by its label (the first documented dialect: label `["seg"]`, mask id `"car"`) has both
    words in its set, so it is found under either.
    """
    roi_starts, rois = _starts(truth.column("rois"))
    words, codes, starts = _words_of(truth, roi_starts, rois)
    sets, ends = group_sets(codes, starts)
    numbers, firsts = number_groups(sets, ends)
    distinct = [sets[ends[first] : ends[first + 1]].tolist() for first in firsts.tolist()]
    # What a row says must not depend on the rows that came before it: numbers go by what is in the sets.
    order = sorted(range(len(distinct)), key=lambda number: (len(distinct[number]), distinct[number][::-1]))
    rank = np.empty(len(distinct), np.uint32)
    rank[order] = np.arange(len(distinct), dtype=np.uint32)
    token_of_roi = rank[numbers]
    tokens = pa.array([_token(tuple([words[code] for code in distinct[number]])) for number in order], pa.string())
    offsets = pa.array(roi_starts.astype(np.int32))
    return [
        _sets(codes, starts[roi_starts], pa.array(words, pa.string())),
        _sets(token_of_roi, roi_starts, tokens),
        pa.ListArray.from_arrays(offsets, _spelled(tokens, token_of_roi)),
        pa.ListArray.from_arrays(offsets, rois.field("confidence")),
    ]


def _sets(codes: NDArray[np.uint32], offsets: Ints, words: pa.StringArray) -> pa.ListArray:
    """Per group the distinct words among its codes, in the order of the codes."""
    codes, offsets = group_sets(codes, offsets)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), _spelled(words, codes))


def _spelled(words: pa.StringArray, codes: NDArray[np.uint32]) -> pa.StringArray:
    """The word of every code."""
    text, ends = take_texts(*string_parts(words), codes)
    return pa.StringArray.from_buffers(len(codes), pa.py_buffer(ends), pa.py_buffer(text))


def _words_of(
    truth: pa.RecordBatch, roi_starts: Ints, rois: pa.StructArray
) -> tuple[list[str], NDArray[np.uint32], Ints]:
    """Distinct label words in sorted order; the position among them of every word of every ROI; where each ROI begins."""
    starts, written = _starts(rois.field("label"))
    words, codes = _encode_words(written)
    owner, spoken = _spoken(truth, roi_starts, rois, starts, written, words)
    if not len(owner):
        return words, codes, starts
    words, codes = _encode_words(pa.concat_arrays([written, spoken]))
    owner = np.concatenate([np.repeat(np.arange(len(rois)), np.diff(starts)), owner])
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(rois)))])
    return words, codes[np.argsort(owner, kind="stable")], starts


def _encode_words(strings: pa.StringArray) -> tuple[list[str], NDArray[np.uint32]]:
    """Distinct strings in sorted order, and the position of every string among them."""
    found, numbers = distinct_strings(pc.fill_null(strings, "") if strings.null_count else strings)
    words = sorted(found)
    rank = {word: place for place, word in enumerate(words)}
    return words, np.array([rank[word] for word in found], np.uint32)[numbers]


def _spoken(
    truth: pa.RecordBatch,
    roi_starts: Ints,
    rois: pa.StructArray,
    starts: Ints,
    written: pa.StringArray,
    words: Sequence[str],
) -> tuple[Ints, pa.StringArray]:
    """For mask ROIs whose label is the id of a mask of their frame: the ROI's number and the word in its mask id."""
    nothing = np.zeros(0, np.int64), pa.array([], pa.string())
    masks = rois.field("mask")
    source_starts, sources = _starts(truth.column("sources"))
    mask_starts, records = _starts(sources.field("masks"))
    if masks.null_count == len(masks) or not len(records):
        return nothing
    ids = records.field("id")
    if set(words).isdisjoint(pc.unique(ids).to_pylist()):
        return nothing
    frame_of_mask = np.repeat(np.repeat(np.arange(len(truth)), np.diff(source_starts)), np.diff(mask_starts))
    owned = set(zip(frame_of_mask.tolist(), ids.to_pylist(), strict=True))
    frame_of_roi = np.repeat(np.arange(len(truth)), np.diff(roi_starts)).tolist()
    roi_of = np.repeat(np.arange(len(rois)), np.diff(starts)).tolist()
    names = masks.field("id").to_pylist()
    has_mask = masks.is_valid().to_pylist()
    found = dict.fromkeys(
        roi
        for roi, label in zip(roi_of, written.to_pylist(), strict=True)
        if has_mask[roi] and (frame_of_roi[roi], label) in owned and (frame_of_roi[roi], names[roi]) not in owned
    )
    return np.fromiter(found, np.int64, len(found)), pa.array([names[roi] for roi in found], pa.string())


# --------------------------------------------------------------------------------------------------------- facts
def facts_columns(facts: Sequence[Sequence[MaskFacts] | None]) -> list[pa.Array]:
    """The `px_*` columns; pixels are summed over the masks of a frame, buckets speak of the largest share of any."""
    names = [name for name in DERIVED.names if name.startswith("px_")]
    if not any(item is not None for item in facts):
        return _no_facts(len(facts))
    rows = [_facts_row(item) for item in facts]
    return [_column([row[name] for row in rows], name) for name in names]


def _no_facts(size: int) -> list[pa.Array]:
    """The `px_*` columns of rows that have not been counted."""
    return [_absent(DERIVED.field(name).type, size) for name in DERIVED.names if name.startswith("px_")]


def _absent(kind: pa.DataType, size: int) -> pa.Array:
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array(np.zeros(size + 1, np.int32)), pa.nulls(0, kind.value_type), type=kind)
    return pa.array(np.zeros(size, np.bool_)) if pa.types.is_boolean(kind) else pa.nulls(size, kind)


def _facts_row(facts: Sequence[MaskFacts] | None) -> dict[str, Any]:
    row: dict[str, Any] = {name: [] for name in ("px_label", "px_count", "px_bucket")}
    row |= {"px_known": facts is not None, "px_void": None, "px_masks": None}
    if not facts:
        return row
    total = sum(item.total for item in facts)
    pixels: dict[str, int] = {}
    for item in facts:
        for label, count in item.pixels.items():
            pixels[label] = pixels.get(label, 0) + count
    present = {label: count for label, count in sorted(pixels.items()) if count}
    row["px_label"] = list(present)
    row["px_count"] = list(present.values())
    row["px_bucket"] = bucket_tokens(facts)
    row["px_void"] = sum(item.void for item in facts) / total if total else 0.0
    row["px_masks"] = msgspec.json.encode(list(facts)).decode()
    return row
