"""Errors on the wire: RFC 9457 problem details, and the one table from exceptions to status codes."""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from smalti.errors import (
    AccessDenied,
    CheckFailed,
    ConflictError,
    DecodeError,
    ExportLoss,
    FrameError,
    LegendError,
    MaskReferenceError,
    MissingExtra,
    QueryError,
    SmaltiError,
    StorageError,
    TimestampError,
    UnknownContentType,
    VersionError,
    VersionFrozen,
)

__all__ = ["HANDLERS", "MEDIA_TYPE", "Problem", "Refusal", "problem_of"]

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("smalti.server")


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457).

    Attributes:
        type: a name for programs, `urn:smalti:problem:...`.
        title: the status in words.
        status: the HTTP status code.
        detail: for people: what was found against what is allowed, and what to do.
        path: the JSON path of the fault in what was sent or stored.
        text, column, completions: for a query: the text, the 0-based offset of the fault, and what may have been meant.
        known: the names that exist, where one does not.
        report: the check report that refused a publish.
        etag: of the thing as it is now, for a conflict.
    """

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    path: str | None = None
    text: str | None = None
    column: int | None = None
    completions: list[str] | None = None
    known: list[str] | None = None
    report: Any = None
    etag: str | None = None


class Refusal(Exception):
    """A request that is refused on purpose: a status, a name for programs, a sentence for people."""

    def __init__(self, status: int, name: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.headers: dict[str, str] = more.pop("headers", {})
        self.problem = Problem(
            type=f"urn:smalti:problem:{name}", title=HTTPStatus(status).phrase, status=status, detail=detail, **more
        )


# The first class that fits, most special first.
_TABLE: tuple[tuple[type[BaseException], int, str], ...] = (
    (QueryError, 400, "query"),
    (MaskReferenceError, 404, "mask-reference"),
    (FrameError, 422, "frame"),
    (LegendError, 422, "legend"),
    (UnknownContentType, 415, "content-type"),
    (TimestampError, 422, "timestamp"),
    (DecodeError, 422, "decode"),
    (AccessDenied, 403, "access-denied"),
    (FileNotFoundError, 404, "missing-file"),
    (StorageError, 502, "storage"),
    (VersionFrozen, 409, "version-frozen"),
    (ConflictError, 412, "conflict"),
    (CheckFailed, 409, "check-failed"),
    (ExportLoss, 409, "export-loss"),
    (VersionError, 409, "version"),
    (MissingExtra, 501, "missing-extra"),
    (SmaltiError, 500, "smalti"),
    (RecursionError, 400, "nesting"),
)


def problem_of(error: BaseException) -> Problem | None:
    """The problem that an exception is, or None for one that nobody expected."""
    if isinstance(error, Refusal):
        return error.problem
    for kind, status, name in _TABLE:
        if isinstance(error, kind):
            found = Problem(
                type=f"urn:smalti:problem:{name}",
                title=HTTPStatus(status).phrase,
                status=status,
                detail=str(error) if not isinstance(error, RecursionError) else "the JSON is nested too deeply",
            )
            _add(found, error)
            return found
    return None


def _add(found: Problem, error: BaseException) -> None:
    if isinstance(error, QueryError):
        found.detail, found.text, found.column = error.reason, error.text, error.column
        found.completions = list(error.completions)
    if isinstance(error, FrameError):
        found.path = error.path
    if isinstance(error, MaskReferenceError | UnknownContentType):
        found.known = list(error.known)
    if isinstance(error, CheckFailed):
        found.report = _plain(error.report)
    if isinstance(error, VersionFrozen):
        found.detail = f"{error}; POST a child of it and edit that"


def _plain(report: Any) -> Any:
    plain = report.to_dict() if hasattr(report, "to_dict") else str(report)
    return msgspec.to_builtins(plain, str_keys=True)


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A problem as a response."""
    return Response(
        content=msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _known(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    found = problem_of(error)
    if found is None:
        return _unknown(request, error)
    if found.status >= 500:
        _LOG.warning("%s %s: %s", request.method, request.url.path, error)
    return answer(found, getattr(error, "headers", None))


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    detail, path = error.detail, None
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        path = str(first.get("key", "$")) if isinstance(first, dict) else "$"
        said = str(first.get("message", "")) if isinstance(first, dict) else str(first)
        detail = f"{path}: {said}"
    status = error.status_code
    if status >= 500:
        return _unknown(request, error)
    title = HTTPStatus(status).phrase
    name = title.lower().replace(" ", "-")
    problem = Problem(type=f"urn:smalti:problem:{name}", title=title, status=status, detail=detail, path=path)
    return answer(problem, {k: v for k, v in (error.headers or {}).items() if k.lower() != "content-type"})


def _unknown(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A bug of ours: the log has it all, the client learns nothing about our insides."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(
        Problem(
            type="urn:smalti:problem:internal", title="Internal Server Error", status=500, detail="see the server's log"
        )
    )


HANDLERS: dict[Any, Any] = {
    HTTPException: _http,
    Refusal: _known,
    SmaltiError: _known,
    FileNotFoundError: _known,
    RecursionError: _known,
    Exception: _unknown,
}
"""For Litestar's `exception_handlers`."""
