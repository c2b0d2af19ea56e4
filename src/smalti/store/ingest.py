"""Frames into a draft: whatever the caller has becomes rows, in batches of bounded size, and what cannot be is listed.

Few frames go in as one upsert, which any number of processes may do at once. Many go in under the version's lease:
rows whose ids are new are appended (three times as fast), the others are upserted. A bulk load and an upsert that
bring the same new id at the same moment would leave two rows, so each looks for that afterwards and removes the older.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti import wire
from smalti.errors import FrameError
from smalti.facts import MaskFacts
from smalti.parallel import available_cores
from smalti.records import Frame
from smalti.store.derive import derive
from smalti.store.engine import Branch, where_in
from smalti.store.keeping import keep_facts
from smalti.store.promoted import conform
from smalti.store.rowhash import hash_strings
from smalti.store.schema import to_rows
from smalti.store.seen import SeenIds

__all__ = [
    "FEW",
    "Bulk",
    "Failed",
    "calm",
    "chunks",
    "filled",
    "id_of",
    "last_of_each",
    "make_unique",
    "record_of",
    "records_in",
    "rows_of",
    "settle",
    "several",
]

T = TypeVar("T")

FEW = 1000
"""Up to so many frames go in as one upsert, without the lease."""
CONVERTED_AT_ONCE = 4096
COMMITTED_AT_ONCE = 1 << 16
"""Rows of one file: large enough to need no compaction, small enough to hold in memory."""
COMMITTED_BYTES = 192 << 20
_FILES_AT_ONCE = 4
"""Files of one commit of a long load: a commit waits for the disk several times."""
_BORN = "_row_created_at_version"

FailureKind = Literal["validation", "upload", "register"]


class Failed(msgspec.Struct, frozen=True):
    """A frame that was not stored.

    Attributes:
        id: its id; None where it has none, or was not readable so far.
        error: why: what was found against what is allowed.
        kind: "validation" (the frame itself), "upload" (one of its files) or "register" (the store refused the row).
    """

    id: str | None
    error: str
    kind: FailureKind


def several(items: Any, what: str) -> Any:
    """The items, unless they are one thing: a frame, or what Python takes for many (characters of a text, keys).

    Raises:
        FrameError: they are.
    """
    # Python walks through what has only `__getitem__` as well (a torch Dataset).
    is_one = not hasattr(items, "__iter__") and not hasattr(items, "__getitem__")
    if is_one or isinstance(items, str | bytes | bytearray | Mapping):
        raise FrameError(f"{what} is one {type(items).__name__}, allowed is a list of them; give [it] for one")
    return items


def record_of(item: Any) -> Frame:
    """The record in whatever a caller may hand over: a record, a handle, a dict in any dialect, or JSON.

    Raises:
        FrameError: it is none of these, or not a valid frame.
    """
    record = item.anchored() if hasattr(item, "anchored") else getattr(item, "record", item)
    if not isinstance(record, Frame) and hasattr(record, "to_frame"):
        record = record.to_frame()
    if isinstance(record, Mapping):
        return filled(wire.from_dict(record))
    if isinstance(record, bytes | str):
        return filled(wire.load(record))
    if not isinstance(record, Frame):
        raise FrameError(f"{type(item).__name__} is not a frame; give a SingleFrame, a FrameGroup, a Frame or a dict")
    wire.validate(record, where=f"frame {record.id!r}")
    return filled(record)


def filled(record: Frame) -> Frame:
    """The record with what may be missing on the wire: the id, and context and timestamp from the first source."""
    if record.id and record.context_id is not None and record.timestamp is not None:
        return record
    first = record.sources[0]
    return msgspec.structs.replace(
        record,
        id=record.id or wire.stable_id(record),
        context_id=record.context_id if record.context_id is not None else first.uri,
        timestamp=record.timestamp if record.timestamp is not None else first.timestamp,
    )


def rows_of(
    frames: Sequence[Frame], facts: Sequence[Sequence[MaskFacts] | None] | None = None
) -> tuple[pa.RecordBatch | None, list[Failed]]:
    """The whole rows of some records, and those that cannot be stored."""
    try:
        with calm():
            return derive(to_rows(frames), facts) if frames else None, []
    except FrameError:
        pass
    kept, failed = [], []
    for position, frame in enumerate(frames):
        try:
            to_rows([frame])
            kept.append(position)
        except FrameError as error:
            failed.append(Failed(frame.id, str(error), "validation"))
    some = None if facts is None else [facts[i] for i in kept]
    return derive(to_rows([frames[i] for i in kept]), some) if kept else None, failed


def records_in(items: Iterable[Any], failed: list[Failed]) -> Iterator[Frame]:
    """The valid records among the items; the others are added to `failed`."""
    for item in items:
        try:
            yield record_of(item)
        except FrameError as error:
            failed.append(Failed(id_of(item), str(error), "validation"))


def id_of(item: Any) -> str | None:
    """The id of what is no valid frame, as far as it can be told."""
    if isinstance(item, bytes | str):
        try:
            item = msgspec.json.decode(item)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
    found = item.get("id") if isinstance(item, Mapping) else getattr(getattr(item, "record", item), "id", None)
    return None if found is None else str(found)


def last_of_each(rows: pa.RecordBatch | pa.Table) -> Any:
    """The rows without those that a later row with the same id replaces."""
    ids = rows.column("id").to_pylist()
    last = {id_: position for position, id_ in enumerate(ids)}
    return rows if len(last) == len(ids) else rows.take(pa.array(sorted(last.values())))


def settle(branch: Branch, ids: Sequence[str]) -> None:
    """Remove the older of two rows with one id, as a bulk load racing an upsert can leave them."""
    found = branch.find(ids, ["id", _BORN], with_row_id=True).to_pylist()
    newest: dict[str, tuple[int, int]] = {}
    for row in found:
        newest[row["id"]] = max(newest.get(row["id"], (-1, -1)), (row[_BORN], row["_rowid"]))
    stale = [row["_rowid"] for row in found if newest[row["id"]][1] != row["_rowid"]]
    if stale:
        branch.delete(where_in("_rowid", stale))


def make_unique(branch: Branch, where: str | None = None) -> None:
    """Settle every id that occurs twice among the rows (those that fulfil a filter)."""
    hashes = [hash_strings(batch.column("id")) for batch in branch.scan(["id"], where)]
    if not hashes:
        return
    everything = np.sort(np.concatenate(hashes))
    doubled = np.unique(everything[1:][everything[1:] == everything[:-1]])
    if not len(doubled):
        return
    suspects = [
        id_
        for batch in branch.scan(["id"], where)
        for id_, is_double in zip(
            batch.column("id").to_pylist(), np.isin(hash_strings(batch.column("id")), doubled).tolist(), strict=True
        )
        if is_double
    ]
    settle(branch, sorted(set(suspects)))


class _Sent(NamedTuple):
    """Rows on their way to files: which files, and up to which version their ids were looked for."""

    files: "Future[list[Any]]"
    known_version: int


class Bulk:
    """A bulk load into one branch: batches in, commits out.

    Rows with new ids become files in threads, several at a time, and one commit takes the files of several batches.

    Args:
        branch: the head of the draft.
        before: called before every write; keeps the lease alive and raises if it is lost.
        keeps_facts: a frame that replaces one keeps its counts if its masks did not change.
    """

    def __init__(self, branch: Branch, before: Callable[[], None], *, keeps_facts: bool = False) -> None:
        self._branch = branch
        self._keeps_facts = keeps_facts
        self._before = before
        self._seen = SeenIds()
        self._known_version = branch.version
        self._schema = branch.schema
        self._waiting: list[pa.RecordBatch] = []
        # One more than there are cores, as there is mostly one that waits for the disk.
        self._pool = ThreadPoolExecutor(available_cores() + 1, thread_name_prefix="smalti-files")
        self._sent: deque[_Sent] = deque()
        for batch in branch.scan(["id"]):
            self._seen.learn(batch.column("id"))

    def _catch_up(self) -> None:
        """Learn the ids that others inserted meanwhile."""
        version = self._branch.version
        if version > self._known_version:
            for batch in self._branch.scan(["id"], f"{_BORN} > {self._known_version}"):
                self._seen.learn(batch.column("id"))
            self._known_version = version

    def __enter__(self) -> "Bulk":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, rows: pa.RecordBatch) -> None:
        """Take whole rows; they are committed together with others, at the latest on exit."""
        self._waiting.append(conform(rows, self._schema))
        if (
            sum(map(len, self._waiting)) >= COMMITTED_AT_ONCE
            or sum(batch.nbytes for batch in self._waiting) >= COMMITTED_BYTES
        ):
            self._send()

    def flush(self) -> None:
        """Everything that was added is committed after this."""
        self._send()
        self._commit()

    def _send(self) -> None:
        """Let what waits become files; rows whose ids are there already are upserted at once."""
        batches, self._waiting = self._waiting, []
        if not batches:
            return
        self._before()
        self._catch_up()
        again = self._seen.meet(pa.concat_arrays([batch.column("id") for batch in batches]))
        if again is not None:
            batches = self._upsert_known(batches, again)
        if sum(map(len, batches)):
            self._sent.append(_Sent(self._pool.submit(self._branch.write_files, batches), self._known_version))
        ahead = [sent for sent in self._sent if not sent.files.done()]
        if len(ahead) > available_cores():  # bounds the memory
            ahead[0].files.result()
        if len(self._sent) >= _FILES_AT_ONCE + available_cores():
            self._commit(_FILES_AT_ONCE)

    def _upsert_known(self, batches: Sequence[pa.RecordBatch], again: NDArray[np.bool_]) -> list[pa.RecordBatch]:
        """Upsert the rows whose ids are there or occur twice; the others are returned."""
        self._commit()  # what came before must be there before
        rows = pa.Table.from_batches(batches)
        edited = last_of_each(rows.filter(pa.array(again)))
        version = self._branch.upsert(keep_facts(self._branch, edited) if self._keeps_facts else edited)
        if version == self._known_version + 1:
            self._known_version = version
        left: list[pa.RecordBatch] = rows.filter(pa.array(~again)).to_batches()
        return left

    def _commit(self, most: int | None = None) -> None:
        """Make the oldest files (None = all) a part of the branch."""
        sent = [self._sent.popleft() for _ in range(len(self._sent) if most is None else most)]
        if not sent:
            return
        files = [file for item in sent for file in item.files.result()]
        self._before()
        version = self._branch.add_files(files)
        since = min(item.known_version for item in sent)
        if since == self._known_version and version == since + 1:
            self._known_version = version
            self._sent = deque(item._replace(known_version=version) for item in self._sent)
        else:  # others were here since we looked
            make_unique(self._branch, f"{_BORN} > {since}")


@contextmanager
def calm() -> Iterator[None]:
    """No garbage collection for a while: converting frames makes many objects, none of them in cycles, and the
    collector would look at all of them again and again (measured: three quarters of the time).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size` items."""
    iterator = iter(items)
    while True:
        with calm():
            chunk = list(islice(iterator, size))
        if not chunk:
            return
        yield chunk
