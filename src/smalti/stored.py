"""What a view needs to be kept: a name, a state, and a store to be kept in."""

import importlib
from typing import Any, ClassVar, Literal, Self

from smalti.errors import VersionError

__all__ = ["StoredView"]


def _keeper() -> Any:
    """`smalti.store.views`. A view runs without a store, so the store's libraries load when one is asked for."""
    return importlib.import_module("smalti.store.views")


def look_up(dataset: str, version: str | None, project: str | None) -> Any:
    """A version of the default store by names or ids; without a version, the newest that is published, else the draft."""
    return _keeper().look_up(dataset, version, project)


class StoredView:
    """The part of a view that a catalog keeps beside its JSON.

    Attributes:
        id: None until it is stored.
        status: a published view cannot change, and reads published versions only: the same frames for ever.
    """

    home: ClassVar[Any] = None
    """The store that views are kept in and names are looked up in; None = the default store."""
    unique_names: ClassVar[bool] = True
    """Whether a new view is refused where the store has another one of its name."""
    id: str | None = None
    name: str | None = None
    description: str = ""
    tags: list[str]
    project: str | None = None
    status: Literal["draft", "published"] = "draft"

    def store(self, store: Any = None, *, replace: bool = False) -> Self:
        """Keep the view, or what has changed of it.

        Args:
            store: where; default: the store of its versions, else the default store.
            replace: take the place of another draft of that name; a view that got this name after it was stored stays
                stored under its old one, too.

        Raises:
            VersionError: it reads lists, which no catalog can find again; another view has its name.
        """
        _keeper().save(self, store, replace=replace)
        return self

    def publish(self, store: Any = None) -> Self:
        """Keep it for ever as it is.

        Raises:
            VersionError: it reads a version that is not published.
        """
        _keeper().publish(self, store)
        return self

    @classmethod
    def get(cls, dataview_id: str | None = None, dataview_name: str | None = None, *, store: Any = None) -> Self:
        """A stored view by id, or the newest of a name.

        Raises:
            VersionError: there is none.
        """
        if (dataview_id is None) == (dataview_name is None):
            raise VersionError("name a view by its id or by its name")
        found: Self = _keeper().load(cls, dataview_id, dataview_name, store)
        return found
