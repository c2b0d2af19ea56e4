"""What runs in the background: it ends, says how far it is, belongs to somebody, and survives nothing it should not."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.serving import Site, frame, make_store, scene, site

from smalti.server.auth import Identity
from smalti.server.jobs import Jobs, Progress
from smalti.server.security import cookie_name
from smalti.store.rows import JobRow, UserRow

V1 = "/versions/street@v1"
V2 = "/versions/street@v2"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Site]:
    """A server that others can reach: it reads only what its operator allows."""
    store = make_store(tmp_path, 3)
    store.catalog.add_user(UserRow(name="ann", role="annotator"))
    store.catalog.add_user(UserRow(name="vic", role="viewer"))
    store.close()
    with site(tmp_path, host="0.0.0.0") as found:
        assert not found.server.service.doors.policy.own_files
        yield found


def be(found: Site, name: str, role: Any) -> None:
    cookie = found.server.service.gate.start(Identity(name, role, "session"))
    found.client.cookies.clear()
    found.client.cookies.set(cookie_name(8080), cookie)


def finished(found: Site, job: dict[str, Any]) -> dict[str, Any]:
    assert found.server.service.jobs.settle()
    return dict(found.get(f"/jobs/{job['id']}").json())


def test_a_shared_server_counts_pixels(shared: Site) -> None:
    job = shared.post(f"{V2}/facts", status=202).json()
    assert (job["kind"], job["version"]) == ("facts", shared.draft.id)
    done = finished(shared, job)
    assert (done["state"], done["progress"], done["result"]) == ("done", 1.0, {"failed": []})
    found = shared.post(f"{V2}/statistics", {"scope": "mask", "mask": "seg"}).json()
    road = sum(int((scene(n)["labels"] == 2).sum()) for n in range(3))
    assert {row["label"]: row["pixels"] for row in found["rows"]}["road"] == road


def test_what_it_may_not_read_is_reported_and_not_read(shared: Site, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    Image.fromarray(scene()["colors"]).save(outside)
    spy = frame(0, id="spy")
    spy["sources"][0]["masks"] = [{"id": "seg", "uri": str(outside)}]
    assert shared.draft.add_frames([spy]) == []
    done = finished(shared, shared.post(f"{V2}/facts", status=202).json())
    (failed,) = done["result"]["failed"]
    assert failed["frame"] == "spy"
    assert "outside the folders" in failed["error"]
    etag = shared.get(V2).headers["etag"]
    refused = shared.post(f"{V2}/publish", {"check": True}, headers={"If-Match": etag}, status=409).json()
    assert any("outside the folders" in item["message"] for item in refused["report"]["findings"])


def test_a_shared_server_checks_before_it_publishes(shared: Site) -> None:
    (shared.folder / "files" / "f1_seg.png").unlink()
    etag = shared.get(V2).headers["etag"]
    refused = shared.post(f"{V2}/publish", {"check": True}, headers={"If-Match": etag}, status=409).json()
    assert {item["code"] for item in refused["report"]["findings"]} >= {"file-missing"}
    job = shared.post(f"{V2}/publish?job=true", {"check": True}, headers={"If-Match": etag}, status=202).json()
    failed = finished(shared, job)
    assert failed["state"] == "failed"
    assert failed["result"]["report"] == refused["report"]
    assert shared.get(V2).json()["state"] == "draft"
    job = shared.post(f"{V2}/publish?job=true", {"check": True, "force": True}, headers={"If-Match": etag}, status=202)
    assert finished(shared, job.json())["state"] == "done"
    assert shared.get(V2).json()["state"] == "published"
    assert shared.get(f"{V2}/report").json() == refused["report"]


@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
def test_an_export_is_a_file_to_take_away(shared: Site, fmt: str) -> None:
    asked = {"fmt": fmt, "query": "label:car", "sort": "-id"}
    done = finished(shared, shared.post(f"{V1}/frames/export", asked, status=202).json())
    result = done["result"]
    answer = shared.client.get(result["file"])
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="frames.{fmt}"'
    assert (len(answer.content), result["frames"]) == (result["bytes"], 3)
    if fmt == "jsonl":
        ids = [json.loads(line)["id"] for line in answer.text.splitlines()]
    else:
        ids = [row["id"] for row in csv.DictReader(io.StringIO(answer.text))]
    assert ids == ["f2", "f1", "f0"]


def test_jobs_belong_to_who_started_them(shared: Site) -> None:
    be(shared, "ann", "annotator")
    job = shared.post(f"{V1}/frames/export", {}, status=202).json()
    finished(shared, job)
    assert [item["id"] for item in shared.get("/jobs").json()] == [job["id"]]
    be(shared, "vic", "viewer")
    assert shared.get("/jobs").json() == []
    shared.get(f"/jobs/{job['id']}", status=404)
    shared.get(f"/jobs/{job['id']}/file", status=404)
    shared.post(f"{V2}/facts", status=403)
    be(shared, shared.server.service.owner, "admin")
    assert [item["id"] for item in shared.get("/jobs", params={"kind": "export"}).json()] == [job["id"]]
    assert shared.get("/jobs", params={"version": "none"}).json() == []


def test_one_user_cannot_fill_the_queue(shared: Site) -> None:
    jobs: Jobs = shared.server.service.jobs
    gate = threading.Event()
    try:
        for _ in range(8):
            jobs.start("wait", "ann", lambda progress: gate.wait(20))
        be(shared, "ann", "annotator")
        refused = shared.post(f"{V1}/frames/export", {}, status=429)
        assert refused.headers["retry-after"] == "10"
        be(shared, "vic", "viewer")
        shared.post(f"{V1}/frames/export", {}, status=202)
    finally:
        gate.set()


def test_a_server_that_stops_ends_its_jobs(tmp_path: Path) -> None:
    store = make_store(tmp_path, 1)
    begun = threading.Event()

    def forever(progress: Progress) -> None:
        begun.set()
        while True:
            progress(0.5)
            threading.Event().wait(0.005)

    with site(tmp_path) as found:
        running = found.server.service.jobs.start("wait", "ann", forever)
        begun.wait(10)
    row = store.catalog.get_job(running.uuid)
    assert (row.state, "stopped" in row.message) == ("failed", True)


def test_jobs_of_a_killed_server_are_declared_dead(tmp_path: Path) -> None:
    store = make_store(tmp_path, 1)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = os.uname().nodename
    dead = store.catalog.create_job(
        JobRow(kind="facts", state="running", extra={"process": f"{host}:{int(gone.stdout)}"})
    )
    alive = store.catalog.create_job(JobRow(kind="facts", state="running", extra={"process": f"{host}:{os.getpid()}"}))
    far = store.catalog.create_job(JobRow(kind="facts", state="running", extra={"process": "elsewhere:1"}))
    with site(tmp_path) as found:
        states = {row.uuid: row.state for row in found.server.service.store.catalog.list_jobs()}
    assert [states[job.uuid] for job in (dead, alive, far)] == ["failed", "running", "running"]
