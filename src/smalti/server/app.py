"""What is put together to one application: the API below /api/v1, the pages, and what stands before both."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License
from litestar.types import Scope

from smalti import __version__
from smalti.server.metrics import Watched
from smalti.server.problems import HANDLERS
from smalti.server.routes import (
    activity,
    auth,
    classes,
    counting,
    datasets,
    frames,
    jobs,
    masks,
    media,
    pages,
    thumbs,
    vectors,
    versions,
    views,
)
from smalti.server.security import Front, cookie_name
from smalti.server.service import Service
from smalti.server.settings import Settings

__all__ = ["MAX_BODY", "Server", "create_app"]

MAX_BODY = 8 << 20
_THREADS = 64


class Server:
    """An ASGI application: Litestar behind everything that stands before it. `service` is what handlers share."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.litestar = _litestar()
        settings = service.settings
        front = Front(
            self.litestar,
            service.gate,
            names=settings.names,
            prefix=settings.prefix,
            cookie=cookie_name(settings.port),
        )
        self._app = Watched(front, service.metrics)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        scope["smalti.service"] = self.service
        await self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        """Start at once; close the service at the end."""
        while (message := await receive())["type"] != "lifespan.shutdown":
            if message["type"] == "lifespan.startup":
                # The usual handful of threads is soon full of people who wait for pictures, and lists would wait behind
                # them. How much is decoded at a time is bounded by `Slots`.
                pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="smalti-web")
                asyncio.get_running_loop().set_default_executor(pool)
                await send({"type": "lifespan.startup.complete"})
        self.service.close()
        await send({"type": "lifespan.shutdown.complete"})


def _service_of(scope: Scope) -> Service:
    found: Service = scope["smalti.service"]  # type: ignore[typeddict-item]  # put there by Server
    return found


@cache
def _litestar() -> Litestar:
    """The routes; they find their service in the scope, so one such application does for every server of a process."""
    routes = [
        *auth.ROUTES,
        *datasets.ROUTES,
        *versions.ROUTES,
        *frames.ROUTES,
        *counting.ROUTES,
        *views.ROUTES,
        *activity.ROUTES,
        *jobs.ROUTES,
        *media.ROUTES,
        *masks.ROUTES,
        *classes.ROUTES,
        *thumbs.ROUTES,
        *vectors.ROUTES,
        *pages.API,
    ]
    return Litestar(
        [Router("/api/v1", route_handlers=routes), *pages.PAGES],
        dependencies={"hub": Provide(_service_of, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        logging_config=None,
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="smalti",
            version=__version__,
            description="Frames, their segmentation masks and what the colours mean.",
            license=License(name="Apache-2.0", identifier="Apache-2.0"),
            path="/api/v1/_generated",
            render_plugins=[],
            use_handler_docstrings=True,
        ),
    )


def create_app(settings: Settings, *, service: Service | None = None) -> Server:
    """The application for some settings. It opens the store at once, and closes it when it is shut down."""
    return Server(service if service is not None else Service(settings))
