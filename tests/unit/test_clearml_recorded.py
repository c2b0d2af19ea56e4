"""What the real client once said to the server is said again, without the client: every answer must be as it was then.

Ids, places and times are others each time; what was recorded is put in their place as the answers come. See
`tests/clearml_record.py`.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

from tests.clearml_wire import enveloped, wire

EXCHANGE = Path(__file__).parents[1] / "golden" / "clearml" / "exchange.json"
_VARIES = re.compile(
    r"[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:.]+(\+00:00)?|[A-Za-z0-9_-]{60,}|\(a token\)|(snapshot )?20\d\d-[-T:.+\d]+"
)
_TIMES = ("saved", "updated")


class Replay:
    """What stands for what: ids of the recording → ids of now."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}

    def asked(self, value: Any) -> Any:
        """A request with the ids of now."""
        text = json.dumps(value)
        for old, new in self.now.items():
            text = text.replace(old, new)
        return json.loads(text)

    def compare(self, old: Any, new: Any, path: str) -> None:
        """The same keys, types and values; where a value differs from run to run, the same one wherever it stood."""
        if isinstance(old, dict):
            assert isinstance(new, dict), path
            assert new.keys() == old.keys(), path
            for key in old:
                if key in _TIMES and isinstance(old[key], int):
                    assert isinstance(new[key], int), path
                else:
                    self.compare(old[key], new[key], f"{path}.{key}")
        elif isinstance(old, list):
            assert isinstance(new, list), path
            assert len(new) == len(old), path
            for number, (one, other) in enumerate(zip(old, new, strict=True)):
                self.compare(one, other, f"{path}[{number}]")
        elif isinstance(old, str):
            self._same_text(old, new, path)
        else:
            assert (type(new), new) == (type(old), old), path

    def _same_text(self, old: str, new: Any, path: str) -> None:
        assert isinstance(new, str), path
        if path.startswith(("meta.id", "meta.trx")):
            return
        known = self.asked(old)
        if known != new:
            assert _VARIES.sub("#", known) == _VARIES.sub("#", new) or path == "data.token", (path, known, new)
            before = [found[0] for found in _VARIES.finditer(known)]
            after = [found[0] for found in _VARIES.finditer(new)]
            self.now |= dict(zip(before, after, strict=False))


def test_what_the_client_said_gets_the_answers_it_got(tmp_path: Path) -> None:
    exchange = json.loads(EXCHANGE.read_text())
    replay = Replay()
    replay.now["server.test"] = "127.0.0.1:8080"
    with wire(tmp_path) as at:
        bearer = dict(at.headers)
        basic = "Basic " + base64.b64encode(":".join(at.keys).encode()).decode()
        for number, said in enumerate(exchange):
            headers = {key: value for key, value in said["headers"].items() if key != "authorization"}
            headers["Authorization"] = basic if said["headers"]["authorization"] == "Basic" else bearer["Authorization"]
            body = replay.asked(said["body"])
            if isinstance(body, dict) and "base64" in body:
                raw = base64.b64decode(body["base64"])
                for old, new in replay.now.items():
                    raw = raw.replace(old.encode(), new.encode())
            else:
                raw = json.dumps(body).encode() if body is not None else b""
            path = said["path"] + (f"?{said['query']}" if said["query"] else "")
            answer = at.http.request(said["method"], path, content=raw, headers=headers)
            where = f"{number}: {said['path']}"
            assert answer.status_code == said["status"], (where, answer.text[:500])
            found = enveloped(answer)
            replay.compare(said["answer"]["meta"], found["meta"], "meta")
            replay.compare(said["answer"]["data"], found["data"], "data")
    assert number == len(exchange) - 1 > 40
