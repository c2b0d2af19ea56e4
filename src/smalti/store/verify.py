"""Reading everything back: rows against their hashes, versions against the catalog, branches against versions."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa

from smalti import storage
from smalti.errors import SmaltiError
from smalti.records import Frame
from smalti.store.derive import derive
from smalti.store.engine import Branch
from smalti.store.lancing import VERIFY
from smalti.store.pinning import lost_versions
from smalti.store.rowhash import hash_rows, hash_strings
from smalti.store.schema import DERIVED, TRUTH, from_rows

if TYPE_CHECKING:
    from smalti.store.dataset import Dataset
    from smalti.store.store import Store
    from smalti.store.version import DatasetVersion

__all__ = ["Verdict", "verify"]

_DAMAGE = (SmaltiError, msgspec.MsgspecError, pa.ArrowException, ValueError, TypeError, LookupError, AttributeError)
"""What reading rows raises that were written well and have changed since: bytes may be anything."""
Files = dict[str, tuple[str, str | None]]
"""URI → the frame that points to it, and the SHA-256 that is kept."""

_AT_ONCE = 16
_FOLLOWING = ("labels", "labelsets", "roi_ls", "roi_conf", "meta_kv")


class Verdict(msgspec.Struct):
    """What `verify` found.

    Attributes:
        frames: frames read, by DATASET@VERSION.
        problems: what is wrong, in words; empty = all is well.
        orphans: branches without a version; the sweep of `maintain` removes them.
        files: how many files that frames point to were looked at; None = none was to be.
    """

    frames: dict[str, int] = {}
    problems: list[str] = []
    orphans: list[str] = []
    files: int | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(store: "Store", *, files: bool = False) -> Verdict:
    """Read every frame of every version and compare it with its hash; compare versions with the catalog.

    Args:
        files: also look whether the files are there that frames point to, each once; those whose SHA-256 the store
            knows (from their upload) are read and compared.
    """
    verdict = Verdict()
    known: Files | None = {} if files else None
    for dataset in store.datasets():
        try:
            _verify_dataset(dataset, verdict, known)
        except SmaltiError as error:
            verdict.problems.append(f"{dataset.name}: {_said(error)}")
    verdict.problems += lost_versions(store.catalog)
    if known is not None:
        _verify_files(known, verdict)
    return verdict


def _said(error: Exception) -> str:
    """What an error says, without the advice to do what is being done."""
    return str(error).removesuffix(VERIFY)


def _note_files(name: str, frames: list[Frame], known: Files) -> None:
    """Which files the frames point to, with who is the first to do so, and the hash that is kept with them."""
    for frame in frames:
        for source in frame.sources:
            kept = source.meta.get("hash")
            hashes = kept if isinstance(kept, dict) else {}
            masks = hashes.get("mask_source")
            listed = (
                masks if isinstance(masks, list) and len(masks) == len(source.masks) else [None] * len(source.masks)
            )
            found = [(source.uri, hashes.get("source"))]
            found += [(mask.uri, digest) for mask, digest in zip(source.masks, listed, strict=True)]
            if source.preview is not None:
                found.append((source.preview.uri, hashes.get("preview_source")))
            for uri, digest in found:
                if uri and (uri not in known or (known[uri][1] is None and digest)):
                    known[uri] = f"{name}: frame {frame.id!r}", digest or None


def _verify_files(known: Files, verdict: Verdict) -> None:
    verdict.files = len(known)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="smalti-verify") as pool:
        troubles = pool.map(_trouble_with, known, [digest for _, digest in known.values()])
        for (uri, (where, _)), trouble in zip(known.items(), troubles, strict=True):
            if trouble is not None:
                verdict.problems.append(f"{where}: {uri} {trouble}")


def _trouble_with(uri: str, digest: str | None) -> str | None:
    try:
        if digest is None:
            return None if storage.exists(uri) else "is not there"
        return None if hashlib.sha256(storage.fetch(uri)).hexdigest() == digest else "is not what was uploaded"
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read: {error}"


def _verify_dataset(dataset: "Dataset", verdict: Verdict, files: Files | None) -> None:
    branches = dataset.engine.branches()
    versions = dataset.versions()
    known = {version.id for version in versions}
    owned = {row.branch for row in dataset.catalog.list_versions(dataset.id, deleted=True)}
    verdict.orphans += sorted(set(branches) - owned)
    for version in versions:
        name = f"{dataset.name}@{version.name}"
        row = version.row
        if row.branch not in branches:
            verdict.problems.append(f"{name}: its branch {row.branch} is not there")
            continue
        verdict.problems += [f"{name}: its parent {uuid} is not there" for uuid in row.parents if uuid not in known]
        if row.state == "published" and row.head_version is None:
            verdict.problems.append(f"{name}: it is published without a pinned commit")
            continue
        try:
            _verify_version(name, version, verdict, files)
        except SmaltiError as error:
            verdict.problems.append(f"{name}: {_said(error)}")


def _verify_version(name: str, version: "DatasetVersion", verdict: Verdict, files: Files | None) -> None:
    rows = version.rows()
    hashes = []
    wrong: list[str] = []
    for batch in rows.scan([*TRUTH.names, *DERIVED.names]):
        hashes.append(hash_strings(batch.column("id")))
        frames = _compared(batch, wrong)
        if files is not None:
            _note_files(name, frames, files)
    found = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
    verdict.frames[name] = len(found)
    verdict.problems += [f"{name}: {text}" for text in dict.fromkeys(wrong)]
    if len(np.unique(found)) != len(found):
        verdict.problems.append(f"{name}: {len(found) - len(np.unique(found))} frame(s) are there twice")
    _verify_counts(name, version, rows, len(found), verdict)


def _compared(batch: pa.RecordBatch, wrong: list[str]) -> list[Frame]:
    """The frames of a batch that can be read; what is wrong goes into a list. Halves until it has the row to blame."""
    found: list[str] = []
    try:
        frames = _read(batch, found)
    except _DAMAGE as error:
        if len(batch) == 1:
            wrong.append(f"frame {_name_of(batch)} cannot be read: {_said(error)}")
            return []
        half = len(batch) // 2
        return _compared(batch.slice(0, half), wrong) + _compared(batch.slice(half), wrong)
    wrong += found
    return frames


def _read(batch: pa.RecordBatch, wrong: list[str]) -> list[Frame]:
    truth = batch.select(TRUTH.names).cast(TRUTH)
    is_wrong = hash_rows(truth) != batch.column("etag").to_numpy(zero_copy_only=False)
    again = derive(truth)
    for column in _FOLLOWING:
        if again.column(column) != batch.column(column):
            wrong.append(f"column {column} does not follow from the frames")
    if is_wrong.any():
        ids = batch.column("id").to_pylist()
        wrong += [f"frame {ids[i]!r} is not what its hash says" for i in np.flatnonzero(is_wrong)[:5]]
    return from_rows(truth)


def _name_of(batch: pa.RecordBatch) -> str:
    try:
        return repr(batch.column("id")[0].as_py())
    except UnicodeDecodeError:
        return "with a damaged id"


def _verify_counts(name: str, version: "DatasetVersion", rows: Branch, frames: int, verdict: Verdict) -> None:
    promised = version.stats.get("frames", frames) if version.is_published else frames
    if promised != frames:
        verdict.problems.append(f"{name}: it was published with {promised} frames and has {frames}")
    for column, where in (("id", "id >= ''"), ("context_id", "context_id >= ''")):
        if column in rows.indices() and rows.count(where) != frames:
            verdict.problems.append(f"{name}: the index on {column} does not cover all frames")
