"""auth.login, and who makes a request."""

import base64
import binascii
from typing import Any

from smalti.server.auth import Gate, Identity
from smalti.server.clearml import tokens
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller
from smalti.store.rows import KeyRow

__all__ = ["caller_of", "log_in"]


def caller_of(gate: Gate, header: str, client: str) -> Caller:
    """Whose token or key an Authorization header holds.

    Raises:
        Fault: 401, upon which the client logs in once more.
    """
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        found = tokens.verify(value.strip(), gate)
        if found is not None:
            return Caller(found[1], found[0])
    elif scheme.lower() == "basic":
        row, who = _by_key(gate, header, client)
        return Caller(who, row)
    raise Fault(401, "log in first: the token is missing, has ended, or its key was revoked")


def log_in(gate: Gate, header: str, client: str, life: str | None) -> dict[str, Any]:
    """What auth.login answers: a token for a key, or a fresh one for a token."""
    caller = caller_of(gate, header, client)
    if life is not None and not (life.isdecimal() and len(life) < 12):
        raise Fault(400, f"expiration_sec is {life[:40]!r}; give a whole number of seconds")
    return {"token": tokens.issue(caller.key, caller.who, int(life) if life else None)}


def _by_key(gate: Gate, header: str, client: str) -> tuple[KeyRow, Identity]:
    who = gate.by_header(header, client)
    try:
        access = base64.b64decode(header.partition(" ")[2].strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        access = ""
    row = gate.catalog.get_key(access) if access else None
    if who is None or row is None:
        raise Fault(401, "the access key or the secret key is wrong, or the key was revoked")
    return row, who
