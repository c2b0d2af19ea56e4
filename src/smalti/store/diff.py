"""What differs between two versions. The cost grows with the changes, not with the frames.

Both sides descend from one point of the branch tree. Rows remember at which commit they were last written, so the rows
touched since that point are found without reading any; their content hashes then say which of them really differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from smalti.errors import VersionError
from smalti.frames import handle_of
from smalti.records import Frame
from smalti.store.changes import MISSING, Change, changes
from smalti.store.engine import Branch
from smalti.store.legends import Stored
from smalti.store.schema import TRUTH, from_rows

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = [
    "BORN",
    "UPDATED",
    "FrameDiff",
    "Touched",
    "VersionDiff",
    "common_point",
    "compare",
    "compare_rows",
    "deleted_ids",
    "legends_between",
]

UPDATED, BORN = "_row_last_updated_at_version", "_row_created_at_version"


class Touched(msgspec.Struct, frozen=True):
    """Frame ids that differ between two sets of rows, each list sorted."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)

    def ids(self) -> list[str]:
        """All of them."""
        return [*self.added, *self.removed, *self.changed]


def _lineage(known: Mapping[str, tuple[str | None, int]], rows: Branch) -> list[tuple[str | None, int]]:
    """The branches that rows come from, with the version up to which each counts; main (None) is last."""
    path: list[tuple[str | None, int]] = [(rows.name, rows.version)]
    while (name := path[-1][0]) is not None:
        path.append(known[name])
    return path


def common_point(a: Branch, b: Branch) -> tuple[str | None, int]:
    """The newest (branch, version) that both descend from; branch None is the empty beginning."""
    known = a.engine.branches()
    upto = dict(_lineage(known, a))
    for name, version in _lineage(known, b):
        if name in upto:
            return name, min(version, upto[name])
    raise VersionError(f"{a!r} and {b!r} belong to different datasets")


class _Side:
    """What one side did since the common point.

    Attributes:
        etags: of rows written after it, by frame id.
        origins: the row ids at the point of those that were there already, by frame id.
        gone: frame ids and row ids of rows that were deleted, for rows at the point.
    """

    def __init__(self, rows: Branch, base: Branch | None, since: int) -> None:
        self.rows = rows
        self.etags: dict[str, int] = {}
        self.origins: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        if base is None:
            written = rows.table(["id", "etag"])
            self.etags = dict(zip(*(written.column(name).to_pylist() for name in ("id", "etag")), strict=True))
        elif (rows.name, rows.version) != (base.name, base.version):
            self._look(base, since)

    def _look(self, base: Branch, since: int) -> None:
        written = self.rows.table(["id", "etag", BORN], f"{UPDATED} > {since}", with_row_id=True)
        ids = written.column("id").to_pylist()
        self.etags = dict(zip(ids, written.column("etag").to_pylist(), strict=True))
        born = written.column(BORN).to_numpy()
        for position in np.flatnonzero(born <= since).tolist():
            self.origins[ids[position]] = written.column("_rowid")[position].as_py()
        self.gone = _deleted(self.rows, base, since, int((born > since).sum()))

    def fill(self, candidates: set[str], base: Branch | None, other: "_Side") -> None:
        """Add the etags of candidates that this side left as they were at the common point."""
        left = [id_ for id_ in candidates if id_ not in self.etags and id_ not in self.gone]
        if base is None or not left:
            return
        # Looking up rows by where they lie takes a quarter of the time of looking them up by name.
        places = {row: id_ for id_ in left if (row := other.origins.get(id_, other.gone.get(id_))) is not None}
        if places:
            taken = base.take(list(places), ["etag"])
            pairs = zip(taken.column("_rowid").to_pylist(), taken.column("etag").to_pylist(), strict=True)
            self.etags |= {places[row]: etag for row, etag in pairs}
        self.etags |= _etags(base, sorted(set(left) - set(places.values())))


def compare_rows(a: Branch, b: Branch) -> Touched:
    """What it takes to get from rows a to rows b. Both must be pinned (see `Branch.snapshot`)."""
    name, version = common_point(a, b)
    base = None if name is None else a.engine.at(name, version)
    before, after = _Side(a, base, version), _Side(b, base, version)
    candidates = before.etags.keys() | after.etags.keys() | before.gone.keys() | after.gone.keys()
    before.fill(candidates, base, after)
    after.fill(candidates, base, before)
    old, new = before.etags, after.etags
    return Touched(
        added=sorted(candidates & (new.keys() - old.keys())),
        removed=sorted(candidates & (old.keys() - new.keys())),
        changed=sorted(id_ for id_ in candidates if id_ in old and id_ in new and old[id_] != new[id_]),
    )


def deleted_ids(rows: Branch, base: Branch, since: int) -> set[str]:
    """Frame ids of the rows of an ancestor's version that are not among its descendant's rows any more."""
    return set(_deleted(rows, base, since, rows.count(f"{BORN} > {since}")))


def _deleted(rows: Branch, base: Branch, since: int, born: int) -> dict[str, int]:
    """Frame ids and row ids of deleted rows; `born` is how many were created since."""
    if base.count() + born == rows.count():
        return {}
    row_ids = rows.deleted_since(since)
    if row_ids is None:
        before = base.table([], None, with_row_id=True).column("_rowid").to_numpy()
        after = rows.table([], f"{BORN} <= {since}", with_row_id=True).column("_rowid").to_numpy()
        row_ids = np.setdiff1d(before, after, assume_unique=True).tolist()
    found = base.take(row_ids, ["id"])
    return dict(zip(found.column("id").to_pylist(), found.column("_rowid").to_pylist(), strict=True))


def _etags(rows: Branch, ids: Sequence[str]) -> dict[str, int]:
    if not ids:
        return {}
    found = rows.find(ids, ["id", "etag"])
    return dict(zip(found.column("id").to_pylist(), found.column("etag").to_pylist(), strict=True))


class MaskPixels(msgspec.Struct, frozen=True):
    """How many pixels of a mask went from one label to another: {(before, after): pixels}; None = void."""

    source: str
    mask: str
    pixels: dict[tuple[str | None, str | None], int]


class FrameDiff:
    """What differs in one frame. Records are compared at once; masks are opened only by `mask_pixels`."""

    def __init__(self, before: Frame | None, after: Frame | None, legends: tuple[Any, Any] = (None, None)) -> None:
        self.before = before
        self.after = after
        self._legends = legends
        self.changes = changes(before, after)

    def __repr__(self) -> str:
        return "\n".join([f"FrameDiff of {self.id!r}:", *(f"  {c.kind} {c.path}" for c in self.changes)])

    @property
    def id(self) -> str:
        """The frame's id."""
        return (self.before or self.after).id or ""  # type: ignore[union-attr]

    def _of(self, what: str) -> list[Change]:
        return [change for change in self.changes if change.what == what]

    @property
    def meta(self) -> list[Change]:
        """Fields and metadata of the frame."""
        return self._of("meta")

    @property
    def sources(self) -> list[Change]:
        """Fields of sources."""
        return self._of("source")

    @property
    def rois(self) -> list[Change]:
        """ROIs, whole."""
        return self._of("roi")

    @property
    def masks(self) -> list[Change]:
        """Mask files: added, removed, or with another URI, time, size or encoding."""
        return self._of("mask")

    def mask_pixels(self) -> list[MaskPixels]:
        """For each mask whose file or meaning changed and that both sides have: the pixels that changed, by labels.

        Raises:
            DecodeError, StorageError, FileNotFoundError: a mask cannot be read.
        """
        if self.before is None or self.after is None:
            return []
        named = {tuple(change.path.split(".", 3)[1::2]) for change in self.masks}
        is_other_meaning = self._legends[0] != self._legends[1] or any(
            side.mask for c in self.rois for side in (c.before, c.after) if side is not MISSING
        )
        found = []
        for source in self.before.sources:
            other = next((s for s in self.after.sources if s.id == source.id), None)
            kept = {mask.id for mask in other.masks} if other is not None else set()
            for mask in source.masks:
                if mask.id in kept and (is_other_meaning or (source.id, mask.id) in named):
                    found.append(MaskPixels(source.id, mask.id, self._moved(source.id, mask.id)))
        return [item for item in found if item.pixels]

    def _moved(self, source: str, mask: str) -> dict[tuple[str | None, str | None], int]:
        sides = []
        for record, legend in zip((self.before, self.after), self._legends, strict=True):
            handle: Any = handle_of(record, mask_labels=legend)  # type: ignore[arg-type]
            sides.append((handle[source] if len(record.sources) > 1 else handle).label_map(mask))  # type: ignore[union-attr]
        before, after = sides
        if before.data.shape != after.data.shape:
            return {(None, None): int(after.data.size)}
        # Entry numbers differ between legends, so labels are compared, not numbers.
        width = len(after.legend.entries) + 1
        pairs = before.data.astype(np.int64) * width + after.data
        numbers, counts = np.unique(pairs, return_counts=True)
        moved: dict[tuple[str | None, str | None], int] = {}
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            pair = _name(before.legend, number // width), _name(after.legend, number % width)
            if pair[0] != pair[1]:
                moved[pair] = moved.get(pair, 0) + count
        return moved


def _name(legend: Any, number: int) -> str | None:
    return ", ".join(legend.entries[number - 1].labels) if number else None


def legends_between(before: Stored | None, after: Stored | None) -> dict[str, tuple[Any, Any]]:
    """The mask ids whose legends differ, with both."""
    old, new = before or {}, after or {}
    return {
        id_: (old.get(id_), new.get(id_)) for id_ in sorted(old.keys() | new.keys()) if old.get(id_) != new.get(id_)
    }


class VersionDiff:
    """What it takes to get from version `a` to version `b`, as of the call.

    Attributes:
        added, removed, changed: sorted frame ids.
        legends: mask id ("_all_" = every mask) → the version's legend for it before and after, None = it has none; only
            those that differ. Frames that do not change may be read otherwise by them.
    """

    def __init__(self, a: "DatasetVersion", b: "DatasetVersion") -> None:
        self.a, self.b = a, b
        self._rows = a.rows(), b.rows()
        self._legends = a.get_masks_labels() or None, b.get_masks_labels() or None
        self.legends = legends_between(*self._legends)
        self._touched = compare_rows(*self._rows)
        self.added = self._touched.added
        self.removed = self._touched.removed
        self.changed = self._touched.changed

    def __repr__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        counts += f", {len(self.legends)} legends" if self.legends else ""
        return f"VersionDiff({self.a.name} → {self.b.name}: {counts})"

    def __len__(self) -> int:
        return len(self._touched)

    def frame(self, frame_id: str) -> FrameDiff:
        """What differs in one frame; nothing for a frame that is the same, or in neither version."""
        sides = [from_rows(rows.find([frame_id], TRUTH.names)) for rows in self._rows]
        if not any(sides):
            raise VersionError(f"neither {self.a.name!r} nor {self.b.name!r} has a frame {frame_id!r}")
        before, after = (side[0] if side else None for side in sides)
        return FrameDiff(before, after, self._legends)

    def frames(self) -> Iterator[FrameDiff]:
        """Every changed frame with what differs in it."""
        for start in range(0, len(self.changed), 256):
            ids = self.changed[start : start + 256]
            before, after = ({f.id: f for f in from_rows(rows.find(ids, TRUTH.names))} for rows in self._rows)
            for id_ in ids:
                yield FrameDiff(before.get(id_), after.get(id_), self._legends)


def compare(a: "DatasetVersion", b: "DatasetVersion") -> VersionDiff:
    """See `Dataset.diff`."""
    return VersionDiff(a, b)
