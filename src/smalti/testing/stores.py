"""A store for the length of a test."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smalti.store import Store

__all__ = ["temporary_store"]


@contextmanager
def temporary_store() -> "Iterator[Store]":
    """A real, empty store in a folder of its own, which is removed at the end.

    As a fixture of pytest:

        @pytest.fixture
        def store():
            with temporary_store() as store:
                yield store
    """
    from smalti.store import open_store

    with tempfile.TemporaryDirectory(prefix="smalti-test-") as folder, open_store(folder) as store:
        yield store
