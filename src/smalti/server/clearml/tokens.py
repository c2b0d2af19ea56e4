"""Login tokens: JSON Web Tokens (HS256) that stand for an API key, and die with it.

A token is signed with a key that follows from the stored hash of its API key's secret. So nothing new is stored, a
restart invalidates nothing, several servers on one catalog accept each other's tokens, and revoking the key ends them.
"""

import base64
import binascii
import hashlib
import hmac
import time
from typing import Any

import msgspec

from smalti.server.auth import Gate, Identity
from smalti.store.rows import KeyRow

__all__ = ["LIFE_S", "issue", "verify"]

LIFE_S = 30 * 24 * 3600
"""The client logs in anew when a token is about to end; a month is longer than most runs."""
_SHORTEST_S, _LONGEST_S = 600, 366 * 24 * 3600
# What the client reads before it uses hyper-datasets: the level of the protocol that is spoken here.
_LEVEL = {"api_version": "2.34", "server_version": "3.25.0", "server_build": "1", "feature_set": "advanced"}
_HEADER = {"alg": "HS256", "typ": "JWT"}


def issue(row: KeyRow, who: Identity, life_s: int | None = None) -> str:
    """A token for an API key.

    Args:
        row: the key.
        who: whose it is.
        life_s: how long it is good for, in seconds; None = a month.
    """
    now = int(time.time())
    life = LIFE_S if life_s is None else min(max(life_s, _SHORTEST_S), _LONGEST_S)
    claims = {
        "iat": now,
        "exp": now + life,
        "auth_type": "Bearer",
        "env": "smalti",
        "key": row.access_key,
        "identity": {
            "user": who.name,
            "user_name": who.name,
            "company": "smalti",
            "company_name": "",
            "role": who.role,
        },
        **_LEVEL,
    }
    signed = f"{_pack(_HEADER)}.{_pack(claims)}"
    return f"{signed}.{_coded(_mac(row, signed))}"


def verify(token: str, gate: Gate) -> tuple[KeyRow, Identity] | None:
    """The API key that a token stands for and whose it is; None for one that is not ours, or over, or revoked."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > 8192:
        return None
    header, claims = _unpack(parts[0]), _unpack(parts[1])
    if header.get("alg") != "HS256" or not isinstance(claims.get("key"), str):
        return None
    row = gate.catalog.get_key(claims["key"])
    if row is None or row.revoked is not None:
        return None
    if not hmac.compare_digest(_mac(row, f"{parts[0]}.{parts[1]}"), _decoded(parts[2])):
        return None
    ends = claims.get("exp")
    if not isinstance(ends, int) or ends <= time.time():
        return None
    user = gate.catalog.get_user(row.user)
    if user is None or (gate.only_owner and user.name != gate.owner):
        return None
    return row, Identity(user.name, user.role, "key")


def _mac(row: KeyRow, signed: str) -> bytes:
    key = hmac.digest(row.secret.encode(), b"smalti login token", hashlib.sha256)
    return hmac.digest(key, signed.encode(), hashlib.sha256)


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _pack(part: dict[str, Any]) -> str:
    return _coded(msgspec.json.encode(part))


def _unpack(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(_decoded(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
