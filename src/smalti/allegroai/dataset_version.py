"""DatasetVersion with the legacy calls, on the default store."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

from smalti import wire
from smalti.allegroai.frames import adopt
from smalti.allegroai.naming import UsageError, default_store, either, find_dataset, find_version, has_tags
from smalti.allegroai.writing import BulkContext, add_in_parts, merged, report
from smalti.iterate import project
from smalti.store import DatasetVersion as OurVersion
from smalti.store.pinning import require_unread

if TYPE_CHECKING:
    from smalti.allegroai.dataset import Dataset

__all__ = ["BulkContext", "DatasetVersion", "refuse_delete_sources"]


def refuse_delete_sources(delete_sources: bool) -> None:
    """smalti never deletes the files that frames point to.

    Raises:
        UsageError: the caller asks for it.
    """
    if delete_sources:
        raise UsageError(
            "delete_sources=True: smalti never deletes the files that frames point to; delete them yourself"
        )


class _OfClassOrObject:
    """A method that is called on a version, or on the class with the names of a dataset and a version."""

    def __init__(self, method: Any) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: "DatasetVersion | None", owner: type["DatasetVersion"]) -> Any:
        method = self._method
        if instance is not None:
            return lambda *args, **kwargs: method(instance, *args, **kwargs)

        def of_class(*args: Any, **kwargs: Any) -> Any:
            keys = ("dataset_id", "dataset_name", "version_id", "version_name", "dataset_project")
            named = {key: kwargs.pop(key) for key in keys if key in kwargs}
            return method(owner.get_version(**named), *args, **kwargs)

        return of_class


class DatasetVersion:
    """One version of a dataset. Get one from `create_version`, `get_version` or `get_current`.

    Attributes:
        ours: the `smalti.DatasetVersion` that does the work; what is not defined here is asked of it.
    """

    def __init__(self, ours: OurVersion, auto_upload_destination: str | None = None) -> None:
        self.ours = ours
        self._upload_to = auto_upload_destination
        self._bulk: BulkContext | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "ours":
            raise AttributeError(name)
        return getattr(self.ours, name)

    def __len__(self) -> int:
        return len(self.ours)

    def __contains__(self, frame_id: object) -> bool:
        return frame_id in self.ours

    def __iter__(self) -> Iterator[Any]:
        return self.get_iterator()

    def __bool__(self) -> bool:
        return True  # an empty version is still one

    def __repr__(self) -> str:
        return f"allegroai.{self.ours!r}"

    # ------------------------------------------------------------------------------------ made and found by name
    @classmethod
    def create_new_dataset(
        cls,
        dataset_name: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        raise_if_exists: bool = False,
        dataset_project: str | None = None,
    ) -> "Dataset":
        """A new dataset, or the one that is there: see `Dataset.create`."""
        from smalti.allegroai.dataset import Dataset

        if not dataset_name:
            raise UsageError("dataset_name is not given; name the dataset")
        return Dataset.create(dataset_name, description, tags, raise_if_exists, dataset_project)

    @classmethod
    def create_version(
        cls,
        version_name: str,
        description: str | None = None,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        parent_version_ids: Sequence[str] | None = None,
        parent_version_names: Sequence[str] | None = None,
        raise_if_exists: bool = False,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
        dataset_project: str | None = None,
    ) -> Self:
        """A new draft, or the draft of that name that is there.

        Args:
            version_name: its name.
            description: free text.
            dataset_id, dataset_name, dataset_project: of which dataset; it must be there.
            parent_version_ids, parent_version_names: published versions that it starts from.
            raise_if_exists: refuse where a version has that name.
            auto_upload_destination: where `add_frames` uploads local files to.
            local_dataset_root_path: of no effect: uploads are named by their content.
        """
        dataset = find_dataset(dataset_id, dataset_name, dataset_project)
        either("parent_version", parent_version_ids or None, parent_version_names or None, required=False)
        parents = [find_version(dataset, version_id=each) for each in parent_version_ids or ()]
        parents += [find_version(dataset, version_name=each) for each in parent_version_names or ()]
        if version_name in dataset:
            known = dataset[version_name]
            if raise_if_exists or known.is_published:
                raise UsageError(
                    f"version {dataset.name}@{version_name} is there already and {known.state}; choose another name"
                )
            return cls(known, auto_upload_destination)
        made = dataset.create_version(version_name, parents, description=description or "")
        return cls(made, auto_upload_destination)

    @classmethod
    def create_snapshot(
        cls,
        version_name: str | None = None,
        version_id: str | None = None,
        dataset_name: str | None = None,
        dataset_id: str | None = None,
        publish_name: str | None = None,
        publish_comment: str | None = None,
        publish_metadata: Mapping[str, Any] | None = None,
        child_name: str | None = None,
        child_comment: str | None = None,
        child_metadata: Mapping[str, Any] | None = None,
        dataset_project: str | None = None,
    ) -> Self:
        """Publish a draft under another name, and go on in a new draft, which is returned.

        Args:
            version_name, version_id, dataset_name, dataset_id, dataset_project: which draft; default: the current one.
            publish_name: of what is published; default `snapshot <ISO time>`. Its id stays.
            publish_comment, publish_metadata: said about what is published; metadata is added to what there is.
            child_name: of the draft; default: the name that the published one had.
            child_comment, child_metadata: said about the draft.
        """
        draft = cls.get_version(
            dataset_id, dataset_name, version_id, version_name, dataset_project=dataset_project
        ).ours
        if publish_comment is not None:
            draft.describe(publish_comment)
        if publish_metadata is not None:
            draft.set_metadata({**draft.metadata, **publish_metadata})
        child = draft.snapshot(publish_name, child=child_name)
        if child_comment is not None:
            child.describe(child_comment)
        if child_metadata is not None:
            child.set_metadata({**child.metadata, **child_metadata})
        return cls(child)

    @classmethod
    def get_current(
        cls,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
        dataset_project: str | None = None,
    ) -> Self:
        """The draft that was made last."""
        dataset = find_dataset(dataset_id, dataset_name, dataset_project)
        return cls(find_version(dataset), auto_upload_destination)

    @classmethod
    def get_version(
        cls,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        version_id: str | None = None,
        version_name: str | None = None,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
        raise_on_multiple: bool = False,
        dataset_project: str | None = None,
    ) -> Self:
        """The version of that id or name; neither = the current draft.

        Raises:
            NotFound: there is none (a ValueError).
        """
        either("dataset", dataset_id, dataset_name, required=False)
        either("version", version_id, version_name, required=False)
        named = dataset_id is not None or dataset_name is not None
        dataset = find_dataset(dataset_id, dataset_name, dataset_project) if named else None
        return cls(find_version(dataset, version_id, version_name), auto_upload_destination)

    @classmethod
    def get_versions(
        cls,
        dataset_name: str | None = None,
        dataset_id: str | None = None,
        only_published: bool = False,
        only_draft: bool = False,
        dataset_project: str | None = None,
    ) -> list[Self]:
        """The versions of a dataset, the one that was changed last first."""
        if only_published and only_draft:
            raise UsageError("only_published and only_draft are mutually exclusive; give one of them")
        dataset = find_dataset(dataset_id, dataset_name, dataset_project)
        found = sorted(dataset.versions(), key=lambda version: version.row.updated, reverse=True)
        return [
            cls(version)
            for version in found
            if not (only_published and not version.is_published) and not (only_draft and version.is_published)
        ]

    @classmethod
    def get_datasets(cls, tags: Sequence[str] | None = None) -> "list[Dataset]":
        """All datasets that have the tags, oldest first; operators as `has_tags` reads them."""
        from smalti.allegroai.dataset import Dataset

        return [Dataset(each) for each in default_store().datasets() if has_tags(each.tags, tags or ())]

    @classmethod
    def remove_version(
        cls,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        version_id: str | None = None,
        version_name: str | None = None,
        force: bool = False,
        dataset_project: str | None = None,
    ) -> None:
        """Delete a draft; a published version needs `force`."""
        either("version", version_id, version_name)
        dataset = find_dataset(dataset_id, dataset_name, dataset_project)
        found = find_version(dataset, version_id, version_name)
        require_unread([found], may_choose=False)
        dataset.delete_version(found, force=force)

    # ------------------------------------------------------------------------------------------------ what it is
    @property
    def version_id(self) -> str:
        """Its id."""
        return self.ours.id

    @property
    def version_name(self) -> str:
        """Its name."""
        return self.ours.row.name

    @property
    def dataset_id(self) -> str:
        """The id of its dataset."""
        return self.ours.dataset.id

    @property
    def dataset_name(self) -> str:
        """The name of its dataset."""
        return self.ours.dataset.name

    @property
    def draft(self) -> bool:
        """Whether it can still change."""
        return not self.ours.is_published

    @property
    def last_updated(self) -> datetime:
        """When the catalog's row was changed last."""
        return self.ours.row.updated

    @property
    def comment(self) -> str:
        """Free text."""
        return self.ours.row.description

    def get_parent(self) -> str | None:
        """The id of the version it was made from, or None."""
        parents = self.ours.row.parents
        return parents[0] if parents else None

    def get_stats(self) -> dict[str, Any]:
        """Frames, ROIs, ROIs and frames per label."""
        return self.ours.stats if self.ours.is_published else self.ours.compute_stats()

    def get_metadata(self) -> dict[str, Any]:
        """Free JSON about the version; its legend is under "mask_labels"."""
        return self.ours.metadata

    def set_metadata(self, metadata: Mapping[str, Any]) -> bool:
        """Replace the metadata."""
        self.ours.set_metadata(metadata)
        return True

    def set_version_name(self, name: str) -> bool:
        """Rename it."""
        self.ours.rename(name)
        return True

    def set_masks_labels(self, masks_labels: Mapping[Any, Any]) -> bool:
        """What the colours of masks mean where a frame does not say so: {(r, g, b): [labels]}."""
        self.ours.set_masks_labels(masks_labels)
        return True

    def get_masks_labels(self) -> dict[tuple[int, ...], list[str]]:
        """{(r, g, b): [labels]} for all masks; {} for none."""
        rows = self.ours.get_masks_labels().get("_all_", ())
        return {tuple(row["value"]): list(row["labels"]) for row in rows}

    # ----------------------------------------------------------------------------------------------- its frames
    def _shown(self, handle: Any) -> Any:
        return adopt(handle, (self.ours.dataset.id, self.ours.id))

    def get_iterator(self, projection: Sequence[str] | None = None) -> Iterator[Any]:
        """Every frame by context and timestamp; dicts with those dotted paths where a projection is given."""
        if projection is None:
            return map(self._shown, self.ours.frames())
        return (self._projected(record, projection) for record in self.ours.records())

    def _projected(self, record: Any, projection: Sequence[str]) -> Any:
        place = {"id": self.dataset_id, "version": self.version_id}
        return project({**wire.to_dict(record), "dataset": place}, projection)

    @_OfClassOrObject
    def get_single_frame(self, frame_id: str) -> Any:
        """The frame with this id, as SingleFrame or FrameGroup; on the class with the names of dataset and version."""
        return self._shown(self.ours.get(frame_id))

    @_OfClassOrObject
    def get_frames_by_ids(self, frame_ids: Sequence[str], projection: Sequence[str] | None = None) -> list[Any]:
        """The frames with these ids, in that order; ids that are not there are left out."""
        found = self.ours.get_many(list(frame_ids))
        if projection is not None:
            return [self._projected(record, projection) for record in found]
        return [self._shown(self.ours.handle(record)) for record in found]

    @_OfClassOrObject
    def get_frames_by_source(self, source_uri: str, projection: Sequence[str] | None = None) -> list[Any]:
        """The frames with a source whose URI fits a pattern, in which * stands for anything."""
        pattern = source_uri.removeprefix("file://").replace("[", "[[]").replace("?", "[?]")
        fits = (
            record
            for record in self.ours.records()
            if any(fnmatchcase(source.uri.removeprefix("file://"), pattern) for source in record.sources)
        )
        if projection is not None:
            return [self._projected(record, projection) for record in fits]
        return [self._shown(self.ours.handle(record)) for record in fits]

    def add_frames(
        self,
        frames: Any,
        warn_on_duplicate_frames: bool = False,
        batch_size: int = 1000,
        refresh_version_stats: bool = True,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
        force_upload: bool = False,
        progress_report: float | None = 1,
        register_on_upload_failure: bool = False,
        upload_retries: int = 5,
        src_to_dst_mapping: Any = None,
        unregister_on_upload_fail: bool = True,
        max_request_size_mb: float | None = None,
    ) -> list[dict[str, Any]]:
        """Store frames; one whose id is there already is replaced.

        Batches, requests, statistics, progress and retries are smalti's own affair: those arguments are accepted and
        change nothing. Uploads are named by their content, so nothing is sent twice.

        Args:
            frames: SingleFrames and FrameGroups, or one of them.
            warn_on_duplicate_frames: warn of ids that are there already.
            auto_upload_destination: upload local files below this URI; default: what the version was opened with.
            register_on_upload_failure: store a frame whose files cannot be uploaded as it is.

        Returns:
            What was not stored: {"frame", "error", "error_type": "upload", "validation" or "register"}.
        """
        if src_to_dst_mapping is not None:
            raise UsageError("src_to_dst_mapping is not supported; set frame.source to where the file is")
        listed = [frames] if hasattr(frames, "record") else frames
        if warn_on_duplicate_frames:
            listed = list(listed)
            known = self.ours.get_many([frame.id for frame in listed if hasattr(frame, "record")])
            if known:
                warnings.warn(f"{len(known)} frames are in {self!r} already and are replaced", stacklevel=2)
        destination = auto_upload_destination or self._upload_to
        return add_in_parts(self.ours, listed, destination, keep_unsent=register_on_upload_failure)

    def update_frames(
        self,
        frames: Any,
        batch_size: int = 1000,
        refresh_version_stats: bool = True,
        without_fields: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Store edited frames.

        Args:
            frames: they replace those with their ids.
            without_fields: given (even empty): merge into what is stored, except these fields; what a frame lacks
                stays as it is.

        Returns:
            As `add_frames`.
        """
        listed = [frames] if hasattr(frames, "record") else list(frames)
        if without_fields is not None:
            return report(self.ours.update_frames([merged(self.ours, each, without_fields) for each in listed]), listed)
        return self.add_frames(listed)

    def delete_frames(
        self,
        frames: Any,
        batch_size: int = 1000,
        refresh_version_stats: bool = True,
        delete_sources: bool = False,
    ) -> int:
        """Remove frames, given themselves or by their ids, and return how many there were."""
        refuse_delete_sources(delete_sources)
        listed = [frames] if isinstance(frames, str) or hasattr(frames, "record") else frames
        return self.ours.delete_frames(each.id if hasattr(each, "record") else str(each) for each in listed)

    def get_bulk_context(
        self,
        flush_threshold: int | None = None,
        log: Any = None,
        refresh_version_stats: bool = True,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
        allow_update: bool = False,
    ) -> BulkContext:
        """Collect changes in a with-block and make them together; one at a time for each version.

        Args:
            flush_threshold: make the changes whenever so many wait; default 1000.
            log: a logger that failures are reported to.
            auto_upload_destination: as in `add_frames`.
            allow_update: whether `update_frame` may be called.
        """
        if self._bulk is not None and self._bulk.is_open:
            raise UsageError(f"{self!r} has an open bulk context; leave that one first")
        self._bulk = BulkContext(
            self.ours,
            size=flush_threshold or 1000,
            log=log,
            upload_to=auto_upload_destination or self._upload_to,
            allow_update=allow_update,
        )
        return self._bulk

    def flush(self, refresh_version_stats: bool = True) -> None:
        """Make what waits in an open bulk context; all else is stored when its call returns."""
        if self._bulk is not None and self._bulk.is_open:
            self._bulk.flush()

    # ------------------------------------------------------------------------------------------- the life of it
    def commit_version(self, **kwargs: Any) -> dict[str, Any]:
        """Flush, and return the statistics; the version stays a draft. Every call stores what it says at once, so
        nothing else is left to commit.
        """
        self.flush()
        return self.get_stats()

    def publish_version(self, **kwargs: Any) -> bool:
        """Freeze it: it can be read and given children, and never changes again."""
        self.flush()
        self.ours.publish()
        return True
