"""DatasetVersion: a set of frames that is written as a draft and never changes once it is published."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from smalti.errors import FrameError, VersionError, VersionFrozen
from smalti.frames import FrameGroup, SingleFrame, handle_of
from smalti.legend import Legend
from smalti.records import Frame
from smalti.store import ingest, legends
from smalti.store.engine import Branch, where_in
from smalti.store.ingest import Failed
from smalti.store.names import check_name
from smalti.store.relabeling import forget_if_relabeled, relabel
from smalti.store.rows import LeaseRow, VersionRow
from smalti.store.schema import TRUTH, from_rows
from smalti.store.whoami import process_name

if TYPE_CHECKING:
    from smalti.store.dataset import Dataset
    from smalti.store.table import VersionTable
    from smalti.view import DataView

__all__ = ["DatasetVersion"]

LEASE_S = 60.0
_BUSY_S = 5.0
_ORDER = ("context_id", "timestamp", "id")
_TAKEN_AT_ONCE = 2048


class DatasetVersion:
    """One version of a dataset. Get one from `dataset.create_version(...)` or `dataset[name]`.

    Reads of a draft see its newest state; reads of a published version always see the same frames.
    """

    def __init__(self, dataset: "Dataset", row: VersionRow) -> None:
        self.dataset = dataset
        self._row = row

    def __repr__(self) -> str:
        return f"DatasetVersion({self.dataset.name}@{self.name}, {self.state})"

    # ------------------------------------------------------------------------------------------- what it is
    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return self._row.uuid

    @property
    def name(self) -> str:
        """Its name among the versions of the dataset."""
        return self._row.name

    @property
    def row(self) -> VersionRow:
        """What the catalog says now."""
        row = self.dataset.catalog.get_version(self.id)
        if row.state == "deleted":
            raise VersionError(f"version {self.dataset.name}@{row.name} was deleted; choose another")
        if row.state == "publishing" and self.dataset.catalog.get_lease(self.id) is None:
            # Whoever was publishing died before it was done: nothing was promised, so it is a draft again.
            row = self._change({"publishing"}, state="draft")
        self._row = row
        return row

    def _change(self, expect_state: Any = None, **changes: Any) -> VersionRow:
        self._row = self.dataset.catalog.update_version(self.id, expect_state=expect_state, **changes)
        return self._row

    @property
    def state(self) -> str:
        """ "draft", "publishing" or "published"."""
        return self._row.state if self._row.state == "published" else self.row.state

    @property
    def is_published(self) -> bool:
        """Whether it can never change again."""
        return self.state == "published"

    @property
    def rebuilt(self) -> str:
        """Names the purge that last wrote its frames anew; empty where there was none."""
        return str(self._row.extra.get("rebuilt", ""))

    @property
    def parents(self) -> list["DatasetVersion"]:
        """The versions it was made from."""
        return [self.dataset.version(uuid) for uuid in self._row.parents]

    # --------------------------------------------------------------------------------------------- the gate
    @contextmanager
    def writing(self) -> Iterator[Branch]:
        """The branch to write to: the only way to one, and closed for whatever is not a draft.

        A write that a publish overtook is refused at the end: it may or may not be in the published version, and is
        not acknowledged.
        """
        row = self.require_draft()
        branch = self.dataset.engine.at(row.branch)
        try:
            yield branch
        except BaseException:
            forget_if_relabeled(branch, row, self.row)
            raise
        forget_if_relabeled(branch, row, self.require_draft())

    def require_draft(self) -> VersionRow:
        """What the catalog says now, of a draft.

        Raises:
            VersionFrozen: it is not a draft.
        """
        row = self.row
        if row.state != "draft":
            raise VersionFrozen(
                f"version {self.dataset.name}@{row.name} is {row.state}, and only a draft can change",
                advice=f"draft a child with dataset[{row.name!r}].child(...)",
                command=f"draft a child: smalti version create {self.dataset.name}@NEW --parent {row.name}",
            )
        return row

    @contextmanager
    def lease(self, what: str) -> Iterator[Callable[[], None]]:
        """The right to write in bulk; what it yields keeps it alive and raises VersionError once it is lost."""
        catalog = self.dataset.catalog
        owner = f"{what} by {process_name()}"
        held: list[LeaseRow] = [catalog.acquire_lease(self.id, owner, LEASE_S)]
        renewed = [time.monotonic()]

        def renew() -> None:
            if time.monotonic() - renewed[0] > LEASE_S / 4:
                held[0] = catalog.renew_lease(held[0], LEASE_S)
                renewed[0] = time.monotonic()

        try:
            yield renew
        finally:
            catalog.release_lease(held[0])

    def rows(self) -> Branch:
        """The rows to read: pinned for a published version, the head of a draft as of now."""
        row = self._row if self._row.state == "published" else self.row
        return self.dataset.engine.at(row.branch, row.head_version if row.state == "published" else None).snapshot()

    # ---------------------------------------------------------------------------------------------- reading
    def __len__(self) -> int:
        return self.rows().count()

    def __contains__(self, frame_id: object) -> bool:
        return isinstance(frame_id, str) and self.rows().count(where_in("id", [frame_id])) > 0

    def __iter__(self) -> Iterator[SingleFrame | FrameGroup]:
        return self.frames()

    def get(self, frame_id: str) -> SingleFrame | FrameGroup:
        """The frame with this id.

        Raises:
            FrameError: there is none.
        """
        return self.handle(self.get_record(frame_id))

    get_single_frame = get

    def get_record(self, frame_id: str) -> Frame:
        """The record of the frame with this id."""
        found = from_rows(self.rows().find([str(frame_id)], TRUTH.names))
        if not found:
            raise FrameError(
                f"version {self.dataset.name}@{self.name} has no frame {frame_id!r}",
                advice="list them with .frame_ids()",
                command=f"list them: smalti frames list {self.dataset.name}@{self.name}",
            )
        return found[0]

    def get_many(self, frame_ids: Sequence[str]) -> list[Frame]:
        """The records with these ids, in that order; ids that are not there are left out."""
        wanted = list(dict.fromkeys(ingest.several(frame_ids, "frame_ids")))
        found = {frame.id: frame for frame in from_rows(self.rows().find(wanted, TRUTH.names))}
        return [found[id_] for id_ in frame_ids if id_ in found]

    def etag(self, frame_id: str) -> str:
        """What to hand to `update_frame(if_match=...)`: it changes with the content of the frame."""
        found = self.rows().find([frame_id], ["etag"]).column("etag").to_pylist()
        if not found:
            raise FrameError(f"version {self.dataset.name}@{self.name} has no frame {frame_id!r}")
        return f"{found[0]:016x}"

    def handle(self, record: Frame) -> SingleFrame | FrameGroup:
        """A record as SingleFrame or FrameGroup that knows this version's legends."""
        return handle_of(record, mask_labels=self.get_masks_labels() or None)

    def frame_ids(self) -> list[str]:
        """The ids of all frames, by context, timestamp and id."""
        ids: list[str] = self._order(self.rows(), None).column("id").to_pylist()
        return ids

    def frames(self) -> Iterator[SingleFrame | FrameGroup]:
        """Every frame, by context, timestamp and id, as of the call."""
        legend = self.get_masks_labels() or None
        for record in self.records():
            yield handle_of(record, mask_labels=legend)

    def records(self, where: str | None = None) -> Iterator[Frame]:
        """Every frame as a record, by context, timestamp and id; `where` is a filter over the columns of the store."""
        rows = self.rows()
        order = self._order(rows, where)
        row_ids = order.column("_rowid").to_pylist()
        ids = order.column("id").to_pylist()
        for start in range(0, len(ids), _TAKEN_AT_ONCE):
            taken = rows.take(row_ids[start : start + _TAKEN_AT_ONCE], TRUTH.names)
            found = {frame.id: frame for frame in from_rows(taken)}
            for id_ in ids[start : start + _TAKEN_AT_ONCE]:
                yield found[id_]

    def tables(self, size: int = 16384) -> Iterator[pa.Table]:
        """Every frame as rows of `schema.TRUTH`, by context, timestamp and id, up to `size` of them at a time."""
        rows = self.rows()
        row_ids = self._order(rows, None).column("_rowid").to_pylist()
        for start in range(0, len(row_ids), size):
            taken = rows.take(row_ids[start : start + size], TRUTH.names)
            yield taken.sort_by([(name, "ascending") for name in _ORDER]).select(TRUTH.names)

    def _order(self, rows: Branch, where: str | None) -> pa.Table:
        table = rows.table(_ORDER, where, with_row_id=True)
        return table.sort_by([(name, "ascending") for name in _ORDER])

    def scan(self, tree: Any = None, columns: Sequence[str] | None = None) -> Iterator[Frame]:
        """The frames that a query tree selects, as records, by context, timestamp and id (None = all).

        Args:
            tree: a tree of `smalti.query`.
            columns: fields that the caller will look at; None = all of the record.
        """
        if tree is None:
            return self.records()
        from smalti.store.table import scan

        return scan(self, tree, columns)

    def view(self, query: str = "") -> "DataView":
        """The frames that a query asks for (`label:car AND meta.city:bremen`), to map, order, split and iterate."""
        from smalti.view import DataView

        return DataView(self, query)

    def nearest(
        self,
        vector: Sequence[float] | str,
        k: int = 10,
        field: str = "meta.vector",
        *,
        query: str = "",
        metric: str = "cosine",
        method: str = "auto",
    ) -> list[tuple[str, float]]:
        """The ids of the k frames whose vectors are nearest, nearest first, and their scores.

        Args:
            vector: numbers, or the id of a frame, for those that are like it.
            k: how many.
            field: path of the vectors in the metadata; declare it (`dataset.declare`) for columns and an index.
            query: only among the frames that match it.
            metric: "cosine" scores (1 + cos) / 2, "l2_norm" 1 / (1 + d²), "dot_product" (1 + dot) / 2.
            method: "exact", "index" (may miss a few), or "auto": by the index where there is one and the version is large.
        """
        from smalti.store.vectors import nearest

        return nearest(self, vector, k, field, query=query, metric=metric, method=method)

    @property
    def table(self) -> "VersionTable":
        """What a view reads: this version as it is now."""
        from smalti.store.table import VersionTable

        return VersionTable(self)

    # ---------------------------------------------------------------------------------------------- writing
    def add_frames(
        self,
        frames: Iterable[Any],
        *,
        upload_to: str | None = None,
        facts: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> list[Failed]:
        """Store frames; one whose id is there already is replaced. What it does not return is stored and safe.

        Args:
            frames: SingleFrames, FrameGroups, records, dicts or JSON texts; any iterable, read once.
            upload_to: a URI under which local files of the frames are kept; the frames then point there.
            facts: count the pixels of every mask as well (see `compute_facts`).
            progress: called with the number of frames taken so far.

        Returns:
            The frames that were not stored, with reasons; the others are.

        Raises:
            VersionFrozen: the version is published.
            VersionError: another bulk load is under way.
        """
        from smalti.store.loading import load

        return load(self, frames, upload_to=upload_to, with_facts=facts, progress=progress)

    def add_arrow(self, batches: Iterable[pa.RecordBatch]) -> list[Failed]:
        """Store frames that are rows already, with the columns of `smalti.store.schema.TRUTH`: the fast way in."""
        from smalti.store.transfer import add_arrow

        return add_arrow(self, batches)

    def import_file(self, path: str | os.PathLike[str]) -> list[Failed]:
        """Store the frames of a JSON-lines, Arrow or Parquet file."""
        from smalti.store.transfer import import_frames

        return import_frames(self, os.fspath(path))

    def export_file(self, path: str | os.PathLike[str]) -> int:
        """Write all frames to a JSON-lines, Arrow or Parquet file, and return how many."""
        from smalti.store.transfer import export_frames

        return export_frames(self, os.fspath(path))

    def update_frames(
        self,
        frames: Iterable[Any],
        *,
        upload_to: str | None = None,
        facts: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> list[Failed]:
        """Store edited frames: as `add_frames`, but what was counted of masks that did not change is kept."""
        from smalti.store.loading import load

        return load(self, frames, upload_to=upload_to, with_facts=facts, keeps_facts=True, progress=progress)

    def update_frame(self, frame: Any, *, if_match: str | None = None) -> str:
        """Save one frame and return its new etag.

        Args:
            frame: as for `add_frames`.
            if_match: the etag that the frame had when it was read; None = save whatever is there.

        Raises:
            ConflictError: somebody saved the frame in between; `conflicts` has its id.
            FrameError: the frame is not valid.
        """
        from smalti.store.loading import save

        return save(self, frame, if_match)

    def delete_frames(self, ids: Iterable[Any]) -> int:
        """Remove frames by id (or the frames themselves) and return how many there were."""
        listed = ingest.several(ids, "ids")
        wanted = [item if isinstance(item, str) else ingest.record_of(item).id or "" for item in listed]
        gone = 0
        with self.writing() as branch:
            for start in range(0, len(wanted), _TAKEN_AT_ONCE):
                where = where_in("id", wanted[start : start + _TAKEN_AT_ONCE])
                here = branch.count(where)
                if here:
                    branch.delete(where)
                    gone += here
        return gone

    # ---------------------------------------------------------------------------------------------- legends
    def set_masks_labels(self, legend: Any) -> None:
        """What the colours of the masks mean where a frame does not say so itself.

        Counts of masks follow from it: those by another legend are removed (see `compute_facts`).

        Args:
            legend: a Legend, `{(r, g, b): label or labels}`, or `{mask id or "_all_": either}`.
        """
        relabel(self, lambda _: legends.stored(legend))

    def get_masks_labels(self) -> dict[str, Any]:
        """The version's legends by mask id ("_all_" = every mask), as `resolve` reads them; {} for none."""
        return dict(self._row.legend or {})

    def legend(self, mask_id: str = legends.ALL_MASKS) -> Legend | None:
        """The version's legend for one mask id, else for all masks."""
        return legends.read(self.get_masks_labels(), mask_id)

    # ---------------------------------------------------------------------------------------- what is about it
    @property
    def description(self) -> str:
        """Free text."""
        return self._row.description

    @property
    def tags(self) -> list[str]:
        """Free words."""
        return list(self._row.tags)

    @property
    def metadata(self) -> dict[str, Any]:
        """Free JSON about the version, with the legends under "mask_labels"."""
        found = dict(self._row.meta)
        return found | {"mask_labels": self._row.legend} if self._row.legend else found

    @property
    def stats(self) -> dict[str, Any]:
        """Counts as of the publish; see `compute_stats` for a draft."""
        return dict(self._row.stats)

    @property
    def report(self) -> Any:
        """What the checks said when it was last to be published, as plain data; None without checks."""
        return self._row.report

    def rename(self, name: str) -> None:
        """Give it another name; its id stays."""
        check_name("version", name, told_by_at=True)
        self._change({"draft", "publishing", "published"}, name=name)

    def describe(self, description: str | None = None, *, tags: Sequence[str] | None = None) -> None:
        """Change what is said about it."""
        changes = {"description": description, "tags": None if tags is None else list(tags)}
        self._change({"draft", "published"}, **{k: v for k, v in changes.items() if v is not None})

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata; "mask_labels" in it replaces the legends."""
        found = dict(metadata)
        if "mask_labels" in found:
            legend = found.pop("mask_labels")
            relabel(self, lambda _: legends.stored(legend), meta=found)
        else:
            self.change_draft(meta=found)

    def change_draft(self, **changes: Any) -> None:
        """Change fields of its row while it is a draft; a legend goes by `relabeling.relabel`."""
        self.require_draft()
        self._change("draft", **changes)

    def compute_stats(self) -> dict[str, Any]:
        """Frames, ROIs, ROIs and frames per label, and frames whose masks were counted."""
        from smalti.store.counting import stats_of

        return stats_of(self.rows())

    # ------------------------------------------------------------------------------------------ the life of it
    def publish(self, check: Any = None, *, force: bool = False, facts: bool = False) -> "DatasetVersion":
        """Freeze it: from here on it can be read and given children, and never changes.

        Args:
            check: None = no checks; "errors" = run the mask checks and refuse on errors; or a callable that takes the
                version and returns a report (refused if its `.errors` is true).
            force: publish in spite of errors; the report is kept with the version either way.
            facts: count the pixels of masks that are not counted yet.

        Raises:
            CheckFailed: the checks found errors; the version is still a draft, and has the report.
            VersionError: somebody writes it in bulk.
        """
        from smalti.store.publishing import publish

        publish(self, check, force=force, facts=facts)
        return self

    def child(self, name: str, **options: Any) -> "DatasetVersion":
        """A draft that starts as this version is; this one must be published."""
        return self.dataset.create_version(name, parents=[self], **options)

    def snapshot(self, name: str | None = None, *, child: str | None = None) -> "DatasetVersion":
        """Publish it and go on in a new draft, which is returned.

        Args:
            name: what the published version is called from now on; None = `snapshot <ISO time>`.
            child: the name of the draft; None = the name that this version had.
        """
        from smalti.store.publishing import snapshot

        return snapshot(self, name, child)

    def compute_facts(self, *, again: bool = False, threads: int | None = None) -> list[Failed]:
        """Count the pixels of every mask, once, and keep the counts with the frames.

        Args:
            again: count anew what is counted already.
            threads: how many masks are decoded at a time; None = one for each processor.

        Returns:
            Frames with a mask that cannot be read, with reasons.
        """
        from smalti.store.counting import compute_facts

        return compute_facts(self, again=again, threads=threads)

    def delete(self, *, force: bool = False, with_views: bool = False) -> None:
        """Delete it; it must have no children. A published one needs `force`, one of published views `with_views`."""
        self.dataset.delete_version(self, force=force, with_views=with_views)
