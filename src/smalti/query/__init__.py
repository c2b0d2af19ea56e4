"""Asking for frames: text to a tree (`parse`), what the tree means on a frame (`matches`), how a text could go on."""

from smalti.query.completing import Completion, complete

__all__ = ["Completion", "complete"]
