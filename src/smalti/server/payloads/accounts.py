"""Logins, keys, users."""

from datetime import datetime
from typing import Annotated

import msgspec

from smalti.server.payloads.base import In, Out
from smalti.store.rows import Role

__all__ = ["Deleted", "KeyMade", "KeyOut", "Login", "Me", "NewKey", "TokenIn"]


class Login(In):
    """A name and a password."""

    name: Annotated[str, msgspec.Meta(max_length=256)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]


class TokenIn(In):
    """The token of a link."""

    token: Annotated[str, msgspec.Meta(max_length=1024)]


class Me(Out):
    """Who is logged in, and how; `can` lists what the role allows."""

    name: str
    role: Role
    via: str
    can: list[str]


class NewKey(In):
    """Whose key; None = one's own. Only administrators make keys for others."""

    user: str | None = None
    note: Annotated[str, msgspec.Meta(max_length=256)] = ""


class KeyOut(Out):
    """An API key without its secret."""

    access_key: str
    user: str
    note: str
    created: datetime
    revoked: datetime | None


class KeyMade(Out):
    """A new API key; the secret is shown this once."""

    access_key: str
    secret_key: str
    user: str


class Deleted(Out):
    """What was deleted."""

    deleted: str
