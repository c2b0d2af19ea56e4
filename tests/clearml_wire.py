"""A server for the ClearML protocol that answers in this process, and requests as its client sends them."""

import base64
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from litestar.testing import TestClient

from smalti.server.app import Server, create_app
from smalti.server.clearml import API_PATH, FILES_PATH, key_pair, mount, variables
from smalti.server.listening import listen
from smalti.server.settings import Settings

CODES = {200, 400, 401, 403, 404, 500}


@dataclass
class Wire:
    """A server, and a client that is logged in."""

    server: Server
    http: TestClient[Any]
    keys: tuple[str, str]
    headers: dict[str, str] = field(default_factory=dict)

    def raw(self, name: str, body: Any = None, *, version: str = "/v2.23", method: str = "GET", **options: Any) -> Any:
        """The answer to a request, whose envelope is as it must be."""
        if body is not None:
            options["json"] = {**body, "method": "get"}
        headers = {**self.headers, **options.pop("headers", {})}
        answer = self.http.request(method, f"{API_PATH}{version}/{name}", headers=headers, **options)
        return enveloped(answer)

    def ask(self, name: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        """What goes into `data`, or the message of an error."""
        found = self.raw(name, body or {}, **options)
        assert found["meta"]["result_code"] == status, found["meta"]["result_msg"]
        return found["data"] if status == 200 else found["meta"]["result_msg"]

    def log_in(self) -> str:
        """As the client does: a key for a token."""
        basic = base64.b64encode(":".join(self.keys).encode()).decode()
        found = self.raw("auth.login", version="", headers={"Authorization": f"Basic {basic}"})
        token: str = found["data"]["token"]
        self.headers = {"Authorization": f"Bearer {token}", "X-ClearML-Client": "clearml-2.1.12"}
        return token

    def make(self, name: str = "pictures", version: str = "v1", **more: Any) -> tuple[str, str]:
        """A dataset with a draft; their ids."""
        dataset = self.ask("datasets.create", {"name": name, **more})["id"]
        return dataset, self.ask("datasets.create_version", {"dataset": dataset, "name": version})["id"]

    def upload(self, path: str, data: bytes, **options: Any) -> Any:
        """The answer to an upload, as the client sends it: path as name and as filename."""
        return self.http.post(FILES_PATH, files={path: (path, data)}, headers=self.headers, **options)


def enveloped(answer: Any) -> Any:
    """The JSON of an answer that has everything without which the client loops for ever."""
    assert answer.status_code in CODES
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    meta = found["meta"]
    assert meta["result_code"] == answer.status_code
    assert isinstance(meta["result_msg"], str)
    assert isinstance(meta["endpoint"]["requested_version"], str)
    assert isinstance(meta["endpoint"]["actual_version"], str)
    assert isinstance(found["data"], dict)
    return found


@contextmanager
def wire(folder: Path, **settings: Any) -> Iterator[Wire]:
    """A server on a store in a folder, and a client that is logged in."""
    server = create_app(Settings(store=str(folder / "store"), thumbs=folder / "thumbs", **settings))
    with TestClient(mount(server), base_url="http://127.0.0.1:8080") as http:  # type: ignore[arg-type]
        found = Wire(server, http, key_pair(server.service))
        found.log_in()
        yield found


def frame(number: int, **more: Any) -> dict[str, Any]:
    """A frame as the client saves it."""
    return {
        "id": f"e{number:03}",
        "context_id": f"drive{number // 4}",
        "meta": {"index": number, "emb": [float(number), 1.0], "_clearml_data_entry_class": "DataEntryImage"},
        "sources": [
            {
                "id": "image",
                "uri": f"http://127.0.0.1:8080/clearml/files/{number}.png",
                "width": 64,
                "height": 48,
                "timestamp": 0,
                "masks": [{"id": "00", "uri": f"s3://masks/{number}.png", "timestamp": 0}],
            }
        ],
        "rois": [
            {
                "label": ["cat"],
                "poly": [1.0, 2.0, 4.0, 2.0, 4.0, 6.0, 1.0, 6.0],
                "confidence": number / 10,
                "meta": {"_type": "b2d", "_id": f"a{number}"},
                "sources": ["image"],
            },
            {
                "label": ["sky"],
                "mask": {"id": "00", "value": [1, 2, 3]},
                "meta": {"_type": "mask"},
                "sources": ["image"],
            },
        ],
        **more,
    }


class Running:
    """A server on a port, in a thread of this process."""

    def __init__(self, folder: Path, port: int = 0, wrap: Callable[[Any], Any] = lambda inner: inner) -> None:
        self.folder = folder
        self.socket = listen("127.0.0.1", port)
        self.port = self.socket.getsockname()[1]
        self.server = create_app(Settings(store=str(folder / "store"), port=self.port, thumbs=folder / "thumbs"))
        base = f"http://127.0.0.1:{self.port}"
        self.variables = variables(self.server.service, base, file=folder / "env")
        self.application: Any = wrap(mount(self.server))
        config = uvicorn.Config(self.application, log_config=None, access_log=False, ws="none")
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self.socket]})
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(20)
        self.socket.close()

    def client_environment(self) -> dict[str, str]:
        config = self.folder / "client.conf"
        # With a reporting sub-process the client sometimes waits for ever at its exit: its fork keeps a pipe open.
        config.write_text("sdk { development { report_use_subprocess: false } }", encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLEARML", "TRAINS"))}
        return {
            **kept,
            **self.variables,
            "CLEARML_CONFIG_FILE": str(config),
            "CLEARML_CACHE_DIR": str(self.folder / "cache"),
        }
