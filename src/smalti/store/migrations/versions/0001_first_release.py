"""The tables of the first release.

Times are microseconds since 1970 in UTC; what is not a name, a number or a time is JSON text.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True, nullable=False)


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def _numbers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _belongs(name: str, parent: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, sa.ForeignKey(parent, ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Make them."""
    _datasets()
    _work()
    _people()


def _datasets() -> None:
    op.create_table(
        "dataset",
        _key("uuid"),
        *_texts("project", nullable=True),
        *_texts("name", "description", "tags", "system_tags", "meta", "uri", "declared", "extra"),
        *_numbers("schema_rev", "created", "updated"),
    )
    op.create_index("uq_dataset_name", "dataset", [sa.text("coalesce(project, '')"), "name"], unique=True)
    op.create_table(
        "version",
        _key("uuid"),
        _belongs("dataset", "dataset.uuid"),
        *_texts(
            "name", "branch", "parents", "state", "description", "tags", "meta", "stats", "legend", "report", "extra"
        ),
        *_numbers("base_version", "head_version", "published", nullable=True),
        *_numbers("created", "updated"),
    )
    op.create_index("ix_version_dataset", "version", ["dataset"])
    alive = sa.text("state <> 'deleted'")
    op.create_index(
        "uq_version_name", "version", ["dataset", "name"], unique=True, sqlite_where=alive, postgresql_where=alive
    )
    op.create_table(
        "lease",
        sa.Column(
            "version", sa.Text, sa.ForeignKey("version.uuid", ondelete="CASCADE"), primary_key=True, nullable=False
        ),
        *_texts("owner", "token"),
        *_numbers("expires"),
    )


def _work() -> None:
    op.create_table(
        "dataview",
        _key("uuid"),
        *_texts("project", nullable=True),
        *_texts("name", "description", "tags", "status", "spec", "extra"),
        *_numbers("created", "updated"),
    )
    op.create_index("ix_dataview_name", "dataview", ["name"])
    op.create_table(
        "job",
        _key("uuid"),
        *_texts("kind", "state", "owner", "spec", "message", "result", "extra"),
        sa.Column("progress", sa.Double, nullable=False),
        *_numbers("created", "updated"),
    )
    op.create_index("ix_job_state_created", "job", ["state", "created"])
    op.create_table(
        "audit",
        _key("uuid"),
        *_texts("who", "what", "detail"),
        *_texts("dataset", "version", nullable=True),
        *_numbers("when"),
    )
    for name in ("when", "dataset", "version"):
        op.create_index(f"ix_audit_{name}", "audit", [name])


def _people() -> None:
    op.create_table(
        "account",
        _key("name"),
        *_texts("role", "extra"),
        *_texts("password", nullable=True),
        *_numbers("created", "updated"),
    )
    op.create_table(
        "access_key",
        _key("access_key"),
        *_texts("secret", "extra"),
        _belongs("user", "account.name"),
        *_numbers("created"),
        *_numbers("revoked", nullable=True),
    )
    op.create_index("ix_access_key_user", "access_key", ["user"])
