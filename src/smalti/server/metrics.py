"""What the server counts, in Prometheus' text format, and one structured log line for every request."""

import logging
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Metrics", "Watched"]

_LOG = logging.getLogger("smalti.server.access")
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters and one histogram; labels are route templates, so their number is bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._times: dict[str, list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS_S) + 2))
        self._counts: dict[str, int] = defaultdict(int)
        self.gauges: dict[str, Callable[[], float]] = {}
        self.started = time.time()

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request is done."""
        with self._lock:
            self._requests[method, route, status] += 1
            row = self._times[route]
            row[bisect_left(BUCKETS_S, seconds)] += 1
            row[-1] += seconds

    def count(self, name: str, by: int = 1) -> None:
        """Count something: `smalti_<name>_total`."""
        with self._lock:
            self._counts[name] += by

    def text(self) -> str:
        """All of it."""
        with self._lock:
            requests, counts = dict(self._requests), dict(self._counts)
            times = {route: list(row) for route, row in self._times.items()}
        lines = ["# HELP smalti_requests_total Requests by route and status.", "# TYPE smalti_requests_total counter"]
        for (method, route, status), n in sorted(requests.items()):
            lines.append(f'smalti_requests_total{{method="{method}",route="{_safe(route)}",status="{status}"}} {n}')
        lines += [
            "# HELP smalti_request_seconds Time to the end of the answer.",
            "# TYPE smalti_request_seconds histogram",
        ]
        for route, row in sorted(times.items()):
            total = 0.0
            for bound, seen in zip((*map(str, BUCKETS_S), "+Inf"), row, strict=False):
                total += seen
                lines.append(f'smalti_request_seconds_bucket{{route="{_safe(route)}",le="{bound}"}} {total:.0f}')
            lines.append(f'smalti_request_seconds_sum{{route="{_safe(route)}"}} {row[-1]:.6f}')
            lines.append(f'smalti_request_seconds_count{{route="{_safe(route)}"}} {total:.0f}')
        for name, n in sorted(counts.items()):
            lines += [f"# TYPE smalti_{name}_total counter", f"smalti_{name}_total {n}"]
        for name, read in sorted(self.gauges.items()):
            lines += [f"# TYPE smalti_{name} gauge", f"smalti_{name} {read():g}"]
        lines += ["# TYPE smalti_start_time_seconds gauge", f"smalti_start_time_seconds {self.started:.3f}"]
        return "\n".join(lines) + "\n"


def _safe(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Watched:
    """Pure ASGI: measures and logs each request; the outermost wrapper."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, size = time.perf_counter(), 500, 0

        async def watched(message: Any) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            route = str(scope.get("path_template") or "other")
            self.metrics.seen(scope["method"], route, status, seconds)
            if _LOG.isEnabledFor(logging.INFO):
                _LOG.info("%s", _line(scope, route, status, size, seconds))


def _line(scope: dict[str, Any], route: str, status: int, size: int, seconds: float) -> str:
    who = scope.get("smalti.identity")
    # The path without its query: a query may hold a token.
    found = {
        "method": scope["method"],
        "path": scope.get("path", ""),
        "route": route,
        "status": status,
        "bytes": size,
        "ms": round(seconds * 1000, 2),
        "client": (scope.get("client") or ("", 0))[0],
        "user": who.name if who is not None else None,
    }
    return msgspec.json.encode(found).decode()
