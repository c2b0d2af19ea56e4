"""smalti.open(): one door to a store, wherever it is."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.client import RemoteStore
    from smalti.store import Store

__all__ = ["open"]


def open(uri: Any = None, **options: Any) -> "Store | RemoteStore":
    """The store at a URI: a folder, an s3/gs/az prefix, or the address of a smalti server.

    A store that is not there yet lists nothing; the first write makes it.

    Args:
        uri: None = the default store: `$SMALTI_STORE`, else the user's data folder.
        **options: `catalog_url` (PostgreSQL) and storage options for a store; `api_key` for a server.

    Raises:
        VersionError: it was made by a newer smalti.
        StorageError: it cannot be reached, or no store can be there.
    """
    if isinstance(uri, str) and uri.startswith(("http://", "https://")):
        from smalti.client import connect

        return connect(uri, **options)
    from smalti.store import open_store

    return open_store(uri, **options)
