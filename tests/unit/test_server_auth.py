"""Who comes in: passwords, tokens, keys, limits, sessions that end."""

import base64
from pathlib import Path

import pytest

from smalti.errors import StorageError, VersionError
from smalti.server.auth import Gate, Limiter, hash_password, new_key, verify_password
from smalti.server.problems import Refusal
from smalti.server.security import host_is_allowed
from smalti.server.settings import Settings
from smalti.store.catalog import Catalog, open_catalog
from smalti.store.rows import UserRow


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(catalog: Catalog, clock: Clock) -> Gate:
    return Gate(catalog, "owner", clock=clock)


def test_passwords() -> None:
    kept = hash_password("correct horse")
    assert "correct" not in kept
    assert kept != hash_password("correct horse")
    assert verify_password("correct horse", kept)
    assert not verify_password("correct horsf", kept)
    assert not verify_password("correct horse", None)
    assert not verify_password("", "plain text")
    with pytest.raises(VersionError, match="10 to 1024"):
        hash_password("short")


def test_a_link_works_once(gate: Gate) -> None:
    told: list[str] = []
    gate.on_new_link = told.append
    token = gate.new_link_token()
    cookie = gate.exchange(token, "here")
    found = gate.by_cookie(cookie)
    assert found is not None
    assert (found.name, found.role) == ("owner", "admin")
    with pytest.raises(Refusal) as caught:
        gate.exchange(token, "here")
    assert caught.value.problem.status == 401
    assert gate.by_cookie(gate.exchange(told[0], "here")) is not None


def test_a_newer_link_ends_the_older_one(gate: Gate) -> None:
    old = gate.new_link_token()
    gate.new_link_token()
    with pytest.raises(Refusal):
        gate.exchange(old, "here")


def test_a_session_ends_by_logout_by_rest_and_by_age(gate: Gate, clock: Clock) -> None:
    gone = gate.exchange(gate.new_link_token(), "here")
    gate.end(gone)
    assert gate.by_cookie(gone) is None
    resting = gate.exchange(gate.new_link_token(), "here")
    clock.now += 12 * 3600 + 1
    assert gate.by_cookie(resting) is None
    busy = gate.exchange(gate.new_link_token(), "here")
    for _ in range(7 * 24 + 1):
        clock.now += 3600
        last = gate.by_cookie(busy)
    assert last is None


def test_guessing_is_slowed_down(gate: Gate, catalog: Catalog, clock: Clock) -> None:
    catalog.add_user(UserRow(name="anna", role="viewer", password=hash_password("a long secret")))
    for number in range(5):
        with pytest.raises(Refusal) as caught:
            gate.login("anna", f"wrong guess {number}", f"client{number}")
        assert caught.value.problem.status == 401
    with pytest.raises(Refusal) as caught:
        gate.login("anna", "a long secret", "another client")
    assert caught.value.problem.status == 429
    assert int(caught.value.headers["Retry-After"]) <= 61
    clock.now += 61
    assert gate.by_cookie(gate.login("anna", "a long secret", "another client")) is not None


def test_one_client_cannot_try_many_names(gate: Gate) -> None:
    for number in range(5):
        with pytest.raises(Refusal):
            gate.login(f"name{number}", "wrong", "client")
    with pytest.raises(Refusal) as caught:
        gate.login("name6", "wrong", "client")
    assert caught.value.problem.status == 429


def test_tokens_cannot_be_guessed_for_long(gate: Gate) -> None:
    statuses = []
    for number in range(7):
        with pytest.raises(Refusal) as caught:
            gate.exchange(f"guess{number}", "client")
        statuses.append(caught.value.problem.status)
    assert statuses == [401] * 5 + [429] * 2


def test_good_logins_are_not_counted(gate: Gate, catalog: Catalog) -> None:
    catalog.add_user(UserRow(name="anna", password=hash_password("a long secret")))
    for _ in range(7):
        gate.login("anna", "a long secret", "client")


def test_keys(gate: Gate, catalog: Catalog, clock: Clock) -> None:
    catalog.add_user(UserRow(name="anna", role="annotator"))
    row, secret = new_key("anna")
    catalog.add_key(row)
    assert secret not in str(row)
    pair = f"{row.access_key}:{secret}"
    for header in (f"Bearer {pair}", f"Basic {base64.b64encode(pair.encode()).decode()}"):
        found = gate.by_header(header, "client")
        assert found is not None
        assert (found.name, found.role, found.via) == ("anna", "annotator", "key")
    wrong = (
        f"Bearer {row.access_key}:",
        f"Bearer {row.access_key}:{secret}x",
        "Bearer ",
        "Basic !!",
        "Digest x",
        "Bearer :x",
    )
    assert [gate.by_header(header, "client") for header in wrong] == [None] * len(wrong)
    catalog.revoke_key(row.access_key)
    clock.now += 6
    assert gate.by_header(f"Bearer {pair}", "client") is None


def test_wrong_keys_are_limited(gate: Gate) -> None:
    for number in range(30):
        assert gate.by_header(f"Bearer A:{number}", "client") is None
    with pytest.raises(Refusal) as caught:
        gate.by_header("Bearer A:30", "client")
    assert caught.value.problem.status == 429


def test_a_role_that_changes_changes_for_those_who_are_in(gate: Gate, catalog: Catalog, clock: Clock) -> None:
    catalog.add_user(UserRow(name="anna", role="admin", password=hash_password("a long secret")))
    cookie = gate.login("anna", "a long secret", "client")
    catalog.update_user("anna", role="viewer")
    clock.now += 6
    found = gate.by_cookie(cookie)
    assert found is not None
    assert found.role == "viewer"
    catalog.delete_user("anna")
    clock.now += 6
    assert gate.by_cookie(cookie) is None


def test_a_server_for_one_stays_a_server_for_one(gate: Gate, catalog: Catalog) -> None:
    gate.only_owner = True
    catalog.add_user(UserRow(name="anna", password=hash_password("a long secret")))
    with pytest.raises(Refusal, match="restart"):
        gate.login("anna", "a long secret", "client")
    row, secret = new_key("anna")
    catalog.add_key(row)
    assert gate.by_header(f"Bearer {row.access_key}:{secret}", "client") is None


def test_the_limiter_forgets(clock: Clock) -> None:
    limiter = Limiter(2, 10, clock)
    limiter.spend("a")
    limiter.spend("a")
    limiter.spend("b")
    with pytest.raises(Refusal):
        limiter.spend("a")
    clock.now += 10
    limiter.spend("a")


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("127.0.0.1:9", True),
        ("[::1]:8080", True),
        ("data.example.org", True),
        ("data.example.org:443", True),
        ("DATA.example.org", True),
        ("evil.org", False),
        ("localhost.evil.org", False),
        ("127.0.0.1.evil.org", False),
        ("evil.org:8080", False),
        ("localhost@evil.org", False),
        ("", False),
        ("[::1", False),
        ("localhost/evil", False),
    ],
)
def test_hosts(host: str, good: bool) -> None:
    assert host_is_allowed(host, ("data.example.org",)) is good


def test_a_name_with_a_port_means_that_port() -> None:
    assert host_is_allowed("data.org:8443", ("data.org:8443",))
    assert not host_is_allowed("data.org:80", ("data.org:8443",))


def test_a_chosen_token_is_long() -> None:
    with pytest.raises(StorageError, match="at least 16"):
        Settings(store="x", token="short")
    with pytest.raises(StorageError, match="at least 32"):
        Settings(store="x", host="0.0.0.0", token="x" * 31)
    Settings(store="x", token="x" * 16)
