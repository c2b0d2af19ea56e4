"""Statistics, differences between versions, and what a query could ask for."""

import re
from collections import Counter
from typing import Annotated, Any

import msgspec
import numpy as np
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from smalti.errors import QueryError, SmaltiError
from smalti.query import complete
from smalti.query.fields import known_fields
from smalti.query.parse import parse
from smalti.server.asking import AnyRequest, as_json, page_of
from smalti.server.auth import needs
from smalti.server.export import KINDS, csv_of, stream_frames
from smalti.server.payloads.datasets import ChangeOut, DiffFrame, DiffItem, DiffOut, MaskMove
from smalti.server.payloads.frames import (
    Completion,
    Parsed,
    ParseQuery,
    Search,
    Statistics,
    StatisticsRequest,
    StatisticsRow,
)
from smalti.server.problems import Refusal
from smalti.server.search import Result, run
from smalti.server.service import Found, Service, plain
from smalti.stats import statistics_of
from smalti.store import DatasetVersion
from smalti.store.changes import MISSING
from smalti.store.pushdown import labels_in
from smalti.store.words import VersionWords

__all__ = ["ROUTES"]

Hub = NamedDependency[Service]
PageSize = Annotated[int, QueryParameter(ge=1, le=1000)]
_AT_ONCE = 4096


@post(
    "/versions/{version:str}/statistics",
    sync_to_thread=True,
    status_code=200,
    guards=[needs("viewer")],
    tags=["versions"],
)
def count(
    hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[StatisticsRequest]
) -> Response[Statistics]:
    """Counts by label or by a property, over all frames or those of a query; as CSV with `Accept: text/csv`."""
    hub.statistics.spend(str(request.scope.get("smalti.identity")))
    result = run(hub, hub.version(version), Search(query=data.query, filters=data.filters, sort="id"))
    key = ("statistics", result.state, msgspec.json.encode(data))
    found: Statistics = hub.searches.get_or(key, lambda: _statistics(result, data))
    if request.headers.get("accept", "").startswith("text/csv"):
        rows = [[getattr(row, name) for name in row.__struct_fields__] for row in found.rows]
        text = csv_of(list(StatisticsRow.__struct_fields__), rows)
        headers = {"Content-Disposition": 'attachment; filename="statistics.csv"'}
        answer: Any = Response(content=text, media_type="text/csv", headers=headers)
        return answer  # type: ignore[no-any-return]  # the same numbers in another dress
    return as_json(found)


def _statistics(result: Result, asked: StatisticsRequest) -> Statistics:
    if asked.scope == "mask":
        return _of_masks(result, asked.mask)
    if asked.property is not None:
        return _of_property(result, asked.property)
    rois, frames, total, masks = Counter[str](), Counter[str](), 0, 0
    for start in range(0, len(result.rows), _AT_ONCE):
        rows = result.table.rows.take(result.rows[start : start + _AT_ONCE].tolist(), ["roi_ls", "labels"])
        tokens = rows.column("roi_ls").combine_chunks().flatten().value_counts()
        for token, n in zip(tokens.field("values").to_pylist(), tokens.field("counts").to_pylist(), strict=True):
            total += n
            for label in labels_in(token):
                rois[label] += n
        labels = rows.column("labels").combine_chunks().flatten().value_counts()
        names, counts = labels.field("values").to_pylist(), labels.field("counts").to_pylist()
        frames.update(dict(zip(names, counts, strict=True)))
    counted = rois if asked.scope == "roi" else frames
    of = total if asked.scope == "roi" else len(result.rows)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    listed = [StatisticsRow(label=k, count=n, share=n / of if of else 0.0, frames=frames[k]) for k, n in ranked]
    return Statistics(scope=asked.scope, frames=len(result.rows), rois=total, masks=masks, of=of, rows=listed)


def _of_property(result: Result, field: str) -> Statistics:
    if not field.startswith("meta.") and field not in ("context_id", "timestamp"):
        raise QueryError(f"the property is {field!r}; allowed: context_id, timestamp, meta.<path>", text=field)
    values = result.table.column(result.rows, field) if len(result.rows) else []
    texts = Counter(msgspec.json.encode(value) for value in values)
    of = len(result.rows)
    rows = [
        StatisticsRow(label=msgspec.json.decode(text), count=n, share=n / of, frames=n)
        for text, n in texts.most_common(1000)
    ]
    return Statistics(scope="frame", frames=of, rois=0, masks=0, of=of, rows=rows)


def _of_masks(result: Result, mask: str | None) -> Statistics:
    without, known = 0, []
    for start in range(0, len(result.rows), _AT_ONCE):
        for facts in result.table.facts(result.rows[start : start + _AT_ONCE]):
            if facts is None:
                without += 1
            else:
                known.append([item for item in facts.values() if mask in (None, item.mask)])
    totals = statistics_of(known)
    rows = [
        StatisticsRow(
            label=row.label,
            count=row.pixels,
            share=row.pixels / totals.pixels if totals.pixels else 0.0,
            frames=row.frames,
            pixels=row.pixels,
            mean_share=row.mean_share,
        )
        for row in totals.ranked()
    ]
    return Statistics(
        scope="mask",
        frames=len(result.rows),
        rois=0,
        masks=totals.masks,
        of=totals.pixels,
        void=totals.void,
        without_facts=without,
        rows=rows,
    )


# ------------------------------------------------------------------------------------------------------------ diff
@get("/versions/{version:str}/diff/{other:str}", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def diff_versions(
    hub: Hub,
    version: FromPath[str],
    other: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 100,
) -> DiffOut:
    """What it takes to get from one version to another: how many frames, and which."""
    a, b = _pair(hub, version, other)
    found = a.dataset.diff(a, b)
    kinds = (("changed", found.changed), ("added", found.added), ("removed", found.removed))
    items = [DiffItem(id=id_, kind=kind) for kind, ids in kinds for id_ in ids]  # type: ignore[arg-type]
    shown, following = page_of(items, cursor, limit)
    return DiffOut(
        a=a.id,
        b=b.id,
        added=len(found.added),
        removed=len(found.removed),
        changed=len(found.changed),
        items=shown,
        next=following,
    )


def _pair(hub: Service, version: str, other: str) -> tuple[DatasetVersion, DatasetVersion]:
    a, b = hub.version(version), hub.version(other)
    if a.dataset.id != b.dataset.id:
        raise Refusal(422, "version", "the versions belong to different datasets; compare two of one")
    return a, b


@get(
    "/versions/{version:str}/diff/{other:str}/frames/{frame:str}",
    sync_to_thread=True,
    guards=[needs("viewer")],
    tags=["versions"],
)
def diff_frame(hub: Hub, version: FromPath[str], other: FromPath[str], frame: FromPath[str]) -> DiffFrame:
    """What differs in one frame, and how many pixels of its masks went from one label to another."""
    a, b = _pair(hub, version, other)
    found = a.dataset.diff(a, b).frame(plain(frame))
    changes = [
        ChangeOut(kind=c.kind, what=c.what, path=c.path, before=_plain(c.before), after=_plain(c.after))
        for c in found.changes
    ]
    moved: list[MaskMove] = []
    failed: list[str] = []
    if found.before is not None and found.after is not None and found.changes:
        sides = Found(a, found.before, ""), Found(b, found.after, "")
        for source in found.before.sources:
            for mask in source.masks:
                try:
                    moved += _moved(hub, sides, source.id, mask.id)
                except (SmaltiError, OSError, Refusal) as error:
                    failed.append(f"{source.id}/{mask.id}: {error}")
    return DiffFrame(id=found.id, changes=changes, pixels=moved, failed=failed)


def _plain(value: Any) -> Any:
    return None if value is MISSING else msgspec.to_builtins(value)


def _moved(hub: Service, sides: tuple[Found, Found], source: str, mask: str) -> list[MaskMove]:
    other = next((s for s in sides[1].record.sources if s.id == source), None)
    if other is None or all(m.id != mask for m in other.masks):
        return []
    plans = [side.plan(source, mask) for side in sides]
    if any(plan.is_alpha for plan in plans):
        return []
    before, after = (hub.pictures.labels(plan, float(plan.mask.timestamp)) for plan in plans)
    if before.etag == after.etag:
        return []
    if before.map.size_hw != after.map.size_hw:
        raise Refusal(422, "decode", f"the masks are {before.map.size_hw} and {after.map.size_hw} (height, width)")
    width = len(after.map.legend.entries) + 1
    pairs, counts = np.unique(before.map.data.astype(np.int64) * width + after.map.data, return_counts=True)
    found: Counter[tuple[str | None, str | None]] = Counter()
    for pair, n in zip(pairs.tolist(), counts.tolist(), strict=True):
        names = _name(before.map, pair // width), _name(after.map, pair % width)
        if names[0] != names[1]:
            found[names] += n
    return [MaskMove(source=source, mask=mask, before=a, after=b, pixels=n) for (a, b), n in found.most_common()]


def _name(labels: Any, number: int) -> str | None:
    return ", ".join(labels.legend.entries[number - 1].labels) if number else None


# ---------------------------------------------------------------------------------------------------------- queries
@get("/versions/{version:str}/fields", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def list_fields(hub: Hub, version: FromPath[str]) -> dict[str, list[str]]:
    """What can be asked of the frames: fixed fields, metadata paths of the first frames, labels."""
    words = _words(hub, hub.version(version))
    return {"fields": known_fields("view"), "meta": list(words.meta_paths()), "labels": list(words.labels())}


def _words(hub: Service, version: DatasetVersion) -> VersionWords:
    table = hub.table(version)
    found: VersionWords = hub.searches.get_or(("words", version.id, table.fingerprint), lambda: VersionWords(table))
    return found


@post("/query/parse", sync_to_thread=True, status_code=200, guards=[needs("viewer")], tags=["queries"])
def parse_query(hub: Hub, data: JSONBody[ParseQuery]) -> Parsed:
    """Whether a query can be read, where it cannot and why, and how the word at `column` could go on."""
    version = hub.version(data.version) if data.version is not None else None
    answer = Parsed(ok=True)
    try:
        parse(data.text, data.mode)
    except QueryError as error:
        answer = Parsed(ok=False, error=error.reason, column=error.column)
        word = re.match(r"[^\s():]*", data.text[error.column :])
        stop = error.column + (word.end() if word else 0)
        answer.completions = [
            Completion(text=text, start=error.column, stop=stop, kind="field") for text in error.completions
        ]
    words = _words(hub, version) if version is not None else None
    for item in complete(data.text, data.column, mode=data.mode, words=words):
        if item.kind in ("label", "value") or item.start < item.stop:  # nothing is proposed before anything is typed
            answer.completions.append(Completion(item.text, item.start, item.stop, item.kind))
    return answer


@get("/versions/{version:str}/export", sync_to_thread=True, guards=[needs("viewer")], tags=["frames"])
def export_frames(hub: Hub, version: FromPath[str], fmt: FromQuery[str] = "jsonl", q: FromQuery[str] = "") -> Any:
    """The frames of a query as JSON lines (whole frames) or CSV (one line a frame)."""
    if fmt not in KINDS:
        raise Refusal(400, "format", f"fmt is {fmt!r}; allowed: {', '.join(KINDS)}")
    return stream_frames(run(hub, hub.version(version), Search(query=q)), fmt)


ROUTES = [count, diff_versions, diff_frame, list_fields, parse_query, export_frames]
