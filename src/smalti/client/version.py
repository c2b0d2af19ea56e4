"""A version behind a server: see `smalti.store.DatasetVersion`, whose names and meanings these are."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from smalti import wire
from smalti.client.frames import remote_handle
from smalti.client.http import Http, segment
from smalti.client.remote import Remote
from smalti.errors import FrameError, VersionError
from smalti.facts import MaskFacts
from smalti.frames import FrameGroup, SingleFrame
from smalti.legend import Legend
from smalti.query.match import matches
from smalti.query.nodes import Node
from smalti.records import Frame
from smalti.tables import ListTable

if TYPE_CHECKING:
    import pyarrow as pa

    from smalti.client.store import RemoteDataset
    from smalti.view import DataView

__all__ = ["RemoteVersion"]

_AT_ONCE = 500


class RemoteVersion(Remote):
    """One version of a dataset of a server. Get one from `dataset[name]`."""

    def __init__(self, dataset: "RemoteDataset", row: dict[str, Any]) -> None:
        super().__init__(row)
        self.dataset = dataset
        self.http: Http = dataset.http

    def __repr__(self) -> str:
        return f"RemoteVersion({self.dataset.name}@{self.name}, {self._row['state']})"

    @property
    def path(self) -> str:
        """Below which its routes lie."""
        return f"/versions/{segment(self.id)}"

    # ------------------------------------------------------------------------------------------- what it is
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
        from smalti.store.ingest import several

        listed = list(several(frame_ids, "frame_ids"))
        found: dict[str | None, Frame] = {}
        for start in range(0, len(listed), _AT_ONCE):
            part = list(dict.fromkeys(listed[start : start + _AT_ONCE]))
            found |= {record.id: record for record in self._records(ids=part)}
        return [found[frame_id] for frame_id in listed if frame_id in found]

    def etag(self, frame_id: str) -> str:
        """What to hand to `update_frame(if_match=...)`."""
        return str(self._read(frame_id)["etag"])

    def handle(self, record: Frame) -> SingleFrame | FrameGroup:
        """A record as SingleFrame or FrameGroup whose pixels come from the server."""
        return remote_handle(record, self, self.get_masks_labels() or None)

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        return self.http.pages("POST", f"{self.path}/frames/search", {"limit": _AT_ONCE, **asked})

    def _records(self, **asked: Any) -> Iterator[Frame]:
        return (wire.from_dict(hit["frame"]) for hit in self._pages(fields="full", **asked))

    def frame_ids(self) -> list[str]:
        """The ids of all frames, by context, timestamp and id."""
        return [hit["id"] for hit in self._pages()]

    def records(self) -> Iterator[Frame]:
        """Every frame as a record, by context, timestamp and id."""
        return self._records()

    def tables(self, size: int = 16384) -> "Iterator[pa.Table]":
        """Every frame as rows of the store's own schema, by context, timestamp and id, up to `size` of them at a time."""
        import pyarrow as pa

        from smalti.store.ingest import chunks
        from smalti.store.schema import to_rows

        for part in chunks(self.records(), size):
            yield pa.Table.from_batches([to_rows(part)])

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
        for record in self._records(query=query, **asked):
            yield remote_handle(record, self, legend)

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
        """The ids of the k frames whose vectors are nearest, nearest first, and their scores."""
        to = {"frame": vector} if isinstance(vector, str) else {"vector": [float(value) for value in vector]}
        body = {**to, "field": field, "k": k, "query": query, "metric": metric, "method": method}
        hits = self.http.ask("POST", f"{self.path}/nearest", body)["hits"]
        return [(hit["id"], hit["score"]) for hit in hits]

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
    def add_frames(
        self,
        frames: Iterable[Any],
        *,
        upload_to: str | None = None,
        facts: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> list[Any]:
        """Store frames; one whose id is there already is replaced. Returns those that were not stored, with reasons.

        Files stay where they are: the server must be able to read the URIs.

        Args:
            frames: records, handles or their JSON.
            upload_to: not from here.
            facts: let the server count the pixels of their masks afterwards.
            progress: called with the number of frames done.
        """
        from smalti.store.ingest import Failed, id_of, record_of, several

        if upload_to is not None:
            raise FrameError("upload_to works only where the store is; upload the files first")
        failed: list[Any] = []
        waiting: list[dict[str, Any]] = []
        size = done = 0

        def send() -> None:
            nonlocal done
            if waiting:
                answer = self.http.ask("POST", f"{self.path}/frames", {"frames": waiting})
                failed.extend(Failed(item["id"], item["error"], item["kind"]) for item in answer["failed"])
                done += len(waiting)
                waiting.clear()
                if progress is not None:
                    progress(done)

        for item in several(frames, "frames"):
            try:
                document = wire.to_dict(record_of(item))
            except FrameError as error:
                failed.append(Failed(id_of(item), str(error), "validation"))
                continue
            size += len(msgspec.json.encode(document))
            if size > 4 << 20 or len(waiting) >= _AT_ONCE:
                send()
                size = 0
            waiting.append(document)
        send()
        return [*failed, *self.compute_facts()] if facts else failed

    def add_arrow(self, batches: "Iterable[pa.RecordBatch]") -> list[Any]:
        """Store frames that stand in rows of the store's own schema."""
        from smalti.store.schema import from_rows

        return self.add_frames(record for batch in batches for record in from_rows(batch))

    def import_file(self, path: str | os.PathLike[str]) -> list[Any]:
        """Store the frames of a JSON-lines, Arrow or Parquet file of this machine."""
        from smalti.store.legends import join
        from smalti.store.transfer import INSTEAD, format_of, legend_of, records_of

        source = Path(path)
        join(self, [(legend_of(source), INSTEAD)])
        if format_of(source) != "jsonl":
            return self.add_frames(records_of(source))
        with source.open("rb") as file:
            return self.add_frames(line for line in file if line.strip())

    def export_file(self, path: str | os.PathLike[str]) -> int:
        """Write all frames to a JSON-lines, Arrow or Parquet file of this machine, and return how many."""
        from smalti.store.transfer import export_frames

        rows: Any = self  # all that is asked of it is `records`, `tables` and `get_masks_labels`
        return export_frames(rows, os.fspath(path))

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
        from smalti.store.ingest import several

        gone = 0
        for item in several(ids, "ids"):
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
    def describe(self, description: str | None = None, *, tags: Sequence[str] | None = None) -> None:
        """Change what is said about it; None leaves a part as it is."""
        self._describe(description=description, tags=None if tags is None else list(tags))

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata; "mask_labels" in it replaces the legends."""
        self.http.ask("PUT", f"{self.path}/metadata", dict(metadata), etag=self.row["etag"])

    def publish(self, check: Any = None, *, force: bool = False, facts: bool = False) -> "RemoteVersion":
        """Freeze it; the server checks its masks for `check="errors"`, and counts their pixels for `facts`.

        Raises:
            CheckFailed: `check="errors"` was asked for and the checks found errors.
        """
        if check not in (None, "errors"):
            raise VersionError(f'check is {check!r}; over HTTP allowed: None, "errors"')
        body = {"check": check == "errors", "force": force, "facts": facts}
        self._row = self.http.ask("POST", f"{self.path}/publish", body, etag=self.row["etag"])
        return self

    def child(self, name: str, **options: Any) -> "RemoteVersion":
        """A draft that starts as this version is; this one must be published."""
        return self.dataset.create_version(name, parents=[self], **options)

    def snapshot(self, name: str | None = None, *, child: str | None = None) -> "RemoteVersion":
        """Publish it and go on in a new draft, which is returned: see `DatasetVersion.snapshot`."""
        from smalti.store.publishing import snapshot

        version: Any = self
        made: RemoteVersion = snapshot(version, name, child)  # type: ignore[assignment]  # of our own kind, as `version` is
        return made

    @property
    def stats(self) -> dict[str, Any]:
        """Counts of a published version, taken when it was published; {} for a draft."""
        return self.compute_stats() if self.is_published else {}

    @property
    def report(self) -> Any:
        """What the checks said when it was published; None without checks."""
        return self.http.ask("GET", f"{self.path}/report")

    def compute_stats(self) -> dict[str, Any]:
        """Frames, ROIs, ROIs and frames per label, and frames whose masks were counted."""
        found: dict[str, Any] = self.http.ask("GET", f"{self.path}/stats")
        found.pop("annotated", None)
        return found

    def compute_facts(self, *, again: bool = False, threads: int | None = None) -> list[Any]:
        """Let the server count the pixels of masks that were not counted yet, and wait for it.

        Returns:
            Frames with a mask that cannot be read, with reasons: the first hundred.
        """
        from smalti.store.ingest import Failed

        if again:
            raise VersionError("counting again works only where the store is: `smalti frames facts --again`")
        job = self.http.wait(self.http.ask("POST", f"{self.path}/facts"))
        return [Failed(item["frame"], item["error"], "validation") for item in job["result"]["failed"]]

    def delete(self, *, force: bool = False, with_views: bool = False) -> None:
        """Delete it; it must have no children. A published one needs `force`, one of published views `with_views`."""
        self.http.ask("DELETE", self.path, etag=self.row["etag"], force=force, with_views=with_views)


def _facts(hit: Mapping[str, Any]) -> dict[str, MaskFacts] | None:
    """The facts of a hit by mask id."""
    rows = hit.get("facts")
    if rows is None:
        return None
    found = msgspec.convert(rows, list[MaskFacts])
    return {item.mask: item for item in found}
