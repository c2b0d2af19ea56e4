"""Live changes: told whoever made them, once, and replayed to who comes back."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browsing import TOKEN, running
from tests.serving import Site, frame, make_store, site

from smalti.server.events import Events
from smalti.server.watching import Watcher
from smalti.store import Store, open_store

V2 = "/versions/street@v2"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    make_store(tmp_path, 3).close()
    with site(tmp_path) as found:
        yield found


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[tuple[Events, Watcher, Store]]:
    """A watcher that has looked once, and the store as another process would open it."""
    make_store(tmp_path, 3).close()
    events, seen, other = Events(), open_store(tmp_path), open_store(tmp_path)
    watcher = Watcher(seen, events)
    watcher.look()
    yield events, watcher, other
    seen.close()
    other.close()


def told(events: Events, watcher: Watcher) -> list[tuple[str, dict[str, Any]]]:
    """What is told by one look."""
    last = events.last
    watcher.look()
    return [(event.kind, event.data) for event in events.since(last)]


def test_what_another_process_changes_is_told_once(watching: tuple[Events, Watcher, Store]) -> None:
    events, watcher, other = watching
    assert told(events, watcher) == []
    draft = other["street"]["v2"]
    draft.update_frame(frame(1, meta={"city": "Rome"}))
    (kind, data) = told(events, watcher)[0]
    assert (kind, data["version"]) == ("frames.changed", draft.id)
    assert told(events, watcher) == []
    made = other["street"].create_version("v3", ["v1"])
    assert ("version.created", {"dataset": made.dataset.id, "version": made.id, "name": "v3"}) in told(events, watcher)
    made.rename("v3b")
    assert [kind for kind, _ in told(events, watcher)] == ["version.updated"]
    made.publish()
    assert [kind for kind, _ in told(events, watcher)] == ["version.published"]
    made.delete(force=True)
    assert [kind for kind, _ in told(events, watcher)] == ["version.deleted"]
    fresh = other.create_dataset("fresh")
    assert told(events, watcher) == [("dataset.created", {"dataset": fresh.id})]
    fresh.delete()
    assert told(events, watcher) == [("dataset.deleted", {"dataset": fresh.id})]


def test_what_this_server_told_is_not_told_again(watching: tuple[Events, Watcher, Store]) -> None:
    events, watcher, other = watching
    draft = other["street"]["v2"]
    draft.update_frame(frame(1, meta={"city": "Rome"}))
    events.publish("frame.updated", dataset=draft.dataset.id, version=draft.id, frame="f1")
    draft.rename("v2b")
    events.publish("version.updated", dataset=draft.dataset.id, version=draft.id)
    assert told(events, watcher) == []


def test_a_listener_hears_of_other_processes(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.server.watching.EVERY_S", 0.02)
    service = here.server.service
    draft = here.draft

    async def listen() -> dict[str, Any]:
        stream = service.events.stream(None)
        await anext(stream)
        service.watcher.wake()
        await asyncio.to_thread(wait_for_a_look, service.watcher)
        await asyncio.to_thread(draft.update_frame, frame(2, meta={"by": "a script"}))
        text = b""
        while b"frames.changed" not in text:
            text += await asyncio.wait_for(anext(stream), 10)
        await stream.aclose()
        return dict(json.loads(text.split(b"data: ")[-1].strip()))

    data = asyncio.run(listen())
    assert data["version"] == draft.id


def wait_for_a_look(watcher: Watcher) -> None:
    """Until the watcher knows what there is."""
    ready = threading.Event()
    while watcher._before is None:
        ready.wait(0.01)


def test_own_edits_and_jobs_are_told(here: Site) -> None:
    events = here.server.service.events
    last = events.last
    path = f"{V2}/frames/f0"
    etag = here.get(path).headers["etag"]
    here.ask("PATCH", path, json={"meta": {"a": 1}}, headers={"If-Match": etag})
    here.post(f"{V2}/frames", {"frames": [frame(0, id="new")]})
    here.ask("DELETE", f"{V2}/frames/new", headers={"If-Match": here.get(f"{V2}/frames/new").headers["etag"]})
    here.post(f"{V2}/facts", status=202)
    here.server.service.jobs.settle()
    here.post(f"{V2}/publish", {}, headers={"If-Match": here.get(V2).headers["etag"]})
    kinds = [event.kind for event in events.since(last)]
    assert kinds[:3] == ["frame.updated", "frames.added", "frame.deleted"]
    assert kinds[-1] == "version.published"
    jobs = [event.data for event in events.since(last) if event.kind == "job.progress"]
    assert [job["state"] for job in jobs if job["state"] != "running"] == ["queued", "done"]
    assert {job["kind"] for job in jobs} == {"facts"}


def test_who_comes_back_after_a_restart_or_a_gap_reads_anew(tmp_path: Path) -> None:
    async def first_words(events: Events, after: int) -> bytes:
        stream = events.stream(after, keep_alive_s=0.01)
        text = b"".join([await anext(stream), await anext(stream)])
        await stream.aclose()
        return text

    make_store(tmp_path, 1).close()
    with site(tmp_path) as old:
        number = old.server.service.events.publish("dataset.updated", dataset="d").id
    with site(tmp_path) as new:
        events = new.server.service.events
        assert b"event: reset" in asyncio.run(first_words(events, number))
        seen = events.publish("dataset.updated", dataset="d").id
        assert b"event: reset" not in asyncio.run(first_words(events, seen))
        events.lose_sight()
        assert b"event: reset" in asyncio.run(first_words(events, seen))


# -------------------------------------------------------------------------------------------------- over real HTTP
class Listener:
    """Somebody who reads /events as a browser does."""

    def __init__(self, port: int, last: str | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Authorization": f"Bearer {TOKEN}", **({"Last-Event-ID": last} if last else {})}
        for attempt in range(100):
            try:
                self.connection.request("GET", "/api/v1/events", headers=headers)
                break
            except ConnectionRefusedError:  # the address is printed just before the server accepts
                if attempt == 99:
                    raise
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.headers["content-type"].startswith("text/event-stream")

    def until(self, kind: str) -> dict[str, str]:
        """The fields of the next event of a kind."""
        found: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            name, _, value = line.partition(": ")
            if name:
                found[name] = value
            elif found.get("event") == kind:
                return found
            else:
                found = {}

    def close(self) -> None:
        self.connection.close()


def test_a_page_hears_of_a_script_and_catches_up_after_a_break(tmp_path: Path) -> None:
    make_store(tmp_path / "store", 3).close()
    with running(tmp_path / "store") as server:
        page = Listener(server.port)
        page.answer.readline()
        script = open_store(tmp_path / "store")
        draft = script["street"]["v2"]
        until = time.monotonic() + 15
        draft.update_frame(frame(0, meta={"n": 0}))
        # The server has looked once when it tells the first change; until then there is nothing to compare with.
        heard: list[dict[str, str]] = []
        listening = threading.Thread(target=lambda: heard.append(page.until("frames.changed")))
        listening.start()
        number = 1
        while not heard and time.monotonic() < until:
            draft.update_frame(frame(0, meta={"n": number}))
            number += 1
            listening.join(0.5)
        assert heard
        assert json.loads(heard[0]["data"])["version"] == draft.id
        page.close()
        draft.rename("renamed")
        second = Listener(server.port, last=heard[0]["id"])
        told = second.until("version.updated")
        assert int(told["id"]) > int(heard[0]["id"])
        second.close()
        script.close()
