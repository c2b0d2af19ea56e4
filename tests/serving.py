"""A small store with pictures whose every pixel is known, and a server on it that answers in this process."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from litestar.testing import TestClient
from PIL import Image

from smalti.server.app import Server, create_app
from smalti.server.settings import Settings
from smalti.store import Store, open_store

BASE = "http://127.0.0.1:8080"
API = "/api/v1"
H, W = 24, 40
RED, BLUE, STRANGER = (200, 30, 30), (20, 40, 220), (9, 9, 9)


def scene(seed: int = 0) -> dict[str, Any]:
    """Arrays of one frame: image, colour mask with a patch of a strange colour, its labels, ids, opacity."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (H, W, 3), np.uint8)
    labels = np.zeros((H, W), np.uint8)
    labels[:, :10] = 1
    labels[4:20, 15:30] = 2
    colors = np.array([STRANGER, RED, BLUE], np.uint8)[labels]
    ids = np.zeros((H, W), np.uint16)
    ids[2:5, 2:7], ids[10:20, 20:33] = 300, 7
    alpha = rng.integers(0, 256, (H, W), np.uint8)
    return {"image": image, "labels": labels, "colors": colors, "ids": ids, "alpha": alpha}


def frame(number: int, folder: str = "files", **more: Any) -> dict[str, Any]:
    """The JSON of one frame; files are relative to the store."""
    stem = f"{folder}/f{number}"
    return {
        "id": f"f{number}",
        "context_id": f"drive{number // 3}",
        "timestamp": number * 100,
        "sources": [
            {
                "id": "front",
                "uri": f"{stem}.png",
                "width": W,
                "height": H,
                "masks": [
                    {"id": "seg", "uri": f"{stem}_seg.png"},
                    {"id": "objects", "uri": f"{stem}_ids.png", "encoding": "plain"},
                    {"id": "matte", "uri": f"{stem}_alpha.png", "encoding": "alpha"},
                ],
            }
        ],
        "rois": [
            {"id": "r1", "label": ["car", "vehicle"], "mask": {"id": "seg", "value": list(RED)}},
            {"id": "r2", "label": ["road"], "mask": {"id": "seg", "value": list(BLUE)}},
            {"id": "box", "label": ["car"], "poly": [1, 1, 5, 1, 5, 5, 1, 5], "confidence": 0.5},
        ],
        "meta": {"city": ["Bremen", "Ravenna"][number % 2], "rain": number / 10},
        **more,
    }


def write_files(folder: Path, numbers: range) -> None:
    """The files that the frames name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        found = scene(number)
        Image.fromarray(found["image"]).save(folder / f"f{number}.png")
        Image.fromarray(found["colors"]).save(folder / f"f{number}_seg.png")
        Image.fromarray(found["ids"]).save(folder / f"f{number}_ids.png")
        Image.fromarray(found["alpha"]).save(folder / f"f{number}_alpha.png")


def make_store(folder: Path, count: int = 7) -> Store:
    """Dataset "street": v1 is published, v2 is a draft child of it. Made once for each count, then copied."""
    template = _template(count)
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return open_store(folder)


@cache
def _template(count: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="smalti-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _build(folder, count).close()
    return folder


def _build(folder: Path, count: int) -> Store:
    store = open_store(folder)
    write_files(folder / "files", range(count))
    street = store.create_dataset("street", description="a street", tags=["demo"])
    first = street.create_version("v1")
    assert first.add_frames([frame(number) for number in range(count)]) == []
    first.publish()
    first.child("v2")
    return store


@dataclass
class Site:
    """A server, and somebody who is logged in to it."""

    server: Server
    client: TestClient[Any]
    folder: Path

    def ask(self, method: str, path: str, *, status: int = 200, origin: str | None = BASE, **options: Any) -> Any:
        """An answer of the API, whose status is as expected."""
        headers = {**({"Origin": origin} if origin else {}), **options.pop("headers", {})}
        answer = self.client.request(method, f"{API}{path}", headers=headers, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def get(self, path: str, **options: Any) -> Any:
        """A GET of the API."""
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """A POST of the API."""
        return self.ask("POST", path, **({"json": body} if body is not None else {}), **options)

    def log_in(self) -> None:
        """As whoever started the server."""
        token = self.server.service.gate.new_link_token()
        self.post("/auth/token-exchange", {"token": token})

    @property
    def draft(self) -> Any:
        """The draft as the library sees it."""
        return self.server.service.store["street"]["v2"]


@contextmanager
def site(folder: Path, *, log_in: bool = True, **settings: Any) -> Iterator[Site]:
    """A server on the store in a folder."""
    settings = {"thumbs": folder / "thumbs", "static": folder / "static", **settings}
    server = create_app(Settings(store=str(folder), **settings))
    with TestClient(server, base_url=BASE) as client:
        found = Site(server, client, folder)
        if log_in:
            found.log_in()
        yield found
