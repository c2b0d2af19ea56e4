"""Asking for frames: text to a tree (`parse`), and what the tree means on a frame (`match`)."""
