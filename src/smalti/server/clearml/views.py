"""Views of the wire: the inline dataview of a request as one of our views, on the state of its drafts at the start."""

from typing import Any

import msgspec

from smalti.errors import QueryError, SmaltiError
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Hub
from smalti.server.clearml.tables import WireTable
from smalti.store import DatasetVersion
from smalti.store.table import VersionTable, draft_state
from smalti.view import DataView

__all__ = ["Pins", "pins_of", "spec_of", "view_of"]

Pins = dict[str, int]
"""For every draft that a scroll reads, the state of its rows: a scroll sees one state from beginning to end."""


def spec_of(given: Any, *, unlimited: bool = False, seed: int | None = None) -> dict[str, Any]:
    """The dataview of a request, checked for what `DataView.from_spec` takes for granted.

    Args:
        given: the JSON.
        unlimited: without order, length and repetition: for counting.
        seed: of a random order, where the dataview names none.
    """
    if not isinstance(given, dict):
        raise Fault(400, "field 'dataview' is missing; give an object with versions")
    for key, kind in (("versions", list), ("filters", list), ("iteration", dict), ("mapping", dict)):
        if given.get(key) is not None and not isinstance(given[key], kind):
            raise Fault(400, f"dataview.{key} is a {type(given[key]).__name__}; give a {kind.__name__}")
    for key in ("versions", "filters"):
        if any(not isinstance(item, dict) for item in given.get(key) or ()):
            raise Fault(400, f"dataview.{key} holds something that is not an object")
    numbers = given.get("labels_enumeration")
    if numbers is not None and not isinstance(numbers, dict):
        raise Fault(400, "dataview.labels_enumeration is no object; give label → number")
    rules = (given.get("mapping") or {}).get("rules") or []
    if not isinstance(rules, list) or any(not isinstance(rule, dict) for rule in rules):
        raise Fault(400, "dataview.mapping.rules is no list of objects")
    if any(rule.get("vector_search") for rule in given.get("filters") or ()):
        raise Fault(400, "a filter with vector_search is not understood here; use frames.get_snippets_for_dataview2")
    found = {key: value for key, value in given.items() if key != "smalti"}
    found["versions"] = _distinct(given.get("versions") or [])
    iteration = dict(found.get("iteration") or {})
    if seed is not None and iteration.get("random_seed") is None:
        iteration["random_seed"] = seed
    found["iteration"] = {} if unlimited else iteration
    return found


def _distinct(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each version once: the client before 2.1.8 names one for every query, and its frames are there only once."""
    pairs: dict[str, dict[str, Any]] = {}
    for entry in versions:
        pairs.setdefault(str((entry.get("dataset"), entry.get("version"))), entry)
    return list(pairs.values())


def view_of(hub: Hub, spec: dict[str, Any], pins: Pins | None = None) -> DataView:
    """The view of a dataview; the frames that it chooses are looked up once for each state of its versions.

    Raises:
        Fault: it names no versions, or some that do not exist.
        QueryError: a text in it cannot be read.
    """
    versions = [_version(hub, entry) for entry in spec.get("versions") or ()]
    if not versions:
        raise Fault(400, "dataview.versions is empty; name at least one dataset and version")
    states = [_State(version, pins or {}, hub) for version in versions]
    newer = [_newer(hub, entry) for entry in spec.get("versions") or ()]
    read = [state.fingerprint for state in states] + [table.fingerprint if table else "" for table in newer]
    key = (msgspec.json.encode(spec, order="sorted"), *read)

    def make() -> DataView:
        tables = [WireTable(state.table(), hub.catalog, new) for state, new in zip(states, newer, strict=True)]
        try:
            view = DataView.from_spec(spec, tables)
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, SmaltiError):
                raise
            raise QueryError(f"the dataview cannot be read: {error}") from None
        view.chosen()
        return view

    return hub.remembered(("view", key), make)


def _version(hub: Hub, entry: dict[str, Any]) -> DatasetVersion:
    version_id, dataset_id = entry.get("version"), entry.get("dataset")
    if not isinstance(version_id, str) or not isinstance(dataset_id, str):
        raise Fault(400, "every entry of dataview.versions has a dataset and a version, both ids")
    return hub.version(version_id, dataset_id)


def _newer(hub: Hub, entry: dict[str, Any]) -> VersionTable | None:
    """The version whose newer frames go along, where an entry names one to merge with."""
    uuid = entry.get("merge_with")
    if uuid is not None and not isinstance(uuid, str):
        raise Fault(400, "merge_with in dataview.versions is the id of a version")
    return hub.service.table(hub.version(uuid, entry.get("dataset"))) if uuid else None


class _State:
    """The state of a version that a request means: the one that its scroll began with, else the newest."""

    def __init__(self, version: DatasetVersion, pins: Pins, hub: Hub) -> None:
        self._version = version
        self._pin = None if version.is_published else pins.get(version.id)
        self._table = hub.service.table(version) if self._pin is None else None

    @property
    def fingerprint(self) -> str:
        """As that of the table, which need not be opened for it."""
        if self._table is not None:
            return self._table.fingerprint
        return draft_state(self._version.row.branch, self._pin or 0, self._version.rebuilt)

    def table(self) -> VersionTable:
        """What reads it."""
        if self._table is not None:
            return self._table
        table = VersionTable(self._version)
        if table.rows.version != self._pin:
            table.rows = self._version.dataset.engine.at(self._version.row.branch, self._pin).snapshot()
        return table


def pins_of(view: DataView) -> Pins:
    """The states of the drafts that a view reads."""
    found = {}
    for table in view.tables:
        if isinstance(table, VersionTable) and not table.is_published:
            found[table.version] = table.rows.version
    return found
