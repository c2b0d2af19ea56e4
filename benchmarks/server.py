"""The server: an index map from file to response body, thumbnails with overlays, lists; in this process and over HTTP.

Bodies are asked of the application itself, the way a web server asks (ASGI), so that what is compared with the decode is
all that the server does and nothing of a socket; the same is then measured through uvicorn and a socket, for information.
"""

import asyncio
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from bars import Bar, is_quick, save
from clock import race
from data import make_scene, scene_palette
from smalti import Legend, decode_mask
from smalti.server.app import Server, create_app
from smalti.server.auth import Identity
from smalti.server.security import cookie_name
from smalti.server.settings import Settings
from smalti.store import open_store

HOST = b"127.0.0.1:8080"
SIZE_HW = (1024, 2048)
FILES = 6


def main() -> None:
    quick = is_quick()
    folder = Path(tempfile.mkdtemp(prefix="smalti-bench-server-"))
    try:
        legend = write_store(folder, frames=60 if quick else 300)
        settings = Settings(store=str(folder), thumbs=folder / "thumbs", static=folder / "static")
        server = create_app(settings)
        browser = Browser(server)
        mask = (folder / "files" / "f0_seg.png").read_bytes()
        times = index_times(server, browser, mask, legend, folder, quick=quick)
        thumbs = thumb_times(server, browser, folder, quick=quick)
        http = over_http(server, browser.cookie, quick=quick)
        browser.close()
        server.service.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(times, thumbs, http, quick=quick)


def report(times: dict[str, Any], thumbs: dict[str, float], http: dict[str, float], *, quick: bool) -> None:
    """The bars of the issue, and what goes over a socket beside them."""

    def cpu(name: str) -> float:
        return float(times[name]["cpu_ms"])

    bars = [
        Bar(
            "index map 2048×1024, 30 labels, file to response body, against read + decode",
            cpu("body") / cpu("decode"),
            must=1.5,
            at_least=False,
            unit="×",
        ),
        Bar("the same with zstd on the wire", cpu("body, zstd") / cpu("decode"), at_least=False, unit="×"),
        Bar("the same map again (kept in memory)", cpu("body again"), at_least=False, unit="ms"),
        Bar("thumbnails 256 px with overlay, cold", thumbs["cold"], must=60, unit="/s", decimals=0),
        Bar("CPU time of one of them (a core makes 1000 ms a second)", thumbs["cold cpu"], at_least=False, unit="ms"),
        Bar("thumbnails 256 px with overlay, warm, one by one", thumbs["warm"], must=1000, unit="/s", decimals=0),
        Bar("pictures + index maps for the grid, cold, 48 in one body", thumbs["batch cold"], unit="/s", decimals=0),
        Bar("the same, warm", thumbs["batch warm"], unit="/s", decimals=0),
        Bar(
            "thumbnails, warm, through uvicorn and a socket, the client on the same cores",
            http["thumbs"],
            unit="/s",
            decimals=0,
        ),
        Bar("index map through a socket, uncompressed, wall", http["index_ms"], at_least=False, unit="ms"),
        Bar("search, first page of 100 frames, wall", http["search_ms"], at_least=False, unit="ms"),
    ]
    save(
        "server",
        "Server",
        bars,
        quick=quick,
        about="Synthetic RGB masks of 30 labels and JPEG pictures of 2048×1024. Decode and response bodies take turns in one "
        "process; what is kept in memory is dropped before each body, so each is made from the file.",
        times=times,
    )


# ------------------------------------------------------------------------------------------------------------ a store
def write_store(folder: Path, frames: int) -> Legend:
    """A published version: FILES pictures with masks, named by `frames` frames."""
    files = folder / "files"
    files.mkdir(parents=True)
    height, width = SIZE_HW
    palette = scene_palette()
    random = np.random.default_rng(7)
    for number in range(FILES):
        labels = make_scene(height, width, seed=number)
        Image.fromarray(palette[labels]).save(files / f"f{number}_seg.png")
        soft = Image.fromarray(random.integers(0, 256, (64, 128, 3), np.uint8)).resize((width, height))
        soft.save(files / f"f{number}.jpg", quality=90)
    # Each frame has files of its own, so that each thumbnail is made: links would be refused, copies cost nothing.
    for number in range(FILES, frames):
        for ending in (".jpg", "_seg.png"):
            shutil.copyfile(files / f"f{number % FILES}{ending}", files / f"f{number}{ending}")
    store = open_store(folder)
    version = store.create_dataset("bench").create_version("v1")
    # Every colour has a label: what remains unexplained would be looked at twice, which makes decoding the larger part.
    legend = {tuple(int(c) for c in color): f"label{i}" for i, color in enumerate(palette)}
    version.set_masks_labels({"seg": Legend(legend)})
    failed = version.add_frames([_frame(number, width, height) for number in range(frames)])
    if failed:
        raise SystemExit(f"the frames of the benchmark were refused: {failed[0]}")
    version.publish()
    store.close()
    return Legend(legend)


def _frame(number: int, width: int, height: int) -> dict[str, Any]:
    source = {
        "id": "front",
        "uri": f"files/f{number}.jpg",
        "width": width,
        "height": height,
        "masks": [{"id": "seg", "uri": f"files/f{number}_seg.png"}],
    }
    return {"id": f"f{number}", "timestamp": number * 100, "sources": [source], "rois": []}


# ---------------------------------------------------------------------------------------------------------- a browser
class Browser:
    """Asks the application directly, with a session."""

    def __init__(self, server: Server) -> None:
        self.server = server
        gate = server.service.gate
        self.cookie = gate.start(Identity(gate.owner, "admin", "session"))
        self.version = server.service.store["bench"]["v1"].id
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Let go of the loop and its threads."""
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def ask(self, method: str, path: str, body: bytes = b"", *, encoding: str = "identity") -> bytes:
        """The body of an answer, which must be 200."""
        return self.loop.run_until_complete(self._ask(method, path, body, encoding))

    async def _ask(self, method: str, path: str, body: bytes, encoding: str) -> bytes:
        path, _, query = path.partition("?")
        headers = [
            (b"host", HOST),
            (b"origin", b"http://" + HOST),
            (b"cookie", f"{cookie_name(8080)}={self.cookie}".encode()),
            (b"accept-encoding", encoding.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"/api/v1/versions/{self.version}{path}",
            "raw_path": f"/api/v1/versions/{self.version}{path}".encode(),
            "query_string": query.encode(),
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "state": {},
        }
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        status, parts = 0, []
        never: asyncio.Future[Any] = self.loop.create_future()

        async def receive() -> Any:
            return waiting.pop() if waiting else await never

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self.server(scope, receive, send)
        if status != 200:
            raise SystemExit(f"{method} {path}: {status} {b''.join(parts)[:500]!r}")
        return parts[0] if len(parts) == 1 else b"".join(parts)


# --------------------------------------------------------------------------------------------------------- index maps
def index_times(
    server: Server, browser: Browser, mask: bytes, legend: Legend, folder: Path, *, quick: bool
) -> dict[str, Any]:
    """Reading and decoding, and bodies of index maps, in turn."""
    path = "/frames/f0/sources/front/masks/seg/index"
    wanted = decode_mask(mask, legend).data
    if browser.ask("GET", path) != wanted.tobytes():
        raise SystemExit("the index map of the server is not what the library decodes")
    file = folder / "files" / "f0_seg.png"

    def forgotten(encoding: str) -> Callable[[], bytes]:
        def ask() -> bytes:
            forget(server)
            return browser.ask("GET", path, encoding=encoding)

        return ask

    contestants = {
        "decode": lambda: decode_mask(file.read_bytes(), legend).data,
        "body": forgotten("identity"),
        "body, zstd": forgotten("zstd"),
        "body again": lambda: browser.ask("GET", path),
    }
    return race(contestants, budget_s=0.5 if quick else 3)


def forget(server: Server) -> None:
    """Drop what is kept of masks: the next map is made from the file again."""
    service = server.service
    for kept in (service.pictures.kept, service.encoded, service.thumbs):
        kept.clear()


# --------------------------------------------------------------------------------------------------------- thumbnails
def thumb_times(server: Server, browser: Browser, folder: Path, *, quick: bool) -> dict[str, float]:
    """Thumbnails a second, made and kept: one by one by four who ask at once, and in batches."""
    total = 60 if quick else 300
    paths = [f"/frames/f{n}/sources/front/thumb?size=256&overlay=masks" for n in range(total)]
    found: dict[str, list[float]] = {"cold": [], "cold cpu": [], "warm": [], "batch cold": [], "batch warm": []}
    for _ in range(1 if quick else 3):
        shutil.rmtree(folder / "thumbs", ignore_errors=True)
        forget(server)
        began = time.process_time()
        found["cold"].append(total / together(browser, [("GET", path, b"") for path in paths]))
        found["cold cpu"].append((time.process_time() - began) / total * 1e3)
        found["warm"].append(total * 3 / together(browser, [("GET", path, b"") for path in paths * 3]))
        batches = [_batch(range(start, min(start + 48, total))) for start in range(0, total, 48)]
        asked = [("POST", "/masks/thumbs", body) for body in batches]
        shutil.rmtree(folder / "thumbs", ignore_errors=True)
        forget(server)
        found["batch cold"].append(total / together(browser, asked))
        found["batch warm"].append(total * 3 / together(browser, asked * 3))
    return {name: statistics.median(values) for name, values in found.items()}


def _batch(numbers: range) -> bytes:
    items = [{"frame": f"f{n}"} for n in numbers]
    return msgspec.json.encode({"size": 256, "items": items})


def together(browser: Browser, asked: Sequence[tuple[str, str, bytes]], at_once: int = 4) -> float:
    """Seconds until several who ask at the same time have all answers."""
    waiting = list(reversed(asked))

    async def one() -> None:
        while waiting:
            method, path, body = waiting.pop()
            await browser._ask(method, path, body, "identity")

    async def everyone() -> None:
        await asyncio.gather(*(one() for _ in range(at_once)))

    began = time.perf_counter()
    browser.loop.run_until_complete(everyone())
    return time.perf_counter() - began


# --------------------------------------------------------------------------------------------------------------- HTTP
@contextmanager
def listening(server: Server) -> Any:
    """The server behind uvicorn on a port of this machine; yields the port."""
    import uvicorn

    config = uvicorn.Config(
        server, port=0, log_config=None, access_log=False, server_header=False, lifespan="off", ws="none"
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield running.servers[0].sockets[0].getsockname()[1]
    running.should_exit = True
    thread.join(5)


def over_http(server: Server, cookie: str, *, quick: bool) -> dict[str, float]:
    """Through a socket: thumbnails a second, and milliseconds of a map and of a page of frames."""
    import http.client

    version = server.service.store["bench"]["v1"].id
    base = f"/api/v1/versions/{version}"
    with listening(server) as port:
        headers = {"Cookie": f"{cookie_name(8080)}={cookie}", "Origin": f"http://127.0.0.1:{port}"}

        def run(method: str, path: str, body: bytes | None = None) -> bytes:
            connection.request(method, base + path, body, {**headers, "Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status} {data[:300]!r}")
            return data

        connection = http.client.HTTPConnection("127.0.0.1", port)
        count = 60 if quick else 300
        paths = [f"/frames/f{n % count}/sources/front/thumb?size=256&overlay=masks" for n in range(count)]
        for path in paths:
            run("GET", path)
        began = time.perf_counter()
        for path in paths * 3:
            run("GET", path)
        per_s = 3 * count / (time.perf_counter() - began)
        index = statistics.median(_timed(lambda: run("GET", "/frames/f0/sources/front/masks/seg/index")))
        page = msgspec.json.encode({"limit": 100})
        search = statistics.median(_timed(lambda: run("POST", "/frames/search", page)))
        connection.close()
    return {"thumbs": per_s, "index_ms": index, "search_ms": search}


def _timed(run: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(15):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1e3)
    return times


if __name__ == "__main__":
    sys.exit(main())
