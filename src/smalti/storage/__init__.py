"""Where bytes come from: URI → bytes, one or many at once, from files, http(s), s3, gs and az; with a local cache.

Relative and plain paths are URIs too. Every verb takes `storage=`; without it the default of the process is used,
which is what the environment says unless set_default_storage() was called.
"""

from smalti.storage.access import (
    cache_info,
    clear_cache,
    delete,
    exists,
    fetch,
    fetch_many,
    list_uris,
    local_path,
    open_uri,
    put,
    size,
    stamp,
    store_options,
)
from smalti.storage.cache import Cache, CacheInfo
from smalti.storage.config import Storage, default_storage, parse_bytes, set_default_storage, using_storage
from smalti.storage.ranges import RemoteFile
from smalti.storage.uri import Place, UriLike, join_uri, parse_uri, shown

__all__ = [
    "Cache",
    "CacheInfo",
    "Place",
    "RemoteFile",
    "Storage",
    "UriLike",
    "cache_info",
    "clear_cache",
    "default_storage",
    "delete",
    "exists",
    "fetch",
    "fetch_many",
    "join_uri",
    "list_uris",
    "local_path",
    "open_uri",
    "parse_bytes",
    "parse_uri",
    "put",
    "set_default_storage",
    "shown",
    "size",
    "stamp",
    "store_options",
    "using_storage",
]
