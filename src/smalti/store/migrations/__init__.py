"""Every change of the catalog's tables since the first release, run when a catalog is opened.

A new one: add `versions/NNNN_what.py`, append its revision to `REVISIONS`. Published ones never change.
"""

from pathlib import Path

import sqlalchemy as sa

from smalti.errors import VersionError

__all__ = ["LOCK", "REVISIONS", "is_current", "revision", "upgrade"]

REVISIONS = ("0001",)
"""Oldest first; the last is this release's. Kept here so that opening a catalog does not have to import alembic."""

LOCK = 0x736D616C7469
"""The advisory lock that PostgreSQL clients take before they migrate: "smalti" in ASCII."""


def revision(connection: sa.Connection) -> str | None:
    """The revision of a database's tables; None = it has none of ours."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


def is_current(found: str | None, where: str) -> bool:
    """Whether a revision is this release's.

    Raises:
        VersionError: it is of a later release, whose rows may mean what we do not know.
    """
    if found is not None and found not in REVISIONS:
        raise VersionError(
            f"catalog {where}: its schema {found!r} is newer than {REVISIONS[-1]!r}, the newest that this "
            "release knows; update smalti"
        )
    return found == REVISIONS[-1]


def upgrade(connection: sa.Connection) -> None:
    """Run what is missing inside the connection's transaction: all of it is committed, or none."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
