"""Requests to a smalti server; its problems come back as the errors that the same call raises locally."""

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from smalti.errors import (
    AccessDenied,
    CheckFailed,
    ConflictError,
    DecodeError,
    FrameError,
    LegendError,
    MaskReferenceError,
    QueryError,
    SmaltiError,
    StorageError,
    UnknownContentType,
    VersionError,
    VersionFrozen,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["Http", "segment"]

_API = "/api/v1"
_TIMEOUT_S = 60.0


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


class Http:
    """One server. Pickles as its address and key; each process connects anew.

    Args:
        base: its address, with the prefix of a proxy if there is one.
        api_key: `access:secret`, or the server's standing token; None = $SMALTI_API_KEY.
        client: an httpx client to use instead of one of our own.
    """

    def __init__(self, base: str, api_key: str | None = None, *, client: "httpx.Client | None" = None) -> None:
        self.base = base.rstrip("/")
        self.api_key = api_key if api_key is not None else os.environ.get("SMALTI_API_KEY")
        self._client = client

    def __reduce__(self) -> tuple[Any, ...]:
        return Http, (self.base, self.api_key)

    def _connected(self) -> "httpx.Client":
        if self._client is None:
            import httpx

            self._client = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)
        return self._client

    def close(self) -> None:
        """Let go of the connection; the next request connects again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def send(
        self, method: str, path: str, body: Any = None, *, etag: str | None = None, **query: Any
    ) -> "httpx.Response":
        """The answer to a request.

        Args:
            method, path: the path below /api/v1.
            body: what to send as JSON.
            etag: for If-Match.
            query: parameters; None = not given.

        Raises:
            SmaltiError: what the server's problem stands for. StorageError: it does not answer.
        """
        import httpx

        headers = {"Accept-Encoding": "gzip", "User-Agent": "smalti"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        if etag is not None:
            headers["If-Match"] = f'"{etag}"'
        content = None
        if body is not None:
            content, headers["Content-Type"] = msgspec.json.encode(body), "application/json"
        params = {key: _text(value) for key, value in query.items() if value is not None}
        try:
            answer = self._connected().request(
                method, f"{self.base}{_API}{path}", content=content, headers=headers, params=params
            )
        except httpx.HTTPError as error:
            raise StorageError(f"{self.base}: the server does not answer ({error})", uri=self.base) from None
        if answer.status_code >= 400:
            raise _error(answer, self.base)
        return answer

    def ask(self, method: str, path: str, body: Any = None, *, etag: str | None = None, **query: Any) -> Any:
        """The JSON of an answer; arguments and errors as in `send`."""
        return msgspec.json.decode(self.send(method, path, body, etag=etag, **query).content)

    def pages(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Iterator[Any]:
        """The items of all pages of a list: `items`, or `hits` of a search."""
        cursor: str | None = None
        while True:
            if body is None:
                page = self.ask(method, path, cursor=cursor, **query)
            else:
                page = self.ask(method, path, {**body, **({"cursor": cursor} if cursor else {})}, **query)
            yield from page["items"] if "items" in page else page["hits"]
            cursor = page["next"]
            if cursor is None:
                return

    def wait(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job when it is done.

        Raises:
            VersionError: it failed.
        """
        pause_s = 0.02
        while job["state"] in ("queued", "running"):
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)
            job = self.ask("GET", f"/jobs/{segment(job['id'])}")
        if job["state"] != "done":
            raise VersionError(f"{job['kind']}: {job['message']}")
        return job


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _error(answer: "httpx.Response", base: str) -> Exception:
    """What a problem stands for."""
    try:
        found = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict) or "type" not in found:
        return StorageError(f"{base}: HTTP {answer.status_code}; is this a smalti server?", uri=base)
    name, detail = str(found["type"]).rpartition(":")[2], str(found.get("detail", ""))
    if name == "query":
        return QueryError(
            detail,
            text=found.get("text", ""),
            column=found.get("column", 0),
            completions=found.get("completions", ()),
        )
    if name in ("mask", "mask-reference"):
        return MaskReferenceError(detail, known=found.get("known", ()))
    if name == "frame":
        return FrameError(detail, path=found.get("path", "$"))
    if name == "check-failed":
        from smalti.lint.report import Report

        told = found.get("report")
        return CheckFailed(detail, report=Report.from_dict(told) if isinstance(told, dict) else told)
    if name == "missing-file":
        return FileNotFoundError(detail)
    if answer.status_code == 401:
        return AccessDenied(f"{base}: {detail}; pass api_key='access:secret' or set SMALTI_API_KEY", uri=base)
    kind = _KINDS.get(name)
    if kind is not None:
        return kind(detail)
    return AccessDenied(detail, uri=base) if answer.status_code == 403 else StorageError(f"{base}: {detail}", uri=base)


_KINDS: dict[str, type[SmaltiError]] = {
    "legend": LegendError,
    "content-type": UnknownContentType,
    "decode": DecodeError,
    "timestamp": DecodeError,
    "access-denied": AccessDenied,
    "storage": StorageError,
    "version": VersionError,
    "dataset": VersionError,
    "version-frozen": VersionFrozen,
    "conflict": ConflictError,
}
