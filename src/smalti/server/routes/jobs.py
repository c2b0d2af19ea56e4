"""What runs in the background: counting pixels, exports; how far it is, and files to take away."""

from pathlib import Path
from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from smalti.errors import VersionError
from smalti.server.asking import AnyRequest, who
from smalti.server.auth import Identity, needs
from smalti.server.checking import count_pixels
from smalti.server.export import KINDS, write_frames
from smalti.server.jobs import Progress
from smalti.server.media import serve_file
from smalti.server.payloads.frames import ExportAsked, Search
from smalti.server.payloads.others import JobOut
from smalti.server.problems import Refusal
from smalti.server.search import run
from smalti.server.service import Service, plain
from smalti.store.rows import JobRow

__all__ = ["ROUTES", "job_out"]

Hub = NamedDependency[Service]
Most = Annotated[int, QueryParameter(ge=1, le=500)]


def job_out(row: JobRow) -> JobOut:
    """A job as it is told."""
    return JobOut(
        id=row.uuid,
        kind=row.kind,
        version=row.spec.get("version"),
        state=row.state,
        progress=row.progress,
        message=row.message,
        result=row.result,
        created=row.created,
        updated=row.updated,
    )


def _mine(row: JobRow, identity: Identity) -> bool:
    return identity.role == "admin" or row.owner == identity.name


def _job(hub: Service, request: AnyRequest, reference: str) -> JobRow:
    """A job of one's own; to others it does not exist.

    Raises:
        Refusal: 404.
    """
    try:
        row = hub.store.catalog.get_job(plain(reference))
    except VersionError as error:
        raise Refusal(404, "job", str(error)) from None
    if not _mine(row, who(request)):
        raise Refusal(404, "job", f"there is no job {reference!r}")
    return row


@get("/jobs", sync_to_thread=True, guards=[needs("viewer")], tags=["activity"])
def list_jobs(
    hub: Hub,
    request: AnyRequest,
    version: FromQuery[str | None] = None,
    kind: FromQuery[str | None] = None,
    limit: Most = 100,
) -> list[JobOut]:
    """One's own jobs, an administrator's are everybody's; newest first."""
    rows = [row for row in hub.store.catalog.list_jobs(kind=kind) if _mine(row, who(request))]
    chosen = [row for row in rows if version in (None, row.spec.get("version"))]
    return [job_out(row) for row in reversed(chosen)][:limit]


@get("/jobs/{job:str}", sync_to_thread=True, guards=[needs("viewer")], tags=["activity"])
def show_job(hub: Hub, request: AnyRequest, job: FromPath[str]) -> JobOut:
    """How far a job is."""
    return job_out(_job(hub, request, job))


@get(
    "/jobs/{job:str}/file",
    sync_to_thread=True,
    guards=[needs("viewer")],
    tags=["activity"],
    media_type="application/octet-stream",
)
def take_file(hub: Hub, request: AnyRequest, job: FromPath[str]) -> Response[bytes] | Stream:
    """The file that an export has written; kept until the server stops, or many newer ones have come."""
    row = _job(hub, request, job)
    kind = KINDS.get(str(row.spec.get("fmt")))
    path: Path | None = hub.jobs.file_of(row.uuid)
    if row.state != "done" or kind is None or path is None:
        raise Refusal(404, "file", f"job {row.uuid} is {row.state} and has no file here; start it again")
    answer = serve_file(request, path.open("rb"), path.stat().st_size, kind[0], row.uuid)
    answer.headers["Content-Disposition"] = f'attachment; filename="{kind[1]}"'
    return answer


@post(
    "/versions/{version:str}/facts",
    sync_to_thread=True,
    status_code=202,
    guards=[needs("annotator")],
    tags=["versions"],
)
def count_facts(hub: Hub, request: AnyRequest, version: FromPath[str]) -> JobOut:
    """Count the pixels of masks that were not counted yet, in the background; for drafts."""
    found = hub.version(version)
    if found.state != "draft":
        raise VersionError(f"version {found.name} is {found.state}; pixels are counted while it is a draft")
    row = hub.jobs.start(
        "facts", who(request).name, lambda progress: count_pixels(hub, found, progress), version=found.id
    )
    return job_out(row)


@post(
    "/versions/{version:str}/frames/export",
    sync_to_thread=True,
    status_code=202,
    guards=[needs("viewer")],
    tags=["frames"],
)
def export_in_background(hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[ExportAsked]) -> JobOut:
    """Write the frames of a search to a file, in the background; the job's result says where to take it from."""
    found = hub.version(version)
    chosen = run(hub, found, Search(query=data.query, filters=data.filters, sort=data.sort))

    def write(progress: Progress) -> dict[str, object]:
        total = max(1, len(chosen.rows))
        written = write_frames(chosen, data.fmt, progress.file, lambda done: progress(done / total))
        return {"file": f"/api/v1/jobs/{progress.row.uuid}/file", "bytes": written, "frames": len(chosen.rows)}

    return job_out(hub.jobs.start("export", who(request).name, write, version=found.id, fmt=data.fmt))


ROUTES = [list_jobs, show_job, take_file, count_facts, export_in_background]
