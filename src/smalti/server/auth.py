"""Who is asking: passwords, API keys, one-time links, sessions that can be revoked, and what each role may do."""

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from smalti.errors import VersionError
from smalti.server.problems import Refusal
from smalti.store.catalog import Catalog
from smalti.store.rows import KeyRow, Role, UserRow

__all__ = ["Gate", "Identity", "Limiter", "hash_password", "identity_of", "needs", "new_key", "verify_password"]

RANKS: dict[str, int] = {"viewer": 0, "annotator": 1, "admin": 2}
IDLE_S = 12 * 3600.0
LONGEST_S = 7 * 24 * 3600.0
_COST, _BLOCK, _LANES = 2**15, 8, 1  # 32 MiB and about 0.1 s for each guess
_MAX_PASSWORD = 1024


class Identity(msgspec.Struct, frozen=True):
    """Somebody who was let in, and how."""

    name: str
    role: Role
    via: Literal["session", "key", "token"]


def hash_password(password: str) -> str:
    """A salted scrypt hash, with its parameters.

    Raises:
        VersionError: it is shorter than 10 characters, or unreasonably long.
    """
    if not 10 <= len(password) <= _MAX_PASSWORD:
        raise VersionError(f"the password has {len(password)} characters; 10 to {_MAX_PASSWORD} are allowed")
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _COST, _BLOCK, _LANES)
    return f"scrypt${_COST}${_BLOCK}${_LANES}${salt.hex()}${digest.hex()}"


def verify_password(password: str, stored: str | None) -> bool:
    """Whether it is the one; takes as long where there is none to compare with."""
    known = stored if stored is not None and stored.startswith("scrypt$") else _DUMMY
    _, cost, block, lanes, salt, digest = known.split("$")
    found = _scrypt(password[:_MAX_PASSWORD], bytes.fromhex(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(found, bytes.fromhex(digest)) and known is stored


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=256 << 20, dklen=32)


_DUMMY = f"scrypt${_COST}${_BLOCK}${_LANES}${'00' * 16}${'00' * 32}"


def new_key(user: str) -> tuple[KeyRow, str]:
    """A row to keep, and the secret half that only its owner will know."""
    secret = secrets.token_urlsafe(32)
    row = KeyRow(access_key=secrets.token_hex(10).upper(), secret=_digest(secret), user=user)
    return row, secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Limiter:
    """At most so many tries of one thing in a while.

    Args:
        tries: how many.
        seconds: in how long.
        clock: monotonic seconds.
    """

    def __init__(self, tries: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.tries, self.seconds, self._clock = tries, seconds, clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def spend(self, key: str) -> None:
        """Count a try.

        Raises:
            Refusal: there were too many; 429 with Retry-After.
        """
        now = self._clock()
        with self._lock:
            times = self._seen.setdefault(key, deque())
            self._seen.move_to_end(key)
            while times and now - times[0] >= self.seconds:
                times.popleft()
            if len(times) >= self.tries:
                wait = int(self.seconds - (now - times[0])) + 1
                raise Refusal(
                    429, "too-many", f"too many tries; wait {wait} s and try again", headers={"Retry-After": str(wait)}
                )
            times.append(now)
            while len(self._seen) > 10_000:
                self._seen.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Take the last try back: it was a good one."""
        with self._lock:
            if self._seen.get(key):
                self._seen[key].pop()


@dataclass(slots=True)
class _Session:
    identity: Identity
    born: float
    seen: float


@dataclass
class Gate:
    """Decides who comes in. Sessions live in memory: a restart logs everybody out, and nothing on disk is worth a theft.

    Attributes:
        catalog: users and keys.
        owner: the name of who started the server, for the one-time link and the standing token.
        standing: the standing token, or None.
        clock: monotonic seconds.
        only_owner: nobody else comes in: such a server reads any file of its owner (see `Policy.own_files`), so users
            who are added while it runs have to wait for a restart.
        on_new_link: is told the next token when a link was used.
    """

    catalog: Catalog
    owner: str
    standing: str | None = None
    clock: Callable[[], float] = time.monotonic
    only_owner: bool = False
    on_new_link: Callable[[str], None] | None = None
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _once: set[str] = field(default_factory=set)
    _known: dict[str, tuple[float, Identity | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.logins = Limiter(5, 60, self.clock)
        self.failures = Limiter(30, 60, self.clock)

    # ------------------------------------------------------------------------------------------------- coming in
    def new_link_token(self) -> str:
        """A token that logs in once."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._once = {_digest(token)}  # an older link that was never used stops working
        return token

    def exchange(self, token: str, client: str) -> str:
        """A session for a one-time or standing token.

        Raises:
            Refusal: 401 for a token that is wrong or used up, 429 for too many tries.
        """
        key = f"token {client}"
        self.logins.spend(key)
        with self._lock:
            digest = _digest(token)
            known = next((kept for kept in self._once if hmac.compare_digest(kept, digest)), None)
            if known is not None:
                self._once.discard(known)
        if known is None and not self._is_standing(token):
            raise Refusal(
                401, "login", "this link was used already, or is not of this server; see its terminal for a new one"
            )
        self.logins.forgive(key)
        if known is not None and self.on_new_link is not None:
            self.on_new_link(self.new_link_token())
        return self.start(Identity(self.owner, "admin", "session"))

    def _is_standing(self, token: str) -> bool:
        return self.standing is not None and hmac.compare_digest(_digest(token), _digest(self.standing))

    def login(self, name: str, password: str, client: str) -> str:
        """A session for a name and a password; a wrong name and a wrong password look alike.

        Raises:
            Refusal: 401 if they do not fit, 429 for too many tries.
        """
        keys = (f"client {client}", f"name {name}")
        for key in keys:
            self.logins.spend(key)
        user = self.catalog.get_user(name)
        if not verify_password(password, user.password if user is not None else None) or user is None:
            raise Refusal(401, "login", "the name or the password is wrong")
        if self.only_owner and user.name != self.owner:
            raise Refusal(403, "login", "this server was started for one person, before there were users; restart it")
        for key in keys:
            self.logins.forgive(key)
        return self.start(Identity(user.name, user.role, "session"))

    def start(self, identity: Identity) -> str:
        """A session for somebody who was let in; returns what the cookie holds."""
        cookie, now = secrets.token_urlsafe(32), self.clock()
        with self._lock:
            for old in [k for k, s in self._sessions.items() if self._is_over(s, now)]:
                del self._sessions[old]
            self._sessions[_digest(cookie)] = _Session(identity, now, now)
        return cookie

    def end(self, cookie: str) -> None:
        """Log out: the session is gone on the server."""
        with self._lock:
            self._sessions.pop(_digest(cookie), None)

    def end_all(self, name: str) -> int:
        """Log somebody out everywhere."""
        with self._lock:
            theirs = [k for k, s in self._sessions.items() if s.identity.name == name]
            for key in theirs:
                del self._sessions[key]
            self._known.clear()
        return len(theirs)

    def _is_over(self, session: _Session, now: float) -> bool:
        return now - session.seen > IDLE_S or now - session.born > LONGEST_S

    # ------------------------------------------------------------------------------------------------ being known
    def by_cookie(self, cookie: str) -> Identity | None:
        """Whose session it is; None where it is over."""
        now = self.clock()
        with self._lock:
            session = self._sessions.get(_digest(cookie))
            if session is None or self._is_over(session, now):
                return None
            session.seen = now
        identity = session.identity
        if identity.name == self.owner:
            return identity
        current = self._remembered(f"user {identity.name}", lambda: self._of_user(identity.name))
        return None if current is None else Identity(current.name, current.role, "session")

    def is_at_hand(self, cookie: str | None, header: str | None) -> bool:
        """Whether `by_cookie` or `by_header` will answer from memory, without asking the catalog."""
        now = self.clock()
        if header is not None:
            scheme, _, value = header.partition(" ")
            known = self._known.get(f"secret {_digest(value.strip())}") if scheme.lower() == "bearer" else None
        else:
            session = self._sessions.get(_digest(cookie or ""))
            if session is None or session.identity.name == self.owner:
                return True
            known = self._known.get(f"user {session.identity.name}")
        return known is not None and now - known[0] < 4

    def by_header(self, header: str, client: str) -> Identity | None:
        """Whose key or token an Authorization header holds: `Basic`, or `Bearer access:secret`, or `Bearer token`.

        Raises:
            Refusal: 429 after too many wrong ones.
        """
        scheme, _, value = header.partition(" ")
        given = value.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                given = ""
        elif scheme.lower() != "bearer":
            return None
        found = self._remembered(f"secret {_digest(given)}", lambda: self._of_secret(given))
        if found is None:
            self.failures.spend(client)
        return found

    def _of_secret(self, given: str) -> Identity | None:
        if self._is_standing(given):
            return Identity(self.owner, "admin", "token")
        access, colon, secret = given.partition(":")
        row = self.catalog.get_key(access) if colon and access else None
        is_right = hmac.compare_digest(_digest(secret), row.secret if row is not None else _digest(""))
        if row is None or not is_right or row.revoked is not None or not secret:
            return None
        user = self._of_user(row.user)
        return None if user is None else Identity(user.name, user.role, "key")

    def _of_user(self, name: str) -> Identity | None:
        if self.only_owner and name != self.owner:
            return None
        user = self.catalog.get_user(name)
        return None if user is None else Identity(user.name, user.role, "session")

    def _remembered(self, key: str, look: Callable[[], Identity | None]) -> Identity | None:
        """What `look` says, asked at most every five seconds: a revoked key or role stops within that time."""
        now = self.clock()
        with self._lock:
            known = self._known.get(key)
        if known is not None and now - known[0] < 5:
            return known[1]
        found = look()
        with self._lock:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[key] = (now, found)
        return found

    def forget(self) -> None:
        """Ask the catalog anew: a key or a role has just changed here."""
        with self._lock:
            self._known.clear()

    def is_secured(self) -> bool:
        """Whether somebody other than the one-time link's owner can log in: a password, a key, a standing token."""
        return (
            self.standing is not None
            or any(_can_log_in(user) for user in self.catalog.list_users())
            or any(key.revoked is None for key in self.catalog.list_keys())
        )


def _can_log_in(user: UserRow) -> bool:
    return user.password is not None


def identity_of(connection: Any) -> Identity | None:
    """Who makes this request."""
    found: Identity | None = connection.scope.get("smalti.identity")
    return found


def needs(role: Role) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    """A guard for handlers: at least this role."""

    # Awaitable although it waits for nothing: a plain function would be sent to a thread, which costs more than it does.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        who = identity_of(connection)
        if who is None:
            raise Refusal(401, "unauthorized", "log in first", headers={"WWW-Authenticate": "Bearer"})
        if RANKS[who.role] < RANKS[role]:
            raise Refusal(403, "forbidden", f"this needs the role {role}; {who.name} is {who.role}")

    return guard
