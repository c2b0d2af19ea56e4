"""A version behind a server: see `smalti.store.DatasetVersion`, whose names and meanings these are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from smalti import wire
from smalti.client.frames import remote_handle
from smalti.client.http import Http, segment
from smalti.errors import FrameError
from smalti.facts import MaskFacts
from smalti.frames import FrameGroup, SingleFrame
from smalti.legend import Legend
from smalti.query.match import matches
from smalti.query.nodes import Node
from smalti.records import Frame
from smalti.tables import ListTable

if TYPE_CHECKING:
    from smalti.client.store import RemoteDataset
    from smalti.view import DataView

__all__ = ["RemoteVersion"]

_AT_ONCE = 500


class RemoteVersion:
    """One version of a dataset of a server. Get one from `dataset[name]`."""

    def __init__(self, dataset: "RemoteDataset", row: dict[str, Any]) -> None:
        self.dataset = dataset
        self._row = row

    def __repr__(self) -> str:
        return f"RemoteVersion({self.dataset.name}@{self.name}, {self._row['state']})"

    @property
    def http(self) -> Http:
        """The server."""
        return self.dataset.http

    @property
    def path(self) -> str:
        """Below which its routes lie."""
        return f"/versions/{segment(self.id)}"

    # ------------------------------------------------------------------------------------------- what it is
    @property
    def row(self) -> dict[str, Any]:
        """What the server says now."""
        self._row = self.http.ask("GET", self.path)
        return self._row

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return str(self._row["id"])

    @property
    def name(self) -> str:
        """Its name among the versions of the dataset."""
        return str(self._row["name"])

    @property
    def state(self) -> str:
        """ "draft", "publishing" or "published"."""
        return str(self._row["state"] if self._row["state"] == "published" else self.row["state"])

    @property
    def is_published(self) -> bool:
        """Whether it can never change again."""
        return self.state == "published"

    @property
    def parents(self) -> list["RemoteVersion"]:
        """The versions it was made from."""
        return [self.dataset[parent] for parent in self._row["parents"]]

    @property
    def description(self) -> str:
        """Free text."""
        return str(self._row["description"])

    @property
    def tags(self) -> list[str]:
        """Free words."""
        return list(self._row["tags"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Free JSON about the version, with the legends under "mask_labels"."""
        found: dict[str, Any] = self.http.ask("GET", f"{self.path}/metadata")
        return found

    # ---------------------------------------------------------------------------------------------- reading
    def __len__(self) -> int:
        return int(self.row["frames"])

    def __contains__(self, frame_id: object) -> bool:
        if not isinstance(frame_id, str):
            return False
        try:
            self.http.ask("GET", f"{self.path}/frames/{segment(frame_id)}")
        except FrameError:
            return False
        return True

    def __iter__(self) -> Iterator[SingleFrame | FrameGroup]:
        return self.frames()

    def _read(self, frame_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.ask("GET", f"{self.path}/frames/{segment(frame_id)}")
        return found

    def get(self, frame_id: str) -> SingleFrame | FrameGroup:
        """The frame with this id.

        Raises:
            FrameError: there is none.
        """
        return self.handle(self.get_record(frame_id))

    get_single_frame = get

    def get_record(self, frame_id: str) -> Frame:
        """The record of the frame with this id."""
        return wire.from_dict(self._read(frame_id)["frame"])

    def get_many(self, frame_ids: Sequence[str]) -> list[Frame]:
        """The records with these ids, in that order; ids that are not there are left out."""
        found = []
        for frame_id in frame_ids:
            try:
                found.append(self.get_record(frame_id))
            except FrameError:
                continue
        return found

    def etag(self, frame_id: str) -> str:
        """What to hand to `update_frame(if_match=...)`."""
        return str(self._read(frame_id)["etag"])

    def handle(self, record: Frame) -> SingleFrame | FrameGroup:
        """A record as SingleFrame or FrameGroup whose pixels come from the server."""
        return remote_handle(record, self, self.get_masks_labels() or None)

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            body = {"limit": _AT_ONCE, **asked, **({"cursor": cursor} if cursor else {})}
            page = self.http.ask("POST", f"{self.path}/frames/search", body)
            yield from page["hits"]
            cursor = page["next"]
            if cursor is None:
                return

    def frame_ids(self) -> list[str]:
        """The ids of all frames, by context, timestamp and id."""
        return [hit["id"] for hit in self._pages()]

    def records(self) -> Iterator[Frame]:
        """Every frame as a record, by context, timestamp and id."""
        for hit in self._pages(fields="full"):
            yield wire.from_dict(hit["frame"])

    def frames(self) -> Iterator[SingleFrame | FrameGroup]:
        """Every frame, by context, timestamp and id."""
        legend = self.get_masks_labels() or None
        for record in self.records():
            yield remote_handle(record, self, legend)

    def scan(self, tree: Node | None = None, columns: Sequence[str] | None = None) -> Iterator[Frame]:
        """The frames that a query tree selects, as records; the tree is evaluated here."""
        for hit in self._pages(fields="full", facts=tree is not None):
            record = wire.from_dict(hit["frame"])
            if tree is None or matches(tree, record, _facts(hit)):
                yield record

    def search(self, query: str = "", **asked: Any) -> Iterator[SingleFrame | FrameGroup]:
        """The frames that a query text selects; evaluated by the server."""
        legend = self.get_masks_labels() or None
        for hit in self._pages(fields="full", query=query, **asked):
            yield remote_handle(wire.from_dict(hit["frame"]), self, legend)

    @property
    def table(self) -> ListTable:
        """What a view reads: the frames as they are now, in memory, with the stored facts of their masks."""
        hits = list(self._pages(fields="full", facts=True))
        frames = [wire.from_dict(hit["frame"]) for hit in hits]
        facts = {hit["id"]: found for hit in hits if (found := _facts(hit)) is not None}
        labels = self.get_masks_labels() or None
        return ListTable(frames, facts=facts, dataset=self.dataset.id, version=self.id, mask_labels=labels)

    def view(self, query: str = "") -> "DataView":
        """The frames that a query asks for, to map, order, split and iterate; they are read into memory."""
        from smalti.view import DataView

        return DataView(self, query)

    # ---------------------------------------------------------------------------------------------- writing
    def add_frames(self, frames: Iterable[Any], **options: Any) -> list[Any]:
        """Store frames; one whose id is there already is replaced. Returns those that were not stored, with reasons.

        Files stay where they are: the server must be able to read the URIs.
        """
        from smalti.store.ingest import Failed, record_of

        if unknown := [name for name, value in options.items() if value not in (None, False)]:
            raise FrameError(f"{', '.join(unknown)} works only where the store is; upload the files first")
        failed: list[Any] = []
        waiting: list[dict[str, Any]] = []
        size = 0

        def send() -> None:
            if waiting:
                answer = self.http.ask("POST", f"{self.path}/frames", {"frames": waiting})
                failed.extend(Failed(item["id"], item["error"], item["kind"]) for item in answer["failed"])
                waiting.clear()

        for item in frames:
            try:
                document = wire.to_dict(record_of(item))
            except FrameError as error:
                failed.append(Failed(getattr(item, "id", None), str(error), "validation"))
                continue
            size += len(msgspec.json.encode(document))
            if size > 4 << 20 or len(waiting) >= _AT_ONCE:
                send()
                size = 0
            waiting.append(document)
        send()
        return failed

    def update_frames(self, frames: Iterable[Any], **options: Any) -> list[Any]:
        """Replace frames that are there, and add those that are not."""
        return self.add_frames(frames, **options)

    def update_frame(self, frame: Any, *, if_match: str | None = None) -> str:
        """Save one frame and return its new etag.

        Raises:
            ConflictError: somebody saved the frame in between.
        """
        from smalti.store.ingest import record_of

        record = record_of(frame)
        current = if_match if if_match is not None else self.etag(record.id or "")
        patch = [{"op": "replace", "path": "", "value": wire.to_dict(record)}]
        path = f"{self.path}/frames/{segment(record.id or '')}"
        return str(self.http.ask("PATCH", path, {"patch": patch}, etag=current)["etag"])

    def delete_frames(self, ids: Iterable[Any]) -> int:
        """Remove frames by id (or the frames themselves) and return how many there were."""
        gone = 0
        for item in ids:
            frame_id = item if isinstance(item, str) else item.id
            try:
                etag = self.etag(frame_id)
            except FrameError:
                continue
            self.http.ask("DELETE", f"{self.path}/frames/{segment(frame_id)}", etag=etag)
            gone += 1
        return gone

    # ---------------------------------------------------------------------------------------------- legends
    def set_masks_labels(self, legend: Any) -> None:
        """What the colours of the masks mean where a frame does not say so itself."""
        from smalti.store.legends import stored

        found = self.http.send("GET", f"{self.path}/metadata")
        metadata = {**msgspec.json.decode(found.content), "mask_labels": stored(legend)}
        self.http.ask("PUT", f"{self.path}/metadata", metadata, etag=found.headers["etag"].strip('"'))

    def get_masks_labels(self) -> dict[str, Any]:
        """The version's legends by mask id ("_all_" = every mask); {} for none."""
        return dict(self.metadata.get("mask_labels") or {})

    def legend(self, mask_id: str = "_all_") -> Legend | None:
        """The version's legend for one mask id, else for all masks."""
        from smalti.store.legends import read

        return read(self.get_masks_labels(), mask_id)

    # ------------------------------------------------------------------------------------------ the life of it
    def rename(self, name: str) -> None:
        """Give it another name; its id stays."""
        self._change(name=name)

    def describe(self, description: str | None = None, *, tags: Sequence[str] | None = None) -> None:
        """Change what is said about it."""
        changes = {"description": description, "tags": None if tags is None else list(tags)}
        self._change(**{key: value for key, value in changes.items() if value is not None})

    def _change(self, **changes: Any) -> None:
        self._row = self.http.ask("PATCH", self.path, changes, etag=self.row["etag"])

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata; "mask_labels" in it replaces the legends."""
        self.http.ask("PUT", f"{self.path}/metadata", dict(metadata), etag=self.row["etag"])

    def publish(self, check: Any = None, *, force: bool = False) -> "RemoteVersion":
        """Freeze it.

        Raises:
            CheckFailed: `check="errors"` was asked for and the checks found errors.
        """
        body = {"check": check == "errors", "force": force}
        self._row = self.http.ask("POST", f"{self.path}/publish", body, etag=self.row["etag"])
        return self

    def child(self, name: str, *, description: str = "") -> "RemoteVersion":
        """A draft that starts as this version is; this one must be published."""
        body = {"name": name, "description": description}
        return RemoteVersion(self.dataset, self.http.ask("POST", f"{self.path}/child", body))

    @property
    def report(self) -> Any:
        """What the checks said when it was last to be published, as plain data; None without checks."""
        return self.http.ask("GET", f"{self.path}/report")

    def compute_stats(self) -> dict[str, Any]:
        """Frames, ROIs and frames per label."""
        found = self.http.ask("POST", f"{self.path}/statistics", {"scope": "roi"})
        per_frame = {row["label"]: row["frames"] for row in found["rows"]}
        return {"frames": found["frames"], "rois": found["rois"], "frames_per_label": dict(sorted(per_frame.items()))}

    def delete(self, *, force: bool = False) -> None:
        """Delete it; it must have no children. A published version needs `force`."""
        self.http.ask("DELETE", self.path, etag=self.row["etag"], force=force)


def _facts(hit: Mapping[str, Any]) -> dict[str, MaskFacts] | None:
    """The facts of a hit by mask id."""
    rows = hit.get("facts")
    if rows is None:
        return None
    found = msgspec.convert(rows, list[MaskFacts])
    return {item.mask: item for item in found}
