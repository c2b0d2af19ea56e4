"""Record what the real client and the server say to each other, for a test that runs without the client.

    python -m tests.clearml_record

writes tests/golden/clearml/exchange.json. Run it when the protocol changes on purpose, and read the difference.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.clearml_wire import Running

EXCHANGE = Path(__file__).parent / "golden" / "clearml" / "exchange.json"
_KEPT = ("content-type", "authorization")
CALLS = """
import os
from pathlib import Path
from PIL import Image
from clearml import DataEntryImage, DataSubEntryImage, DataView, HyperDataset

Image.new("RGB", (4, 3), (9, 8, 7)).save("one.png")
mapped = {"meta.emb": {"type": "dense_vector", "element_type": "float", "dims": 2}}
made = HyperDataset("Recorded/project", "street", "v1", field_mappings=mapped)
entries = []
for number, source in enumerate(["one.png", "s3://bucket/two.png", "s3://bucket/three.png"]):
    part = DataSubEntryImage(name="front", source=source, width=4, height=3, masks_source={"00": f"s3://m/{number}.png"})
    part.add_annotation(box2d_xywh=[0, 0, 2, 2], labels=["car"], confidence=0.5)
    part.add_annotation(mask_rgb=[1, 2, 3], labels=["road"])
    found = DataEntryImage(data_entry_id=f"frame{number}", metadata={"n": number})
    found.add_sub_entries([part])
    found.set_vector([float(number), 1.0], "emb")
    entries.append(found)
made.add_data_entries(entries, upload_local_files_destination=os.environ["CLEARML_FILES_HOST"] + "/ds", show_progress=False)
made.set_metadata({"a": 1})
made.add_tags(["x"])
list(made.vector_search([2.0, 1.0], "emb", 2))
view = DataView(name="view", description="recorded", auto_connect_with_task=False, project_name="Recorded/project")
view.add_query(dataset_id=made.dataset_id, version_id=made.version_id, frame_query="meta.n:[0 TO 1]")
view.add_query(dataset_id=made.dataset_id, version_id=made.version_id, label_rules=[{"label": "road"}])
view.get_count(), [found.id for found in view.get_iterator(query_cache_size=1)]
view.set_labels({"car": 1})
DataView.get(dataview_id=view.id)
made.delete_data_entries(["frame1"])
made.create_snapshot()
HyperDataset.exists("street", "v1", "Recorded/project"), HyperDataset.list(project_name="Recorded/project")
HyperDataset.delete("street", project_name="Recorded/project", force=True)
"""


class Recorder:
    """An ASGI application that notes what passes through it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.said: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        asked, told = bytearray(), bytearray()
        status = 0

        async def hear() -> Any:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def say(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            told.extend(message.get("body", b""))
            await send(message)

        await self.inner(scope, hear, say)
        headers = {name.decode(): value.decode() for name, value in scope["headers"] if name.decode() in _KEPT}
        headers["authorization"] = headers.get("authorization", "").partition(" ")[0]
        self.said.append(
            {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode(),
                "headers": headers,
                "body": _text(bytes(asked)),
                "status": status,
                "answer": _text(bytes(told)),
            }
        )


def _text(raw: bytes) -> Any:
    """JSON as such, other bytes as base64."""
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return {"base64": base64.b64encode(raw).decode()}


def record() -> list[dict[str, Any]]:
    """Every request and answer of the calls, in order."""
    with tempfile.TemporaryDirectory() as folder:
        server = Running(Path(folder), wrap=Recorder)
        try:
            subprocess.run([sys.executable, "-c", CALLS], env=server.client_environment(), cwd=folder, check=True)
        finally:
            server.stop()
        said: list[dict[str, Any]] = server.application.said
        text = json.dumps(said).replace(f"127.0.0.1:{server.port}", "server.test").replace(folder, "/folder")
        found: list[dict[str, Any]] = json.loads(text)
        for each in found:
            if each["path"].endswith("auth.login"):
                each["answer"]["data"]["token"] = "(a token)"
        return found


if __name__ == "__main__":
    EXCHANGE.parent.mkdir(parents=True, exist_ok=True)
    EXCHANGE.write_text("[\n" + ",\n".join(json.dumps(each) for each in record()) + "\n]\n")
