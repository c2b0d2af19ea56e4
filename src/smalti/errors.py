"""Every error that smalti raises on purpose.

    SmaltiError
    ├── FrameError(ValueError)               .path    "$.rois[2].mask.value"
    │   └── MaskReferenceError               .mask_id, .known
    ├── LegendError(ValueError)              entries that clash, files that cannot be read as a legend
    ├── DecodeError(ValueError)              .uri, .content_type
    │   ├── UnknownContentType(LookupError)  .known
    │   ├── UnknownColors                    .colors
    │   └── TimestampError(IndexError)       .at_ms, .first_ms, .last_ms
    ├── StorageError(OSError)                .uri; a missing object raises the built-in FileNotFoundError
    │   └── AccessDenied(PermissionError)    no credentials, or they are not enough
    ├── QueryError(ValueError)               .text, .column; the message draws a caret
    ├── VersionError
    │   ├── VersionFrozen(PermissionError)   a published version cannot change
    │   └── ConflictError                    .conflicts: edits or merges that touch the same thing
    ├── CheckFailed                          .report: a publish that the mask checks refuse
    ├── ExportLoss                           .losses: an export under --strict that cannot say everything
    └── MissingExtra(ImportError)            .extra

A message has three parts in this order: where; what was found against what is allowed; what to do. Where that is said
differently in Python and on the command line, the error carries both: `SmaltiError(message, advice=, command=)`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "AccessDenied",
    "CheckFailed",
    "ConflictError",
    "DecodeError",
    "ExportLoss",
    "FrameError",
    "LegendError",
    "MaskReferenceError",
    "MissingExtra",
    "QueryError",
    "SmaltiError",
    "StorageError",
    "TimestampError",
    "UnknownColors",
    "UnknownContentType",
    "VersionError",
    "VersionFrozen",
]


class SmaltiError(Exception):
    """The root: catch this to catch everything that smalti raises on purpose.

    Args:
        message: what is wrong, and what to do as far as it is the same for everybody.
        advice: what to do in Python; it ends the message.
        command: what to do on the command line, which says it in place of `advice`.
    """

    def __init__(self, message: str = "", *, advice: str = "", command: str = "") -> None:
        super().__init__(f"{message}; {advice}" if advice else message)
        self.on_command_line = f"{message}; {command}" if command else str(self)


class FrameError(SmaltiError, ValueError):
    """A frame is not what the format allows; `path` is the JSON path of the fault."""

    def __init__(self, message: str, *, path: str = "$", advice: str = "", command: str = "") -> None:
        super().__init__(message, advice=advice, command=command)
        self.path = path


class MaskReferenceError(FrameError):
    """A ROI, or a caller, names a mask that cannot be told; `known` lists the masks that exist."""

    def __init__(self, message: str, *, path: str = "$", mask_id: str | None = None, known: Sequence[str] = ()) -> None:
        super().__init__(message, path=path)
        self.mask_id = mask_id
        self.known = tuple(known)


class LegendError(SmaltiError, ValueError):
    """Entries of a legend clash, or a file cannot be read as one."""


class DecodeError(SmaltiError, ValueError):
    """Bytes are not the picture or clip that they claim to be, or exceed a limit."""

    def __init__(self, message: str, *, uri: str | None = None, content_type: str | None = None) -> None:
        super().__init__(message)
        self.uri = uri
        self.content_type = content_type


class UnknownContentType(DecodeError, LookupError):
    """No decoder is registered for this content type."""

    def __init__(self, message: str, *, content_type: str | None = None, known: Iterable[str] = ()) -> None:
        super().__init__(message, content_type=content_type)
        self.known = tuple(sorted(known))


class UnknownColors(DecodeError):
    """A mask has colours that its legend lacks, and the caller asked for none.

    `colors` lists the commonest strangers: (value, pixels, nearest legend value, distance in levels).
    """

    def __init__(self, message: str, *, colors: Sequence[tuple[Any, int, Any, int | None]] = ()) -> None:
        super().__init__(message)
        self.colors = tuple(colors)


class TimestampError(DecodeError, IndexError):
    """A timestamp lies outside its clip."""

    def __init__(self, message: str, *, at_ms: float, first_ms: float, last_ms: float) -> None:
        super().__init__(message)
        self.at_ms = at_ms
        self.first_ms = first_ms
        self.last_ms = last_ms


class StorageError(SmaltiError, OSError):
    """Bytes named by a URI cannot be read or written."""

    def __init__(self, message: str, *, uri: str | None = None, advice: str = "", command: str = "") -> None:
        super().__init__(message, advice=advice, command=command)
        self.uri = uri


class AccessDenied(StorageError, PermissionError):
    """The store knows the object but not us."""


class QueryError(SmaltiError, ValueError):
    """A query cannot be read; `column` is the 0-based offset of the fault in `text`."""

    def __init__(self, message: str, *, text: str = "", column: int = 0, completions: Sequence[str] = ()) -> None:
        caret = f"{message}\n  {text}\n  {' ' * column}^" if text else message
        if completions:
            caret += f"\n  did you mean: {', '.join(completions)}"
        super().__init__(caret)
        self.reason = message
        self.text = text
        self.column = column
        self.completions = tuple(completions)


class VersionError(SmaltiError):
    """A dataset or version is missing, busy, or not in the state that the call needs."""


class VersionFrozen(VersionError, PermissionError):
    """A published version cannot change."""


class ConflictError(VersionError):
    """Two edits, or two sides of a merge, touch the same thing; `conflicts` lists them."""

    def __init__(self, message: str, *, conflicts: Sequence[Any] = (), advice: str = "", command: str = "") -> None:
        super().__init__(message, advice=advice, command=command)
        self.conflicts = tuple(conflicts)


class CheckFailed(SmaltiError):
    """The mask checks found errors; `report` has them."""

    def __init__(self, message: str, *, report: Any = None, advice: str = "", command: str = "") -> None:
        super().__init__(message, advice=advice, command=command)
        self.report = report


class ExportLoss(SmaltiError):
    """The target format cannot say everything; `losses` lists what would be lost."""

    def __init__(self, message: str, *, losses: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.losses = tuple(losses)


class MissingExtra(SmaltiError, ImportError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs the extra "{extra}": pip install "smalti[{extra}]"')
        self.extra = extra
