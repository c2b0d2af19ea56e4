"""Three-way merge of versions: their legends per mask id; frames, and inside a frame per metadata leaf, source field,
mask and ROI.

A frame that one side alone has changed is taken as it is, row by row. A frame that both have changed is taken apart
(see `store.changes`) and put together again; a part that both have changed, each in another way, is a conflict.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pyarrow as pa

from smalti.errors import ConflictError, VersionError
from smalti.records import Frame
from smalti.store.changes import MISSING, changes, parts_of, rebuilt, same
from smalti.store.derive import derive
from smalti.store.diff import Touched, common_point, compare_rows
from smalti.store.engine import Branch, where_in
from smalti.store.keeping import keep_facts
from smalti.store.legends import ALL_MASKS, Stored
from smalti.store.promoted import conform
from smalti.store.relabeling import forget_facts, without_facts
from smalti.store.rows import VersionRow
from smalti.store.schema import SCHEMA, TRUTH, from_rows, to_rows

if TYPE_CHECKING:
    from smalti.store.dataset import Dataset
    from smalti.store.version import DatasetVersion

__all__ = ["Conflict", "Rule", "fill_from_parents", "merge", "merge_frames"]

Rule = Literal["error", "ours", "theirs"] | Callable[["Conflict"], str]
_AT_ONCE = 1000
_TRIES = 5
WHOLE = "(frame)"


class Conflict(msgspec.Struct):
    """Something that both sides changed, each in another way.

    Attributes:
        frame: id of the frame; "" for what belongs to the version.
        path: the part, as in `Change.path`, or "(frame)" where one side deleted the frame and the other changed it; of
            the version `mask_labels.<mask id>`, its legend for these masks.
        base, ours, theirs: what each has; MISSING where it has nothing.
        chosen: what the rule decided: "ours" or "theirs"; "" while nothing is decided.
    """

    frame: str
    path: str
    base: Any
    ours: Any
    theirs: Any
    chosen: str = ""


def merge_frames(
    base: Frame | None, ours: Frame | None, theirs: Frame | None, choose: Callable[[Conflict], str]
) -> Frame | None:
    """One frame from three; None = it is deleted. `choose` decides conflicts."""
    frame_id = next(side.id or "" for side in (ours, theirs, base) if side is not None)
    if ours is None or theirs is None:
        left = ours if ours is not None else theirs
        if base is None or left is None:
            return left
        if not changes(base, left):
            return None
        was, a, b = (MISSING if side is None else side for side in (base, ours, theirs))
        chosen = choose(Conflict(frame_id, WHOLE, was, a, b))
        return ours if chosen == "ours" else theirs
    old, mine, other = parts_of(base), parts_of(ours), parts_of(theirs)
    parts: dict[tuple[str, ...], Any] = {}
    for key in dict.fromkeys([*mine, *other]):
        was, a, b = (side.get(key, MISSING) for side in (old, mine, other))
        if same(a, b) or same(b, was):
            kept = a
        elif same(a, was):
            kept = b
        else:
            kept = a if choose(Conflict(frame_id, ".".join(key), was, a, b)) == "ours" else b
        if kept is not MISSING:
            parts[key] = kept
    return rebuilt(frame_id, parts)


class _Side(msgspec.Struct, frozen=True):
    """Rows to merge, and the legends that their masks are read by."""

    rows: Branch
    legend: Stored


def _side(version: "DatasetVersion", rows: Branch | None = None) -> _Side:
    return _Side(version.rows() if rows is None else rows, version.row.legend or {})


def _ancestor(dataset: "Dataset", ours: Branch, theirs: Branch) -> _Side | None:
    name, version = common_point(ours, theirs)
    if name is None:
        return None
    known = dataset.catalog.list_versions(dataset.id, deleted=True)
    legend = next((row.legend for row in known if row.branch == name), None)
    return _Side(ours.engine.at(name, version), legend or {})


class _Plan(msgspec.Struct):
    """What to write to make a merge.

    Attributes:
        copied: ids to copy from theirs as they are; `written`: frames to write; `deleted`: ids to delete.
        legend: of the result.
        relabels: whether the masks of ours are read otherwise from then on; `recounts`: those that are copied, too.
    """

    copied: list[str]
    written: list[Frame]
    deleted: list[str]
    conflicts: list[Conflict]
    legend: Stored = {}
    relabels: bool = False
    recounts: bool = False


def _plan(base: _Side | None, ours: _Side, theirs: _Side, rule: Rule) -> _Plan:
    start = base.rows if base is not None else None
    here = compare_rows(start, ours.rows) if start is not None else _everything(ours.rows)
    there = compare_rows(start, theirs.rows) if start is not None else _everything(theirs.rows)
    mine = set(here.ids())
    plan = _Plan(
        copied=[id_ for id_ in (*there.added, *there.changed) if id_ not in mine],
        written=[],
        deleted=[id_ for id_ in there.removed if id_ not in mine],
        conflicts=[],
    )

    def choose(conflict: Conflict) -> str:
        conflict.chosen = rule(conflict) if callable(rule) else "ours" if rule == "error" else rule
        if conflict.chosen not in ("ours", "theirs"):
            raise VersionError(f"the merge rule returned {conflict.chosen!r}; allowed: 'ours', 'theirs'")
        plan.conflicts.append(conflict)
        return conflict.chosen

    both = [id_ for id_ in there.ids() if id_ in mine]
    for id_, (was, a, b) in _three(both, start, ours.rows, theirs.rows):
        merged = merge_frames(was, a, b, choose)
        if merged is None:
            plan.deleted.append(id_)
        elif merged is not a:
            plan.written.append(merged)
    plan.legend = _merge_legends(base.legend if base is not None else {}, ours.legend, theirs.legend, choose)
    plan.relabels = plan.legend != ours.legend
    plan.recounts = plan.relabels or plan.legend != theirs.legend
    return plan


def _merge_legends(base: Stored, ours: Stored, theirs: Stored, choose: Callable[[Conflict], str]) -> Stored:
    """One legend a mask id: that of the side which changed it. A mask without one of its own is read by that of all."""
    merged: Stored = {}
    for mask_id in dict.fromkeys([ALL_MASKS, *base, *ours, *theirs]):
        was, a, b = (side.get(mask_id, side.get(ALL_MASKS, MISSING)) for side in (base, ours, theirs))
        if a == b or b == was:
            kept = a
        elif a == was:
            kept = b
        else:
            kept = a if choose(Conflict("", f"mask_labels.{mask_id}", was, a, b)) == "ours" else b
        if kept is not MISSING and (mask_id in ours or kept != merged.get(ALL_MASKS)):
            merged[mask_id] = kept
    return merged


def _everything(rows: Branch) -> Touched:
    return Touched(added=rows.table(["id"]).column("id").to_pylist(), removed=[], changed=[])


def _three(
    ids: Sequence[str], base: Branch | None, ours: Branch, theirs: Branch
) -> Iterator[tuple[str, list[Frame | None]]]:
    for start in range(0, len(ids), _AT_ONCE):
        chunk = ids[start : start + _AT_ONCE]
        sides = [
            {} if rows is None else {frame.id: frame for frame in from_rows(rows.find(chunk, TRUTH.names))}
            for rows in (base, ours, theirs)
        ]
        for id_ in chunk:
            yield id_, [side.get(id_) for side in sides]


def _refuse(plan: _Plan, rule: Rule, what: str) -> None:
    if rule == "error" and plan.conflicts:
        some = ", ".join(f"{c.frame}: {c.path}" if c.frame else c.path for c in plan.conflicts[:5])
        more = f" and {len(plan.conflicts) - 5} more" if len(plan.conflicts) > 5 else ""
        raise ConflictError(
            f"{what}: both sides changed {some}{more}",
            conflicts=plan.conflicts,
            advice="choose a rule ('ours', 'theirs', or a function)",
            command="choose a side: --rule ours or --rule theirs",
        )


def _apply(target: Branch, theirs: Branch, plan: _Plan, renew: Callable[[], None]) -> None:
    schema = target.schema
    for start in range(0, len(plan.copied), _AT_ONCE):
        renew()
        rows = theirs.find(plan.copied[start : start + _AT_ONCE], SCHEMA.names)
        batches = [conform(batch, schema) for batch in rows.to_batches() if len(batch)]
        if batches:
            taken = pa.Table.from_batches(batches)
            target.upsert(without_facts(taken) if plan.recounts else taken)
    for start in range(0, len(plan.written), _AT_ONCE):
        renew()
        rows = conform(derive(to_rows(plan.written[start : start + _AT_ONCE])), schema)
        target.upsert(keep_facts(target, rows))
    for start in range(0, len(plan.deleted), _AT_ONCE):
        renew()
        target.delete(where_in("id", plan.deleted[start : start + _AT_ONCE]))


def merge(
    dataset: "Dataset",
    ours: "DatasetVersion",
    theirs: "DatasetVersion",
    base: "DatasetVersion | None",
    *,
    rule: Rule,
    name: str | None,
) -> "DatasetVersion":
    """See `Dataset.merge`."""
    what = f"merging {theirs.name!r} into {ours.name!r} of dataset {dataset.name!r}"
    other = _side(theirs)
    if ours.is_published:
        mine = _side(ours)
        start = _side(base) if base is not None else _ancestor(dataset, mine.rows, other.rows)
        _refuse(_plan(start, mine, other, rule), rule, what)
        ours = dataset.create_version(name or f"{ours.name}+{theirs.name}", parents=[ours])
    elif name is not None:
        raise VersionError(
            f"{what}: a draft is changed in place, so there is no child to call {name!r}; leave name out"
        )
    with ours.lease("a merge") as renew, ours.writing() as target:
        for _ in range(_TRIES):
            mine = _side(ours, target.snapshot())
            start = _side(base) if base is not None else _ancestor(dataset, mine.rows, other.rows)
            plan = _plan(start, mine, other, rule)
            _refuse(plan, rule, what)
            if target.version == mine.rows.version:
                break
        else:
            raise ConflictError(f"{what}: others kept changing it meanwhile; try again when they are done")
        if (
            plan.relabels
        ):  # before the rows: whatever a crash leaves has the meaning that it keeps, and a second run the rest
            forget_facts(target, renew)
            ours.change_draft(legend=plan.legend)
        _apply(target, other.rows, plan, renew)
    _remember(ours, theirs, plan)
    return ours


def _remember(ours: "DatasetVersion", theirs: "DatasetVersion", plan: _Plan) -> None:
    row = ours.row
    merged = [*row.extra.get("merged", []), {"version": theirs.id, "name": theirs.name}]
    decided = [{"frame": c.frame, "path": c.path, "chosen": c.chosen} for c in plan.conflicts]
    extra = dict(row.extra) | {"merged": merged, "conflicts": [*row.extra.get("conflicts", []), *decided]}
    parents = [*row.parents, theirs.id] if theirs.is_published and theirs.id not in row.parents else row.parents
    ours.change_draft(parents=parents, extra=extra)


def fill_from_parents(
    dataset: "Dataset", row: VersionRow, parents: Sequence["DatasetVersion"], rule: Rule
) -> "DatasetVersion":
    """A new version off the first parent with the changes of the others; its row is written when all is done."""
    from smalti.store.version import DatasetVersion

    first = parents[0].row
    row.base_version = dataset.engine.create_branch(row.branch, (first.branch, first.head_version or 0))
    target = dataset.engine.at(row.branch)
    decided: list[dict[str, str]] = []
    try:
        for other in parents[1:]:
            mine, theirs = _Side(target.snapshot(), row.legend or {}), _side(other)
            plan = _plan(_ancestor(dataset, mine.rows, theirs.rows), mine, theirs, rule)
            _refuse(plan, rule, f"version {row.name!r} from {parents[0].name!r} and {other.name!r}")
            if plan.relabels:
                forget_facts(target)
            _apply(target, theirs.rows, plan, lambda: None)
            row.legend = plan.legend or None
            decided += [{"frame": c.frame, "path": c.path, "chosen": c.chosen} for c in plan.conflicts]
        if decided:
            row.extra = {"conflicts": decided}
        made = dataset.catalog.create_version(row)
    except BaseException:
        dataset.engine.delete_branch(row.branch)
        raise
    return DatasetVersion(dataset, made)
