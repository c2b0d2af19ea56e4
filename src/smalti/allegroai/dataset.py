"""Dataset with the legacy calls, on the default store."""

from collections.abc import Sequence
from typing import Any

from smalti.allegroai.dataset_version import DatasetVersion, refuse_delete_sources
from smalti.allegroai.naming import UsageError, default_store, find_dataset, find_version
from smalti.store import Dataset as OurDataset
from smalti.store.pinning import require_unread

__all__ = ["Dataset"]


class Dataset:
    """A dataset of the default store. Get one from `Dataset.create` or `Dataset.get`.

    Attributes:
        ours: the `smalti.Dataset` that does the work; what is not defined here is asked of it.
    """

    def __init__(self, ours: OurDataset) -> None:
        self.ours = ours

    def __getattr__(self, name: str) -> Any:
        if name == "ours":
            raise AttributeError(name)
        return getattr(self.ours, name)

    def __repr__(self) -> str:
        return f"allegroai.{self.ours!r}"

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Dataset) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    @classmethod
    def create(
        cls,
        dataset_name: str,
        comment: str | None = None,
        tags: Sequence[str] | None = None,
        raise_if_exists: bool = False,
        dataset_project: str | None = None,
    ) -> "Dataset":
        """A new dataset with an empty draft `Current`, or the one that is there, with the tags added.

        Raises:
            UsageError: it is there, and `raise_if_exists`.
        """
        store = default_store()
        known = [row for row in store.catalog.find_datasets(name=dataset_name) if row.project == dataset_project]
        if not known:
            made = store.create_dataset(dataset_name, dataset_project, description=comment or "", tags=list(tags or ()))
            made.create_version("Current")
            return cls(made)
        if raise_if_exists:
            raise UsageError(f"dataset {dataset_name!r} is there already; get it with Dataset.get")
        found = cls(OurDataset(store, known[0]))
        if tags:
            found.add_tags(tags)
        return found

    @classmethod
    def get(
        cls, dataset_id: str | None = None, dataset_name: str | None = None, dataset_project: str | None = None
    ) -> "Dataset":
        """The dataset of that id or name.

        Raises:
            NotFound: there is none.
        """
        return cls(find_dataset(dataset_id, dataset_name, dataset_project))

    @classmethod
    def delete(
        cls,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        delete_all_versions: bool = False,
        force: bool = False,
        delete_sources: bool = False,
        show_progress: bool = True,
        dataset_project: str | None = None,
    ) -> None:
        """Delete a dataset; one with versions that hold frames or are published only with `delete_all_versions`.

        Raises:
            VersionError: a version is published, and `force` is not given.
        """
        refuse_delete_sources(delete_sources)
        found = find_dataset(dataset_id, dataset_name, dataset_project)
        kept = [version.name for version in found.versions() if version.is_published or len(version)]
        if kept and not delete_all_versions:
            raise UsageError(
                f"dataset {found.name!r} has versions ({', '.join(kept[:5])}); give delete_all_versions=True"
            )
        require_unread(found.versions(), may_choose=False)
        default_store().delete_dataset(found, force=force)

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return self.ours.id

    @property
    def name(self) -> str:
        """Its name."""
        return self.ours.name

    @property
    def project(self) -> str | None:
        """The project it belongs to."""
        return self.ours.project

    def create_version(
        self,
        version_name: str,
        description: str | None = None,
        parent_version_ids: Sequence[str] | None = None,
        parent_version_names: Sequence[str] | None = None,
        raise_if_exists: bool = False,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
    ) -> DatasetVersion:
        """A new draft, or the draft of that name that is there: see `DatasetVersion.create_version`."""
        return DatasetVersion.create_version(
            version_name,
            description,
            self.id,
            None,
            parent_version_ids,
            parent_version_names,
            raise_if_exists,
            auto_upload_destination,
            local_dataset_root_path,
        )

    def get_version(
        self,
        version_id: str | None = None,
        version_name: str | None = None,
        auto_upload_destination: str | None = None,
        local_dataset_root_path: str | None = None,
        raise_on_multiple: bool = False,
    ) -> DatasetVersion:
        """The version of that id or name; neither = the current draft. Names are unique, so there are never several."""
        return DatasetVersion(find_version(self.ours, version_id, version_name), auto_upload_destination)

    def get_versions(self, only_published: bool = False) -> list[DatasetVersion]:
        """Its versions, the one that was changed last first."""
        return DatasetVersion.get_versions(dataset_id=self.id, only_published=only_published)

    def delete_version(
        self,
        version_id: str | None = None,
        version_name: str | None = None,
        force: bool = False,
        delete_sources: bool = False,
        show_progress: bool = True,
    ) -> None:
        """Delete a draft; a published version needs `force`."""
        refuse_delete_sources(delete_sources)
        if version_id is None and version_name is None:
            raise UsageError("neither version_id nor version_name is given; give one of them")
        found = find_version(self.ours, version_id, version_name)
        require_unread([found], may_choose=False)
        self.ours.delete_version(found, force=force)

    def add_tags(self, tags: str | Sequence[str]) -> None:
        """Add tags to those it has."""
        more = [tags] if isinstance(tags, str) else list(tags)
        self.ours.describe(tags=list(dict.fromkeys([*self.ours.row.tags, *more])))

    def remove_tags(self, tags: str | Sequence[str] | None = None) -> None:
        """Remove tags; None = all."""
        gone = self.ours.row.tags if tags is None else [tags] if isinstance(tags, str) else tags
        self.ours.describe(tags=[tag for tag in self.ours.row.tags if tag not in gone])

    def get_dataset_webpage(self) -> str:
        """The page of the dataset below the address of `smalti serve`."""
        return f"/datasets/{self.id}"
