"""What a check found, and how it is said."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

__all__ = ["CODES", "Finding", "Report", "Severity"]

Severity = Literal["error", "warning", "info"]

CODES: dict[str, tuple[Severity, str]] = {
    "frame-unreadable": ("error", "a frame is not what the format allows"),
    "duplicate-id": ("error", "two frames share an id"),
    "mask-reference": ("error", "a ROI's mask cannot be told"),
    "legend-clash": ("error", "one value means two different things"),
    "legend-shared-color": ("warning", "several names share one colour"),
    "legend-colors-close": ("warning", "two entries are too close to tell apart after the codec used"),
    "legend-off": ("error", "the legend misses the mask's colours by a few levels"),
    "legend-entry-unused": ("info", "an entry never occurs"),
    "file-missing": ("error", "a file is not there"),
    "file-unreadable": ("error", "a file cannot be read or decoded"),
    "content-type": ("warning", "a file is not what its content type says"),
    "size-mismatch": ("error", "image and mask differ in size"),
    "size-record": ("warning", "the record gives another size than the file has"),
    "unknown-colors": ("error", "pixels have values that the legend lacks"),
    "anti-aliased": ("warning", "edges are blended into colours that mean nothing"),
    "lossy-colors": ("warning", "a lossy codec changed the colours; they were repaired"),
    "lossy-ids": ("error", "ids went through a lossy codec"),
    "void-share": ("warning", "much of the mask is void"),
    "empty-mask": ("warning", "a mask shows nothing at all"),
    "alpha-hides-labels": ("warning", "labelled pixels are transparent"),
    "timestamp-outside": ("error", "a timestamp lies outside its clip"),
    "timestamp-differs": ("warning", "mask and source are read at different times"),
    "clip-lengths": ("warning", "mask clip and source clip have different numbers of pictures"),
    "rotation-differs": ("warning", "image and mask ask to be turned differently"),
    "mixed-modes": ("warning", "the masks of one id are stored in different modes"),
    "unpaired": ("warning", "an image has no mask, or a mask no image"),
    "nothing-checked": ("error", "there was nothing to check"),
}
"""Stable codes: the usual severity, and what the code means in general."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong or worth knowing.

    Attributes:
        code: stable, one of `CODES`.
        severity: "error", "warning" or "info".
        where: the file, frame and JSON path that it is about.
        message: what was found, with numbers.
        hint: what to do.
    """

    code: str
    severity: Severity
    where: str
    message: str
    hint: str


class Report:
    """The findings of one check, worst first, and how much was looked at.

    Attributes:
        findings: sorted by severity, then by code and place.
        frames, masks: how many were checked.
    """

    def __init__(self, findings: Iterable[Finding], *, frames: int = 0, masks: int = 0) -> None:
        rank = {"error": 0, "warning": 1, "info": 2}
        self.findings = sorted(findings, key=lambda f: (rank[f.severity], f.code, f.where))
        self.frames = frames
        self.masks = masks

    @property
    def errors(self) -> list[Finding]:
        """The findings that make a data set unfit."""
        return [f for f in self.findings if f.severity == "error"]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def counts(self) -> dict[str, int]:
        """Findings by code, the worst first."""
        return dict(Counter(f.code for f in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "ok": self.ok,
            "frames": self.frames,
            "masks": self.masks,
            "counts": self.counts(),
            "findings": [msgspec.to_builtins(f) for f in self.findings],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Report":
        """The report that `to_dict` wrote down, as it is kept with a version."""
        findings = msgspec.convert(found["findings"], list[Finding])
        return cls(findings, frames=found["frames"], masks=found["masks"])

    def to_json(self, *, indent: int = 2) -> str:
        """The report as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=indent).decode()

    def __repr__(self) -> str:
        by = Counter(f.severity for f in self.findings)
        said = ", ".join(
            f"{by[s]} {s}{'s' if by[s] != 1 and s != 'info' else ''}" for s in ("error", "warning", "info") if by[s]
        )
        return f"Report on {self.frames} frame(s), {self.masks} mask(s): {said or 'nothing found'}"
