"""Attacks on a server, one for each thing that somebody on the other side could try."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litestar.testing import TestClient
from PIL import Image
from tests.serving import API, BASE, Site, frame, make_store, site
from tests.web import Web

from smalti.server.app import create_app
from smalti.server.auth import hash_password
from smalti.server.security import CSP
from smalti.server.settings import Settings
from smalti.store.rows import UserRow

V2 = "/versions/street@v2"
FRONT = "/frames/f0/sources/front"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    make_store(tmp_path, 1).close()
    with site(tmp_path) as found:
        yield found


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Site]:
    """A server for several people: it reads the store's folder and nothing else."""
    store = make_store(tmp_path, 1)
    for role in ("viewer", "annotator", "admin"):
        store.catalog.add_user(UserRow(name=role, role=role, password=_HASH))  # type: ignore[arg-type]
    store.close()
    with site(tmp_path, log_in=False) as found:
        yield found


_PASSWORD = "a long secret"
_HASH = hash_password(_PASSWORD)


def enter(found: Site, name: str) -> None:
    found.client.cookies.clear()
    found.post("/auth/login", {"name": name, "password": _PASSWORD})


def stored(found: Site, **changes: Any) -> None:
    """A frame that got into the store by a script, past the server."""
    document = frame(0)
    document["sources"][0].update(changes.pop("source", {}))
    document["sources"][0]["masks"][0].update(changes.pop("mask", {}))
    found.draft.update_frame({**document, **changes})


# ---------------------------------------------------------------------------------------- server-side requests, files
@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"])
def test_a_frame_cannot_make_the_server_ask_its_neighbours(here: Site, web: Web, host: str) -> None:
    web.put("secret.png", (here.folder / "files" / "f0.png").read_bytes())
    port = web.origin.rpartition(":")[2]
    stored(here, source={"uri": f"http://{host}:{port}/secret.png"}, mask={"uri": f"http://{host}:{port}/secret.png"})
    for path in ("/image", "/thumb", "/preview", "/video", "/video/info", "/masks/seg/index", "/masks/seg/legend"):
        answer = here.client.get(f"{API}{V2}{FRONT}{path}")
        assert answer.status_code in (403, 502), path
    assert web.requests == []


@pytest.mark.parametrize(
    "uri",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "../../etc/passwd",
        "files/../../../etc/passwd",
        "file://{folder}/%2e%2e/%2e%2e/etc/passwd",
        "{outside}/picture.png",
        "file://localhost{outside}/picture.png",
        "{folder}/link.png",
        "/proc/self/environ",
    ],
)
def test_a_shared_server_reads_no_file_outside_its_roots(shared: Site, tmp_path_factory: Any, uri: str) -> None:
    outside = tmp_path_factory.mktemp("outside")
    Image.new("RGB", (4, 4)).save(outside / "picture.png")
    (shared.folder / "link.png").symlink_to(outside / "picture.png")
    stored(shared, source={"uri": uri.format(folder=shared.folder, outside=outside)})
    enter(shared, "admin")
    answer = shared.get(f"{V2}{FRONT}/image", status=403).json()
    assert answer["type"] == "urn:smalti:problem:access-denied"


@pytest.mark.parametrize("uri", ["/etc/passwd", "file:///etc/shadow", "../x.png", "s3://bucket/key", "memory://a/b"])
def test_nobody_adds_such_uris_over_http(here: Site, uri: str) -> None:
    """Not even on one's own machine: a page that got in could otherwise read any picture of its owner."""
    document = frame(5)
    document["sources"][0]["uri"] = uri
    failed = here.post(f"{V2}/frames", {"frames": [document]}).json()["failed"]
    assert "may not be read" in failed[0]["error"] or "not served" in failed[0]["error"]
    tag = here.get(f"{V2}/frames/f0").headers["etag"]
    patch = [{"op": "replace", "path": "/sources/0/masks/0/uri", "value": uri}]
    here.ask("PATCH", f"{V2}/frames/f0", json={"patch": patch}, headers={"If-Match": tag}, status=403)


def test_a_playlist_cannot_make_the_decoder_fetch(here: Site, web: Web) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{web.origin}/segment.ts\n#EXT-X-ENDLIST\n"
    for name in ("p.m3u8", "p.mp4", "p.sdp"):
        (here.folder / "files" / name).write_text(playlist)
        stored(here, source={"uri": f"files/{name}", "content_type": "video/mp4"})
        here.get(f"{V2}{FRONT}/video/info", status=415)
        here.get(f"{V2}{FRONT}/image", status=415)
        here.get(f"{V2}{FRONT}/video", status=415)
    assert web.requests == []


# ------------------------------------------------------------------------------------------------------------- bombs
def png(width: int, height: int) -> bytes:
    """A PNG of one colour whose header announces a size; its rows are there only as far as 1 MiB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


def test_pictures_that_unpack_to_gigabytes_are_refused_by_their_header(here: Site) -> None:
    (here.folder / "files" / "bomb.png").write_bytes(png(60_000, 60_000))
    stored(here, source={"uri": "files/bomb.png"}, mask={"uri": "files/bomb.png"})
    for path in ("/image", "/image?size=64", "/thumb", "/masks/seg/index", "/masks/seg/legend"):
        problem = here.get(f"{V2}{FRONT}{path}", status=422).json()
        assert "limit" in problem["detail"], path


def test_clips_that_are_damaged_or_too_large_are_problems(here: Site, tmp_path: Path) -> None:
    import av

    path = here.folder / "files" / "big.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((360, 640, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    stored(here, source={"uri": "files/big.mkv"})
    assert here.get(f"{V2}{FRONT}/video/info").json()["pictures"] == 1
    path.write_bytes(path.read_bytes()[:200])
    here.get(f"{V2}{FRONT}/video/info", status=422)
    small = create_app(Settings(store=str(here.folder), max_pixels=1000, thumbs=tmp_path / "t"))
    token = small.service.gate.new_link_token()
    with TestClient(small, base_url=BASE) as client:
        client.get(f"/?token={token}")
        assert client.get(f"{API}/versions/street@v1/frames/f0/sources/front/image?fmt=png").status_code == 200
        path.write_bytes(b"\x1aE\xdf\xa3" + bytes(300))
        assert client.get(f"{API}{V2}{FRONT}/image").status_code in (415, 422)


def test_large_bodies_and_deep_json_are_refused(here: Site) -> None:
    here.post(f"{V2}/frames/search", {"query": "x" * 5000}, status=400)
    headers = {"Content-Type": "application/json"}
    here.ask("POST", f"{V2}/frames", content=b'{"frames":[' + b" " * (9 << 20) + b"]}", headers=headers, status=413)
    deep = b'{"frames":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    here.ask("POST", f"{V2}/frames", content=deep, headers=headers, status=400)
    nested: Any = 1
    for _ in range(70):
        nested = {"a": nested}
    tag = here.get(f"{V2}/frames/f0").headers["etag"]
    here.ask("PATCH", f"{V2}/frames/f0", json={"meta": nested}, headers={"If-Match": tag}, status=400)
    huge = {"a": "x" * (1 << 20)}
    here.ask("PATCH", f"{V2}/frames/f0", json={"meta": huge}, headers={"If-Match": tag}, status=413)
    for text in (b'{"meta":{"a":NaN}}', b'{"meta":{"a":Infinity}}', b'{"meta":{"a":1e999}}'):
        here.ask("PATCH", f"{V2}/frames/f0", content=text, headers={**headers, "If-Match": tag}, status=400)


@pytest.mark.parametrize(
    "query",
    ["(" * 30 + "a" + ")" * 30, " OR ".join(["a"] * 300), "(((((", 'meta.x:"' + "a" * 100, "meta.a:[1 TO", "\\"],
)
def test_query_bombs_are_problems_with_a_place(here: Site, query: str) -> None:
    problem = here.post(f"{V2}/frames/search", {"query": query}, status=400).json()
    assert problem["type"] == "urn:smalti:problem:query"
    assert "column" in problem


def test_wildcards_do_not_backtrack(here: Site) -> None:
    stored(here, meta={"text": "a" * 5000})
    here.post(f"{V2}/frames/search", {"query": "meta.text:" + "*a" * 60 + "*b"})


def test_costly_questions_are_limited_for_each_person(shared: Site) -> None:
    shared.server.service.statistics.tries = 3
    enter(shared, "viewer")
    shared.post(f"{V2}/statistics", {"scope": "roi"})
    shared.post(f"{V2}/nearest", {"vector": [1.0, 2.0]})
    shared.post(f"{V2}{FRONT}/masks/seg/polygonize", {})
    for path, body in (("/statistics", {}), ("/nearest", {"vector": [1.0]}), (f"{FRONT}/masks/seg/polygonize", {})):
        assert int(shared.post(f"{V2}{path}", body, status=429).headers["retry-after"]) > 0
    enter(shared, "annotator")
    shared.post(f"{V2}/statistics", {"scope": "roi"})


def test_another_server_is_not_flooded_through_ours(tmp_path: Path, web: Web) -> None:
    make_store(tmp_path, 1).close()
    with site(tmp_path, read_hosts=("127.0.0.1",)) as found:
        found.server.service.doors.fetches.tries = 3
        picture = (tmp_path / "files" / "f0.png").read_bytes()
        for number in range(5):
            uri = web.put(f"{number}.png", picture)
            stored(found, source={"uri": uri})
            found.get(f"{V2}{FRONT}/image", status=200 if number < 3 else 429)
    assert len(web.requests) == 3


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_vectors_hold_numbers(here: Site, number: str) -> None:
    content = f'{{"vector":[{number}]}}'.encode()
    here.ask("POST", f"{V2}/nearest", content=content, headers={"Content-Type": "application/json"}, status=400)


# ------------------------------------------------------------------------------------------- other sites, other names
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.org:8080"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site", "Origin": BASE},
        {"Sec-Fetch-Site": "same-site", "Origin": BASE},
        {},
    ],
)
def test_another_site_cannot_act_with_our_cookie(here: Site, headers: dict[str, str]) -> None:
    answer = here.client.post(f"{API}/datasets", json={"name": "x"}, headers=headers)
    assert answer.status_code == 403
    assert "x" not in here.server.service.store


def test_forms_are_not_understood(here: Site) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        here.ask("POST", "/datasets", content=b'{"name":"x"}', headers={"Content-Type": kind}, status=415)


@pytest.mark.parametrize("host", ["evil.org", "evil.org:8080", "127.0.0.1.nip.io", "localhost.evil.org", ""])
def test_a_rebound_name_gets_nothing(here: Site, host: str) -> None:
    for path in ("/", f"{API}/datasets", "/healthz"):
        answer = here.client.get(path, headers={"Host": host})
        assert answer.status_code == 400
        assert "f0" not in answer.text


def test_a_login_elsewhere_cannot_be_forced_on_us(here: Site) -> None:
    here.client.cookies.clear()
    here.post("/auth/token-exchange", {"token": "x"}, origin="https://evil.org", status=403)


def test_redirects_stay_here(here: Site) -> None:
    here.client.cookies.clear()
    token = here.server.service.gate.new_link_token()
    answer = here.client.get(f"{BASE}//evil.org/%2Fx?token={token}&a=1", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/evil.org/%2Fx?a=1"


# ---------------------------------------------------------------------------------------------------- logins, roles
def test_nothing_but_pages_without_a_login(here: Site) -> None:
    here.client.cookies.clear()
    paths = here.client.get(f"{API}/openapi.json").json()["paths"]
    open_ = {f"{API}/auth/login", f"{API}/auth/token-exchange", f"{API}/auth/logout", f"{API}/version"}
    for path, operations in paths.items():
        concrete = path.replace("{version}", "street@v2").replace("{frame}", "f0").replace("{source}", "front")
        concrete = concrete.replace("{mask}", "seg").replace("{dataset}", "street").replace("{other}", "street@v1")
        for method in operations:
            if path not in open_:
                body = {"json": {}} if method in ("post", "put", "patch") else {}
                answer = here.client.request(method.upper(), concrete, headers={"Origin": BASE}, **body)
                assert answer.status_code == 401, (method, path, answer.status_code)


def test_roles_reach_as_far_as_they_should(shared: Site) -> None:
    enter(shared, "viewer")
    shared.get("/datasets")
    shared.post("/datasets", {"name": "x"}, status=403)
    shared.ask("PATCH", f"{V2}/frames/f0", json={"meta": {}}, status=403)
    shared.get("/audit", status=403)
    shared.post("/auth/keys", {"user": "admin"}, status=403)
    enter(shared, "annotator")
    tag = shared.get(f"{V2}/frames/f0").headers["etag"]
    shared.ask("PATCH", f"{V2}/frames/f0", json={"meta": {}}, headers={"If-Match": tag})
    shared.post(f"{V2}/publish", {}, headers={"If-Match": "*"}, status=403)
    shared.ask("DELETE", "/datasets/street?force=true", headers={"If-Match": "*"}, status=403)
    enter(shared, "admin")
    shared.post(f"{V2}/publish", {}, headers={"If-Match": "*"})
    who = {entry["who"] for entry in shared.get("/audit").json()["items"]}
    assert {"viewer", "annotator", "admin"} <= who
    edits = shared.get("/audit?who=annotator").json()["items"]
    assert [entry["what"] for entry in edits] == ["edit frame", "log in"]


def test_a_password_cannot_be_guessed(shared: Site) -> None:
    for _ in range(5):
        shared.post("/auth/login", {"name": "admin", "password": "a wrong guess"}, status=401)
    answer = shared.post("/auth/login", {"name": "admin", "password": _PASSWORD}, status=429)
    assert int(answer.headers["retry-after"]) > 0


def test_a_session_is_gone_after_logout(here: Site) -> None:
    cookie = dict(here.client.cookies)
    here.post("/auth/logout")
    here.client.cookies.update(cookie)
    here.get("/datasets", status=401)


def test_a_login_ends_the_session_before_it(shared: Site) -> None:
    enter(shared, "viewer")
    planted = dict(shared.client.cookies)
    shared.post("/auth/login", {"name": "admin", "password": _PASSWORD})
    shared.client.cookies.clear()
    shared.client.cookies.update(planted)
    shared.get("/auth/me", status=401)


def test_cookies_and_secrets(shared: Site) -> None:
    answer = shared.post("/auth/login", {"name": "admin", "password": _PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    made = shared.post("/auth/keys", {}, status=201).json()
    assert made["secret_key"] not in shared.get("/auth/keys").text
    row = shared.server.service.store.catalog.get_key(made["access_key"])
    assert row is not None
    assert made["secret_key"] not in row.secret
    pair = {"Authorization": f"Bearer {made['access_key']}:{made['secret_key']}"}
    shared.client.cookies.clear()
    shared.get("/auth/me", headers=pair)
    shared.post("/datasets", {"name": "by key"}, headers=pair, origin=None, status=201)
    shared.ask("DELETE", f"/auth/keys/{made['access_key']}", headers=pair, origin=None)
    shared.get("/auth/me", headers=pair, status=401)


def test_https_cookies_are_secure(tmp_path: Path) -> None:
    make_store(tmp_path, 1).close()
    server = create_app(Settings(store=str(tmp_path), thumbs=tmp_path / "t"))
    token = server.service.gate.new_link_token()
    with TestClient(server, base_url="https://127.0.0.1") as client:
        answer = client.get(f"/?token={token}", follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


# -------------------------------------------------------------------------------------------------------- scripting
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_strings_of_others_come_back_as_data_only(here: Site) -> None:
    document = frame(0, meta={"note": EVIL, EVIL: 1})
    document["rois"].append({"label": [EVIL], "poly": [0, 0, 1, 1]})
    here.draft.update_frame(document)
    here.post("/datasets", {"name": EVIL[:200]}, status=201)
    for path in (f"{V2}/frames/f0", "/datasets", f"{V2}{FRONT}/masks/seg/legend"):
        answer = here.get(path)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
    problem = here.get(f"/datasets/{EVIL.replace('/', '%2F')}x", status=404)
    assert problem.headers["content-type"].startswith("application/problem+json")
    page = here.client.get(f"/datasets/{EVIL}")
    assert "<script>" not in page.text


@pytest.mark.parametrize("name", ["x.svg", "x.html", "x.png", "x.jpg"])
def test_pages_and_drawings_are_never_passed_on(here: Site, name: str) -> None:
    evil = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    (here.folder / "files" / name).write_bytes(evil)
    stored(here, source={"uri": f"files/{name}", "content_type": "image/svg+xml", "preview": {"uri": f"files/{name}"}})
    for path in ("/image", "/preview", "/video", "/thumb"):
        answer = here.client.get(f"{API}{V2}{FRONT}{path}")
        assert answer.status_code == 415
        assert b"<script>" not in answer.content


def test_what_hides_behind_a_picture_gets_no_page(here: Site) -> None:
    """A GIF that is also HTML, and a PNG with a trailer: decoded and encoded anew, or sent as a sandboxed picture."""
    gif = here.folder / "files" / "poly.gif"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(gif)
    gif.write_bytes(gif.read_bytes() + b"<script>alert(1)</script>")
    stored(here, source={"uri": "files/poly.gif"})
    answer = here.get(f"{V2}{FRONT}/image")
    assert b"<script>" not in answer.content
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_every_answer_carries_the_policy(here: Site) -> None:
    for path in ("/", "/none", f"{API}/datasets", f"{API}/none", "/healthz"):
        headers = here.client.get(path).headers
        assert headers["content-security-policy"] == CSP, path
        assert headers["x-frame-options"] == "DENY"
    assert "require-trusted-types-for 'script'" in CSP
    assert "unsafe" not in CSP


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/%2e%2e/app.py",
        "/assets/..%2f..%2fapp.py",
        "/assets//etc/passwd",
        "/assets/.env",
        "/..%2fapp.py",
    ],
)
def test_static_files_end_at_their_folder(here: Site, path: str) -> None:
    static = here.folder / "static"
    (static / "assets").mkdir(parents=True)
    (static / "assets" / ".env").write_text("SECRET")
    (here.folder / "app.py").write_text("SECRET")
    answer = here.client.get(path)
    assert "SECRET" not in answer.text


def test_a_bug_of_ours_tells_nothing(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(here.server.service, "version", broken)
    answer = here.client.get(f"{API}{V2}")
    assert answer.status_code == 500
    assert "1234" not in answer.text
    assert "Traceback" not in answer.text
