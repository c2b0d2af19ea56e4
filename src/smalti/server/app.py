"""What is put together to one application: the API below /api/v1, the pages, and what stands before both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License

from smalti import __version__
from smalti.server.metrics import Watched
from smalti.server.problems import HANDLERS
from smalti.server.routes import activity, auth, counting, datasets, frames, masks, media, pages, versions, views
from smalti.server.security import Front, cookie_name
from smalti.server.service import Service
from smalti.server.settings import Settings

__all__ = ["MAX_BODY", "Server", "create_app"]

MAX_BODY = 8 << 20


class Server:
    """An ASGI application: `litestar` behind everything that stands before it. `service` is what handlers share."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.litestar = _litestar(service)
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
        await self._app(scope, receive, send)


def _litestar(service: Service) -> Litestar:
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()

    routes = [
        *auth.ROUTES,
        *datasets.ROUTES,
        *versions.ROUTES,
        *frames.ROUTES,
        *counting.ROUTES,
        *views.ROUTES,
        *activity.ROUTES,
        *media.ROUTES,
        *masks.ROUTES,
        *pages.API,
    ]
    return Litestar(
        [Router("/api/v1", route_handlers=routes), *pages.PAGES],
        dependencies={"hub": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        lifespan=[lifespan],
        logging_config=None,
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="smalti",
            version=__version__,
            description="Frames, their segmentation masks and what the colours mean.",
            license=License(name="Apache-2.0", identifier="Apache-2.0"),
            path="/api/v1/_generated",
            render_plugins=[],
        ),
    )


def create_app(settings: Settings, *, service: Service | None = None) -> Server:
    """The application for some settings. It opens the store at once, and closes it when it is shut down."""
    return Server(service if service is not None else Service(settings))
