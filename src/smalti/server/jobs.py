"""What takes longer than a request: it runs in threads of this server, is kept in the catalog, and tells how far it is."""

import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from smalti.errors import CheckFailed, SmaltiError, VersionError
from smalti.server.events import Events
from smalti.server.problems import Refusal, problem_of
from smalti.store.catalog import Catalog
from smalti.store.rows import JobRow

__all__ = ["Jobs", "Progress", "Stopped"]

_AT_ONCE = 2
_WAITING = 8
_TOLD_S = 0.5
_MAX_FILES = 16


class Stopped(SmaltiError):
    """The server ends, and the job with it."""


class Progress:
    """Tells how far a job is; raises `Stopped` once the server ends, so that jobs end at a good place."""

    def __init__(self, jobs: "Jobs", row: JobRow) -> None:
        self._jobs, self.row = jobs, row
        self._last = 0.0

    def __call__(self, share: float, message: str = "") -> None:
        """Say that `share` (0..1) is done; often is fine, it is passed on twice a second."""
        if self._jobs.is_closing:
            raise Stopped("the server was stopped; start the job again")
        now = time.monotonic()
        if now - self._last >= _TOLD_S:
            self._last = now
            self._jobs.update(self.row, progress=round(min(max(share, 0.0), 1.0), 4), message=message)

    @property
    def file(self) -> Path:
        """Where the job may write a file to be taken away."""
        return self._jobs.file(self.row.uuid)


class Jobs:
    """The jobs of one server.

    Args:
        catalog: where they are kept.
        events: who is told.
    """

    def __init__(self, catalog: Catalog, events: Events) -> None:
        self._catalog, self._events = catalog, events
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="smalti-job")
        self._lock = threading.Lock()
        self._running: dict[str, tuple[str, Future[None]]] = {}
        self._folder: Path | None = None
        self._files: list[str] = []
        self.is_closing = False
        self._bury()

    def start(self, kind: str, owner: str, run: Callable[[Progress], Any], **spec: Any) -> JobRow:
        """Begin a job; `run` returns its result.

        Raises:
            Refusal: 429: this user has as many waiting as one may have.
        """
        with self._lock:
            waiting = sum(1 for who, future in self._running.values() if who == owner and not future.done())
        if waiting >= _WAITING:
            raise Refusal(
                429,
                "too-many",
                f"{waiting} jobs of yours are not done yet; wait for one",
                headers={"Retry-After": "10"},
            )
        row = self._catalog.create_job(
            JobRow(kind=kind, state="queued", owner=owner, spec=spec, extra={"process": _process()})
        )
        self._tell(row)
        with self._lock:
            self._running[row.uuid] = (owner, self._pool.submit(self._run, row, run))
        return row

    def _run(self, row: JobRow, run: Callable[[Progress], Any]) -> None:
        told = Progress(self, row)
        try:
            self.update(row, state="running")
            result = run(told)
            self.update(row, state="done", progress=1.0, message="", result=result)
        except (SmaltiError, OSError, Refusal) as error:
            problem = problem_of(error)
            report = problem.report if problem is not None and isinstance(error, CheckFailed) else None
            self.update(row, state="failed", message=str(error), result=None if report is None else {"report": report})
        finally:
            with self._lock:
                self._running.pop(row.uuid, None)

    def update(self, row: JobRow, **changes: Any) -> None:
        """Keep how a job stands, and tell it."""
        self._tell(self._catalog.update_job(row.uuid, **changes))

    def _tell(self, row: JobRow) -> None:
        self._events.publish(
            "job.progress",
            job=row.uuid,
            kind=row.kind,
            version=row.spec.get("version"),
            state=row.state,
            progress=row.progress,
            message=row.message,
        )

    def file(self, job: str) -> Path:
        """The file of a job; the oldest of many go, and all with the server."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="smalti-jobs-"))
            if job not in self._files:
                self._files.append(job)
                for old in self._files[:-_MAX_FILES]:
                    (self._folder / old).unlink(missing_ok=True)
                    self._files.remove(old)
            return self._folder / job

    def file_of(self, job: str) -> Path | None:
        """The file of a job, None where there is none any more."""
        path = self._folder / job if self._folder is not None and job in self._files else None
        return path if path is not None and path.is_file() else None

    def settle(self, timeout_s: float = 60.0) -> bool:
        """Wait until nothing runs; whether that is so."""
        with self._lock:
            futures = [future for _, future in self._running.values()]
        return not wait(futures, timeout_s).not_done

    def close(self) -> None:
        """End what runs at its next word, forget what waits, remove the files."""
        self.is_closing = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting = [job for job, (_, future) in self._running.items() if future.cancelled()]
            running = [future for _, future in self._running.values() if not future.cancelled()]
        for job in waiting:
            self._catalog.update_job(job, state="failed", message="the server was stopped; start the job again")
        wait(running, 10)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _bury(self) -> None:
        """Jobs of a server of this machine that was killed will never go on: say so."""
        here = _process().rpartition(":")[0]
        for state in ("running", "queued"):
            for row in self._catalog.list_jobs(state=state):
                host, _, pid = str(row.extra.get("process", "")).rpartition(":")
                if host == here and pid.isdecimal() and not _is_alive(int(pid)):
                    self._end(row)

    def _end(self, row: JobRow) -> None:
        try:
            self._catalog.update_job(
                row.uuid, expect_state=row.state, state="failed", message="the server died; start the job again"
            )
        except VersionError:
            return  # another server was quicker to say so


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
