"""Logging in and out, keys."""

from typing import Any

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from smalti.errors import VersionError
from smalti.server.asking import AnyRequest, as_json, who
from smalti.server.auth import Identity, needs, new_key
from smalti.server.payloads.accounts import Deleted, KeyMade, KeyOut, Login, Me, NewKey, TokenIn
from smalti.server.payloads.others import UserOut
from smalti.server.problems import Refusal
from smalti.server.security import cookie_name
from smalti.server.service import Service, plain
from smalti.store.rows import KeyRow, UserRow

__all__ = ["ROUTES", "session_cookie"]

Hub = NamedDependency[Service]
_CAN = {
    "viewer": ["read"],
    "annotator": ["read", "edit", "draft"],
    "admin": ["read", "edit", "draft", "publish", "delete", "keys"],
}


def session_cookie(service: Service, request: Any, value: str) -> str:
    """The Set-Cookie header of a session; an empty value removes it."""
    settings = service.settings
    is_secure = settings.secure_cookies if settings.secure_cookies is not None else request.scope["scheme"] == "https"
    ends = "" if value else "; Max-Age=0"
    secure = "; Secure" if is_secure else ""
    return f"{cookie_name(settings.port)}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{ends}"


def _client(request: AnyRequest) -> str:
    return (request.scope.get("client") or ("?", 0))[0]


def _me(identity: Identity) -> Me:
    return Me(name=identity.name, role=identity.role, via=identity.via, can=_CAN[identity.role])


def _logged_in(service: Service, request: AnyRequest, cookie: str) -> Response[Me]:
    identity = service.gate.by_cookie(cookie)
    if identity is None:
        raise Refusal(401, "login", "the account is gone")
    old = request.scope.get("smalti.cookie")
    if isinstance(old, str):
        service.gate.end(old)  # a session never outlives a login: what was fixed before is worth nothing
    service.tell(identity, "log in")
    answer: Response[Me] = as_json(_me(identity))
    answer.headers["Set-Cookie"] = session_cookie(service, request, cookie)
    return answer


@post("/auth/login", sync_to_thread=True, status_code=200, tags=["auth"])
def login(hub: Hub, request: AnyRequest, data: JSONBody[Login]) -> Response[Me]:
    """Log in with a name and a password; the answer sets a cookie."""
    return _logged_in(hub, request, hub.gate.login(data.name, data.password, _client(request)))


@post("/auth/token-exchange", sync_to_thread=True, status_code=200, tags=["auth"])
def exchange(hub: Hub, request: AnyRequest, data: JSONBody[TokenIn]) -> Response[Me]:
    """Log in with the token of a link; the answer sets a cookie."""
    return _logged_in(hub, request, hub.gate.exchange(data.token, _client(request)))


@post("/auth/logout", sync_to_thread=True, status_code=200, tags=["auth"])
def logout(hub: Hub, request: AnyRequest) -> Response[Deleted]:
    """End this session, here and on the server."""
    cookie = request.scope.get("smalti.cookie")
    if isinstance(cookie, str):
        hub.gate.end(cookie)
    answer: Response[Deleted] = as_json(Deleted(deleted="session"))
    answer.headers["Set-Cookie"] = session_cookie(hub, request, "")
    return answer


@get("/auth/me", sync_to_thread=False, guards=[needs("viewer")], tags=["auth"])
def me(request: AnyRequest) -> Me:
    """Who is logged in."""
    return _me(who(request))


def _key(row: KeyRow) -> KeyOut:
    return KeyOut(
        access_key=row.access_key,
        user=row.user,
        note=str(row.extra.get("note", "")),
        created=row.created,
        revoked=row.revoked,
    )


@get("/auth/keys", sync_to_thread=True, guards=[needs("viewer")], tags=["auth"])
def list_keys(hub: Hub, request: AnyRequest) -> list[KeyOut]:
    """One's own API keys; an administrator sees everybody's."""
    identity = who(request)
    mine = None if identity.role == "admin" else identity.name
    return [_key(row) for row in hub.store.catalog.list_keys(mine)]


@post("/auth/keys", sync_to_thread=True, guards=[needs("viewer")], tags=["auth"])
def make_key(hub: Hub, request: AnyRequest, data: JSONBody[NewKey]) -> KeyMade:
    """A new API key; its secret is shown this once."""
    identity = who(request)
    user = data.user or identity.name
    if user != identity.name and identity.role != "admin":
        raise Refusal(403, "forbidden", "keys for others are made by administrators")
    catalog = hub.store.catalog
    if catalog.get_user(user) is None:
        if user != hub.owner:
            raise Refusal(404, "user", f"there is no user {user!r}; add one with: smalti users add")
        catalog.add_user(UserRow(name=user, role="admin"))
    row, secret = new_key(user)
    row.extra = {"note": data.note}
    catalog.add_key(row)
    hub.gate.forget()
    hub.tell(identity, "make key", access_key=row.access_key, user=user)
    return KeyMade(access_key=row.access_key, secret_key=secret, user=user)


@delete("/auth/keys/{access_key:str}", sync_to_thread=True, status_code=200, guards=[needs("viewer")], tags=["auth"])
def revoke_key(hub: Hub, request: AnyRequest, access_key: FromPath[str]) -> Deleted:
    """Revoke an API key."""
    identity = who(request)
    row = hub.store.catalog.get_key(plain(access_key))
    if row is None or (row.user != identity.name and identity.role != "admin"):
        raise Refusal(404, "key", f"you have no key {plain(access_key)!r}")
    hub.store.catalog.revoke_key(row.access_key)
    hub.gate.forget()
    hub.tell(identity, "revoke key", access_key=row.access_key)
    return Deleted(deleted=row.access_key)


@get("/users", sync_to_thread=True, guards=[needs("admin")], tags=["auth"])
def list_users(hub: Hub) -> list[UserOut]:
    """Who may log in."""
    return [
        UserOut(name=row.name, role=row.role, has_password=row.password is not None, created=row.created)
        for row in hub.store.catalog.list_users()
    ]


@post("/users/{name:str}/logout", sync_to_thread=True, status_code=200, guards=[needs("admin")], tags=["auth"])
def logout_user(hub: Hub, request: AnyRequest, name: FromPath[str]) -> Deleted:
    """Log somebody out everywhere."""
    if hub.store.catalog.get_user(plain(name)) is None and plain(name) != hub.owner:
        raise VersionError(f"there is no user {plain(name)!r}")
    count = hub.gate.end_all(plain(name))
    hub.tell(who(request), "log out", user=plain(name), sessions=count)
    return Deleted(deleted=f"{count} sessions")


ROUTES = [login, exchange, logout, me, list_keys, make_key, revoke_key, list_users, logout_user]
