"""`smalti pull`: datasets, versions, frames, legends and views from a server that speaks ClearML's protocol."""

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from smalti import wire
from smalti.cli.output import as_json, json_option, progress, say, table
from smalti.cli.stores import opened, store_option
from smalti.errors import AccessDenied, SmaltiError, StorageError, VersionError
from smalti.reading import read_frames
from smalti.records import Frame
from smalti.store.rows import ViewRow

if TYPE_CHECKING:
    from smalti.store import Dataset, DatasetVersion, Store

__all__ = ["Peer", "pull", "pull_all"]

PAGE = 200
FRAMES_AT_ONCE = 1000
READ_ONLY = frozenset(
    ("dataset", "saved", "saved_in_version", "updated", "updated_in_version", "labels_size", "label_rule_counts")
) | {"rule_name", "new_ver", "num_frames", "_score", "_key"}
"""What a server says about a frame and the frame does not say itself."""


class Peer:
    """A server of the protocol, logged in to.

    Args:
        address: of its endpoints, e.g. `http://host:8008`.
        access, secret: a key pair.

    Raises:
        AccessDenied: the key pair is not good.
        StorageError: there is no such server.
    """

    def __init__(self, address: str, access: str, secret: str) -> None:
        import httpx

        self.address = address.rstrip("/")
        self._http = httpx.Client(timeout=300.0, trust_env=False)
        self._headers: dict[str, str] = {}
        pair = base64.b64encode(f"{access}:{secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}"}
        try:
            token = self.ask("auth.login").get("token")
            if not isinstance(token, str):
                raise StorageError(f"{self.address}: its login gives no token", uri=self.address)
        except SmaltiError:
            self.close()
            raise
        self._headers = {"Authorization": f"Bearer {token}"}

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def ask(self, endpoint: str, body: Any = None) -> dict[str, Any]:
        """What goes into `data` of the answer.

        Raises:
            SmaltiError: the server refuses, does not answer, or is another kind of server.
        """
        import httpx

        content = msgspec.json.encode(body or {})
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            answer = self._http.post(f"{self.address}/{endpoint}", content=content, headers=headers)
            found = msgspec.json.decode(answer.content)
        except httpx.HTTPError as error:
            raise StorageError(f"{self.address}: the server does not answer ({error})", uri=self.address) from None
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("meta"), dict):
            raise StorageError(f"{self.address}: {endpoint} was not answered as the protocol says", uri=self.address)
        said = f"{self.address}: {endpoint}: {found['meta'].get('result_msg')}"
        if answer.status_code in (401, 403):
            raise AccessDenied(said, uri=self.address)
        if answer.status_code >= 300:
            raise VersionError(said)
        return found.get("data") or {}

    def pages(self, endpoint: str, key: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every row of a list that comes in pages."""
        for page in range(10**6):
            rows = self.ask(endpoint, {**body, "page": page, "page_size": PAGE}).get(key) or []
            yield from rows
            if len(rows) < PAGE:
                return

    def frames(self, dataset: str, version: str) -> Iterator[Frame]:
        """Every frame of a version."""
        spec = {"versions": [{"dataset": dataset, "version": version}]}
        scroll: dict[str, Any] = {}
        while True:
            body = {"dataview": spec, "batch_size": FRAMES_AT_ONCE, **scroll}
            found = self.ask("frames.get_next_for_dataview", body)
            for item in found.get("frames") or ():
                yield own(wire.from_dict(item, where=f"frame {item.get('id')!r} of version {version}"))
            if found.get("eof", True) or not found.get("frames"):
                return
            scroll = {"scroll_id": found["scroll_id"]}


def own(record: Frame) -> Frame:
    """A record without what only its server said about it."""
    record.extra = {key: value for key, value in record.extra.items() if key not in READ_ONLY}
    for roi in record.rois:
        roi.extra = {key: value for key, value in roi.extra.items() if key != "label_num"}
    return record


def pull_all(
    peer: Peer, store: "Store", *, dataset: str | None = None, project: str | None = None, views: bool = True
) -> list[dict[str, Any]]:
    """Everything, or what the names select; what is there already is brought up to date.

    Returns:
        A row for each version: dataset, version, frames, what could not be stored, and a remark.
    """
    projects = {row["id"]: row.get("name", "") for row in peer.pages("projects.get_all", "projects", {})}
    done: list[dict[str, Any]] = []
    ids: dict[str, str] = {}
    for found in peer.pages("datasets.get_all", "datasets", {"allow_public": True}):
        place = projects.get(found.get("project") or "") or None
        if (dataset and found["name"] != dataset) or (project and place != project):
            continue
        target = _dataset(store, found, place)
        ids[found["id"]] = target.id
        _declare_vectors(peer, target, found["id"])
        done += _versions(peer, target, found["id"], ids)
    if views:
        _views(peer, store, projects, ids)
    return done


def _dataset(store: "Store", found: Mapping[str, Any], project: str | None) -> "Dataset":
    from smalti.store import Dataset

    known = [row for row in store.catalog.find_datasets(name=found["name"]) if row.project == project]
    if known:
        return Dataset(store, known[0])
    return store.create_dataset(
        found["name"],
        project,
        description=found.get("comment") or "",
        tags=found.get("tags") or (),
        metadata=found.get("metadata") or {},
    )


def _declare_vectors(peer: Peer, target: "Dataset", source: str) -> None:
    """Paths that the server knows as vectors get a column here; a server that cannot say has none."""
    from smalti.store.dense import METRICS

    try:
        fields = peer.ask("datasets.get_vector_fields", {"datasets": [source]}).get("fields") or []
    except VersionError:
        return
    for field in fields:
        path, said = field.get("key"), field.get("properties") or {}
        dims, metric = said.get("dims"), said.get("similarity")
        is_ours = isinstance(path, str) and path.startswith("meta.") and path not in target.declared
        if is_ours and isinstance(dims, int) and said.get("element_type", "float") in ("float", "byte"):
            target.declare(path, f"vector[{dims},{metric}]" if metric in METRICS else f"vector[{dims}]")


def _versions(peer: Peer, target: "Dataset", source: str, ids: dict[str, str]) -> list[dict[str, Any]]:
    """The versions of one dataset, parents before children."""
    rows = peer.ask("datasets.get_versions", {"dataset": source, "only_published": False}).get("versions") or []
    waiting, done = {row["id"]: row for row in rows}, []
    while waiting:
        ready = [row for row in waiting.values() if row.get("parent") not in waiting] or list(waiting.values())
        for row in ready:
            del waiting[row["id"]]
            done.append(_version(peer, target, source, row, ids))
    return done


def _version(peer: Peer, target: "Dataset", source: str, row: Mapping[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    said = {"dataset": target.name, "version": row["name"], "frames": 0, "failed": [], "remark": ""}
    if row["name"] in target:
        version = target[row["name"]]
        ids[row["id"]] = version.id
        if version.is_published:
            return {**said, "frames": len(version), "remark": "was here, published"}
    else:
        version, said["remark"] = _new_version(target, row, ids)
        ids[row["id"]] = version.id
    kept: set[str] = set()
    with progress(f"{target.name}@{version.name}") as advance:
        failed = version.add_frames(_noted(peer.frames(source, row["id"]), kept), progress=advance)
    gone = [frame_id for frame_id in version.frame_ids() if frame_id not in kept]
    version.delete_frames(gone)  # a child starts with its parent's frames, and may have lost some
    said["failed"] = [{"id": item.id, "error": item.error} for item in failed]
    said["frames"] = len(version)
    if row.get("status") == "published" and not failed:
        version.publish()
    return said


def _new_version(target: "Dataset", row: Mapping[str, Any], ids: Mapping[str, str]) -> "tuple[DatasetVersion, str]":
    parent = ids.get(row.get("parent") or "")
    is_child = parent is not None and target[parent].is_published
    remark = "its parent is a draft here; it stands alone" if parent is not None and not is_child else ""
    version = target.create_version(
        row["name"],
        [parent] if is_child and parent is not None else (),
        description=row.get("comment") or "",
        tags=row.get("tags") or (),
    )
    if row.get("metadata"):
        version.set_metadata(row["metadata"])
    return version, remark


def _noted(frames: Iterator[Frame], kept: set[str]) -> Iterator[Frame]:
    for frame in frames:
        if frame.id is not None:
            kept.add(frame.id)
        yield frame


def _views(peer: Peer, store: "Store", projects: Mapping[str, str], ids: Mapping[str, str]) -> None:
    """Stored views whose versions were all pulled, with our ids in place of theirs."""
    known = {(row.name, row.project) for row in store.catalog.list_views()}
    for row in list(peer.pages("dataviews.get_all", "dataviews", {"only_fields": ["id", "name"]})):
        found = peer.ask("dataviews.get_by_id", {"dataview": row["id"]}).get("dataview") or {}
        project = projects.get(found.get("project") or "") or None
        entries = found.get("versions") or []
        is_whole = entries and all(entry.get("version") in ids and entry.get("dataset") in ids for entry in entries)
        if not is_whole or (found["name"], project) in known:
            continue
        names = ("versions", "filters", "iteration", "labels_enumeration", "mapping", "output_rois", "augmentation")
        spec = {key: _renamed(found[key], ids) for key in names if found.get(key) is not None}
        store.catalog.save_view(
            ViewRow(
                name=found["name"],
                project=project,
                description=found.get("description") or "",
                tags=found.get("tags") or [],
                spec=spec,
            )
        )


def _renamed(found: Any, ids: Mapping[str, str]) -> Any:
    """The same JSON with ids of datasets and versions replaced where they stand for one."""
    if isinstance(found, dict):
        return {
            key: ids.get(value, value)
            if key in ("dataset", "version") and isinstance(value, str)
            else _renamed(value, ids)
            for key, value in found.items()
        }
    return [_renamed(item, ids) for item in found] if isinstance(found, list) else found


@click.command()
@click.argument("source")
@click.argument("reference", required=False, metavar="[DATASET[@VERSION]]")
@click.option("--project", help="Only datasets of this project.")
@click.option("--access-key", envvar="CLEARML_API_ACCESS_KEY", help="Default: $CLEARML_API_ACCESS_KEY.")
@click.option("--secret-key", envvar="CLEARML_API_SECRET_KEY", help="Default: $CLEARML_API_SECRET_KEY.")
@click.option("--no-views", is_flag=True, help="Leave stored views where they are.")
@store_option
@json_option
def pull(
    source: str,
    reference: str | None,
    project: str | None,
    access_key: str | None,
    secret_key: str | None,
    no_views: bool,
    store_uri: str | None,
    as_json_text: bool,
) -> int:
    """Take datasets over from SOURCE: the address of a server that speaks ClearML's protocol (its API host), or a file
    of exported frames (JSON or JSON-lines), which goes into DATASET@VERSION. Nothing is changed at the source."""
    with opened(store_uri, may_be_new=True) as store:
        if not hasattr(store, "catalog"):
            raise click.UsageError("pull writes into a store, not through a server; give --store its folder or URI")
        if source.startswith(("http://", "https://")):
            if not access_key or not secret_key:
                raise click.UsageError("a server asks for --access-key and --secret-key")
            peer = Peer(source, access_key, secret_key)
            try:
                rows = pull_all(peer, store, dataset=reference, project=project, views=not no_views)
            finally:
                peer.close()
        else:
            rows = [_from_file(store, source, reference)]
    if as_json_text:
        as_json(rows)
    else:
        shown = [[row["dataset"], row["version"], row["frames"], len(row["failed"]), row["remark"]] for row in rows]
        table(["dataset", "version", "frames", "failed", "remark"], shown)
        for row in rows:
            for item in row["failed"][:5]:
                say(f"{row['dataset']}@{row['version']}: {item['id']}: {item['error']}")
    return 1 if any(row["failed"] for row in rows) else 0


def _from_file(store: "Store", path: str, reference: str | None) -> dict[str, Any]:
    """Exported frames into a draft, which is made if it is not there."""
    name, _, version_name = (reference or "").partition("@")
    if not name or not version_name:
        raise click.UsageError("frames of a file need a place: DATASET@VERSION")
    if not Path(path).is_file():
        raise SmaltiError(f"{os.fspath(path)}: there is no such file")
    dataset = store[name] if name in store else store.create_dataset(name)
    version = dataset[version_name] if version_name in dataset else dataset.create_version(version_name)
    failed = version.add_frames(own(handle.record) for handle in read_frames(path))
    bad = [{"id": item.id, "error": item.error} for item in failed]
    return {"dataset": name, "version": version_name, "frames": len(version), "failed": bad, "remark": ""}
