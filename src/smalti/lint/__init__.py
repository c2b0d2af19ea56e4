"""check(): the verdict on frames, their files and their masks."""

from smalti.lint.run import check
from smalti.lint.report import CODES, Finding, Report

__all__ = ["CODES", "Finding", "Report", "check"]
