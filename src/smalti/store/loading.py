"""What `add_frames` and `update_frame` do: frames in, rows committed, failures listed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

from smalti.errors import ConflictError
from smalti.facts import MaskFacts
from smalti.records import Frame
from smalti.store import ingest
from smalti.store.derive import derive
from smalti.store.ingest import Bulk, Failed
from smalti.store.keeping import keep_facts
from smalti.store.promoted import conform
from smalti.store.schema import to_rows

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["load", "load_checked", "load_rows", "save"]

Prepare = Callable[[Sequence[Frame]], tuple[list[Frame], list[Failed]]]
Count = Callable[[Sequence[Frame]], tuple[list[Sequence[MaskFacts] | None], list[Failed]]]


def load(
    version: "DatasetVersion",
    items: Iterable[Any],
    *,
    upload_to: str | None,
    with_facts: bool,
    keeps_facts: bool = False,
    progress: Callable[[int], None] | None,
) -> list[Failed]:
    """See `DatasetVersion.add_frames`."""
    failed: list[Failed] = []
    records = ingest.records_in(ingest.several(items, "frames"), failed)
    if upload_to is not None:
        from smalti.store.upload import Uploader

        records = _uploaded(records, Uploader(version, upload_to), failed)
    if progress is not None:
        records = _told(records, progress)
    count: Count | None = None
    if with_facts:
        from smalti.store.counting import counter

        count = counter(version)
    few = list(islice(records, ingest.FEW + 1))
    if len(few) <= ingest.FEW:
        _load_few(version, few, count, failed, keeps_facts)
    else:
        load_rows(version, _rows(chain(few, records), count, failed), keeps_facts=keeps_facts)
    return failed


def load_checked(version: "DatasetVersion", records: Sequence[Frame]) -> list[Failed]:
    """Up to `ingest.FEW` records that were checked when they were read; returns those that the store refuses."""
    failed: list[Failed] = []
    _load_few(version, [ingest.filled(record) for record in records], None, failed)
    return failed


def _uploaded(records: Iterable[Frame], uploader: Any, failed: list[Failed]) -> Iterator[Frame]:
    for chunk in ingest.chunks(records, 256):
        yield from uploader.upload(chunk, failed)


def _told(records: Iterable[Frame], progress: Callable[[int], None]) -> Iterator[Frame]:
    number = 0
    for number, record in enumerate(records, 1):
        yield record
        if number % 1000 == 0:
            progress(number)
    progress(number)


def _load_few(
    version: "DatasetVersion",
    records: list[Frame],
    count: Count | None,
    failed: list[Failed],
    keeps_facts: bool = False,
) -> None:
    with version.writing() as branch:
        batches = list(_rows(records, count, failed))
        if not batches:
            return
        schema = branch.schema
        rows = ingest.last_of_each(pa.Table.from_batches([conform(batch, schema) for batch in batches]))
        branch.upsert(keep_facts(branch, rows) if keeps_facts else rows)
        settle_if_disturbed(version, branch, rows.column("id").to_pylist())


def settle_if_disturbed(version: "DatasetVersion", branch: Any, ids: Sequence[str]) -> None:
    """An upsert while somebody loads in bulk looks whether that load brought the same new ids."""
    if version.dataset.catalog.get_lease(version.id) is not None:
        ingest.settle(branch, ids)


def _rows(records: Iterable[Frame], count: Count | None, failed: list[Failed]) -> Iterator[pa.RecordBatch]:
    for chunk in ingest.chunks(records, ingest.CONVERTED_AT_ONCE):
        facts = None
        if count is not None:
            facts, troubles = count(chunk)
            failed += troubles
        rows, refused = ingest.rows_of(chunk, facts)
        failed += refused
        if rows is not None:
            yield rows


def load_rows(version: "DatasetVersion", batches: Iterable[pa.RecordBatch], *, keeps_facts: bool = False) -> None:
    """Whole rows into a draft, under its lease."""
    with (
        version.lease("a bulk load") as renew,
        version.writing() as branch,
        Bulk(branch, renew, keeps_facts=keeps_facts) as bulk,
    ):
        for batch in batches:
            bulk.add(batch)


def save(version: "DatasetVersion", item: Any, if_match: str | None) -> str:
    """See `DatasetVersion.update_frame`."""
    record = ingest.record_of(item)
    rows = derive(to_rows([record]))
    etag = f"{rows.column('etag')[0].as_py():016x}"
    with version.writing() as branch:
        rows = keep_facts(branch, conform(rows, branch.schema))
        if if_match is None:
            branch.upsert(rows)
            settle_if_disturbed(version, branch, [record.id or ""])
        elif not branch.swap(rows, _number(if_match)):
            _refuse(version, record.id or "", branch, if_match)
    return etag


def _number(etag: str) -> int:
    try:
        return int(etag, 16) % 2**64
    except ValueError:
        raise ConflictError(
            f"if_match is {etag!r}, which is no etag of this store; take it from version.etag(id)"
        ) from None


def _refuse(version: "DatasetVersion", frame_id: str, branch: Any, if_match: str) -> NoReturn:
    found = branch.find([frame_id], ["etag"]).column("etag").to_pylist()
    now = f"at {found[0]:016x}" if found else "not there"
    raise ConflictError(
        f"frame {frame_id!r} of {version.dataset.name}@{version.name} is {now}, but this edit was made from {if_match}: "
        "somebody changed it in between; read it again and repeat the edit",
        conflicts=[frame_id],
    )
