"""How stores are reached: one frozen, picklable record, with the environment as its default."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from smalti.errors import StorageError
from smalti.storage.cache import Cache

__all__ = ["Storage", "default_cache", "default_storage", "parse_bytes", "set_default_storage", "using_storage"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_DEFAULT_CACHE_BYTES = 10 * 10**9


def parse_bytes(text: str, *, name: str = "size") -> int:
    """A size such as `20GB`, `512 MiB` or `1000` in bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if match is None or match[2] not in _UNITS:
        raise StorageError(f"{name} is {text!r}, which is not a size; write for example 20GB, 512MiB or 1000000")
    return int(float(match[1]) * _UNITS[match[2]])


def _number(name: str, default: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise StorageError(f"{name} is {text!r}, which is not a number") from None


def _cache_folder() -> Path | None:
    if chosen := os.environ.get("SMALTI_CACHE"):
        return None if chosen.lower() in ("off", "no", "none", "0") else Path(chosen).expanduser().absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "smalti"
    try:
        home = Path.home()
    except RuntimeError:
        # A container user without a home: a shared temporary folder would let others plant bytes, so no cache.
        return None
    if os.uname().sysname == "Darwin":
        return home / "Library" / "Caches" / "smalti"
    return home / ".cache" / "smalti"


def default_cache() -> Cache | None:
    """The cache that the environment asks for: SMALTI_CACHE (a folder, or `off`) and SMALTI_CACHE_LIMIT (`20GB`)."""
    folder = _cache_folder()
    if folder is None:
        return None
    limit = os.environ.get("SMALTI_CACHE_LIMIT")
    max_bytes = parse_bytes(limit, name="SMALTI_CACHE_LIMIT") if limit else _DEFAULT_CACHE_BYTES
    return Cache(folder, max_bytes=max_bytes)


def _options(given: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple(sorted((str(name).lower(), str(value)) for name, value in pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How stores are reached. Holds no socket, so it travels to worker processes.

    Attributes:
        endpoint: Address of an S3-compatible server (`http://localhost:9000`); None: SMALTI_S3_ENDPOINT,
            AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's `endpoint_url`, then AWS itself.
        region: S3 region; None: AWS_REGION, AWS_DEFAULT_REGION, the profile's, then us-east-1.
        profile: Name of a profile in the AWS files; None: keys from the environment, then AWS_PROFILE or `default`.
        anonymous: Send unsigned requests, as public buckets want them.
        timeout_s: Longest silence of a server that is borne, in seconds, per attempt (SMALTI_TIMEOUT_S; 30).
        deadline_s: Longest time for one whole transfer, in seconds.
        retries: How often a request is repeated after a 5xx, a reset or a timeout (SMALTI_RETRIES; 4).
        cache: Local copies of remote objects; None for none.
        max_bytes: Objects larger than this are refused before they are read; None for no limit.
        schemes: The schemes that may be used (`{"s3", "https"}`); None for all.
        options: Anything else that the store library understands (`access_key_id`, `secret_access_key`,
            `account_name`, `account_key`, `service_account`, ...). Never shown.
    """

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    timeout_s: float = field(default_factory=lambda: _number("SMALTI_TIMEOUT_S", 30.0))
    deadline_s: float = 600.0
    retries: int = field(default_factory=lambda: int(_number("SMALTI_RETRIES", 4)))
    cache: Cache | None = field(default_factory=default_cache)
    max_bytes: int | None = None
    schemes: frozenset[str] | None = None
    options: Mapping[str, str] | Iterable[tuple[str, str]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.deadline_s <= 0 or self.retries < 0:
            raise StorageError(
                f"timeout_s={self.timeout_s}, deadline_s={self.deadline_s}, retries={self.retries}: "
                "times must be above 0 and retries not below 0"
            )
        object.__setattr__(self, "options", _options(self.options))
        if self.schemes is not None:
            object.__setattr__(self, "schemes", frozenset(self.schemes))

    def option(self, *names: str) -> str | None:
        """The first of these options that was given."""
        given = self.given
        return next((given[name] for name in names if name in given), None)

    @property
    def given(self) -> dict[str, str]:
        """The options by name, in lower case."""
        return dict(self.options)


_chosen: Storage | None = None


def default_storage() -> Storage:
    """The storage that calls use when they are given none: the one that was set, or what the environment says now."""
    return _chosen if _chosen is not None else Storage()


def set_default_storage(storage: Storage | None) -> Storage | None:
    """Set the default of this process (None: back to the environment). Returns what was set before."""
    global _chosen
    before, _chosen = _chosen, storage
    return before


@contextmanager
def using_storage(storage: Storage) -> Iterator[Storage]:
    """The default of this process within a `with` block. All threads see it."""
    before = set_default_storage(storage)
    try:
        yield storage
    finally:
        set_default_storage(before)
