"""A server in a process of its own, and people who browse it: plain HTTP/1.1 over asyncio, so that fifty cost little."""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from smalti.server.auth import new_key
from smalti.store import open_store
from smalti.store.rows import UserRow

__all__ = ["TOKEN", "Asker", "Browsed", "Running", "browse", "make_keys", "running"]

TOKEN = "a-token-that-only-the-tests-know"


@dataclass
class Running:
    """A server: its process and address."""

    process: subprocess.Popen[str]
    port: int

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def memory_bytes(self) -> int:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


@contextmanager
def running(store: Path, *options: str) -> Iterator[Running]:
    """`smalti serve` on a store, ready to answer."""
    command = [sys.executable, "-m", "smalti", "serve", str(store), "--port", "0", "--no-browser", "--token", TOKEN]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(store.parent / "cache")}
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        link = next(line.split()[1] for line in process.stdout if line.startswith("open "))
        yield Running(process, urlsplit(link).port or 0)
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Asker:
    """One connection that stays open."""

    def __init__(self, port: int, key: str = TOKEN) -> None:
        self.port, self.key = port, key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of an answer."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} /api/v1{path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Authorization: Bearer {self.key}",
            f"Content-Length: {len(content)}",
            *(["Content-Type: application/json"] if content else []),
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        if self._streams is None:
            self._streams = await self._connected()
        reader, writer = self._streams
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        return status, found, await reader.readexactly(int(found.get("content-length", 0)))

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(100):  # the address is printed just before the server accepts
            try:
                return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        raise TimeoutError(f"nobody accepts on port {self.port}")

    def close(self) -> None:
        """Let go."""
        if self._streams is not None:
            self._streams[1].close()


@dataclass
class Browsed:
    """What people met with.

    Attributes:
        errors: answers that are no success, by route and status.
        times_s: by kind of route.
        memory: (seconds, bytes) of the server.
    """

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: list[tuple[float, int]] = field(default_factory=list)

    def quantile(self, kind: str, share: float) -> float:
        """Seconds that this share of the requests of a kind took at most."""
        times = sorted(self.times_s[kind])
        return times[min(len(times) - 1, int(share * len(times)))]


_BINARY = ("index", "image", "thumb")


def make_keys(store: Path, people: int) -> list[str]:
    """API keys of as many viewers: limits hold for each person."""
    opened = open_store(store)
    keys = []
    for number in range(people):
        name = f"person{number}"
        opened.catalog.add_user(UserRow(name=name, role="viewer"))
        row, secret = new_key(name)
        opened.catalog.add_key(row)
        keys.append(f"{row.access_key}:{secret}")
    opened.close()
    return keys


async def _person(asker: Asker, stop: float, found: Browsed, pause_s: tuple[float, float]) -> None:
    """Opens a version, pages through it, looks at frames, counts and queries; pauses in between as people do."""
    draw = random.Random(asker.key)

    async def ask(kind: str, method: str, path: str, body: Any = None) -> Any:
        began = time.monotonic()
        status, headers, data = await asker.ask(method, path, body)
        found.requests += 1
        found.times_s["binary" if kind in _BINARY else "json"].append(time.monotonic() - began)
        if status != 200:
            found.errors[f"{kind} {status} {data[:200]!r}"] += 1
        await asyncio.sleep(draw.uniform(*pause_s))
        is_json = headers.get("content-type", "").startswith("application/json")
        return json.loads(data) if is_json and status == 200 else None

    try:
        while time.monotonic() < stop:
            await ask("datasets", "GET", "/datasets")
            versions = await ask("versions", "GET", "/datasets/street/versions")
            version = f"/versions/{draw.choice(versions)['id']}"
            asked = {"limit": 48, "query": draw.choice(["", "label:car", "meta.city:Bremen", "NOT label:nothing"])}
            page = await ask("search", "POST", f"{version}/frames/search", asked)
            if page["next"] and draw.random() < 0.5:
                page = await ask("search", "POST", f"{version}/frames/search", {**asked, "cursor": page["next"]})
            items = [{"frame": hit["id"]} for hit in page["hits"]]
            await ask("thumb", "POST", f"{version}/masks/thumbs", {"items": items, "size": 128})
            for _ in range(3):
                frame = f"{version}/frames/{draw.choice(page['hits'])['id']}"
                await ask("frame", "GET", frame)
                await ask("image", "GET", f"{frame}/sources/front/image")
                await ask("index", "GET", f"{frame}/sources/front/masks/seg/index")
                await ask("legend", "GET", f"{frame}/sources/front/masks/seg/legend")
            await ask("ids", "POST", f"{version}/frames/ids", {"limit": 100})
            await ask("parse", "POST", "/query/parse", {"text": "label:c", "version": version.rpartition("/")[2]})
            scope = draw.choice(["roi", "frame"])
            await ask("statistics", "POST", f"{version}/statistics", {"scope": scope})
    finally:
        asker.close()


async def browse(server: Running, keys: Sequence[str], seconds: float, pause_s: tuple[float, float]) -> Browsed:
    """What people with these keys meet with in some seconds."""
    found = Browsed()
    began = time.monotonic()

    async def weigh() -> None:
        while time.monotonic() < began + seconds:
            found.memory.append((time.monotonic() - began, server.memory_bytes()))
            await asyncio.sleep(max(0.2, seconds / 60))

    askers = [Asker(server.port, key) for key in keys]
    await asyncio.gather(weigh(), *(_person(asker, began + seconds, found, pause_s) for asker in askers))
    return found
