"""check(): the verdict on frames, their files and their masks."""

from smalti.lint.report import CODES, Finding, Report
from smalti.lint.run import check

__all__ = ["CODES", "Finding", "Report", "check"]
