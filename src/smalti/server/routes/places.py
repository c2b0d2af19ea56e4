"""What a path below a version names: a source of a frame, or a mask of one. Handlers are given the names, not the things:
looking them up belongs to their thread and not to the event loop."""

from typing import Any, NamedTuple

from litestar.di import Provide
from litestar.params import FromPath

from smalti.binding import MaskPlan
from smalti.records import Source
from smalti.server.service import Found, Service, plain

__all__ = ["MASK", "OF_MASK", "OF_SOURCE", "SOURCE", "MaskPlace", "SourcePlace"]

SOURCE = "/versions/{version:str}/frames/{frame:str}/sources/{source:str}"
MASK = SOURCE + "/masks/{mask:str}"


class SourcePlace(NamedTuple):
    """A source, by what the path says."""

    version: str
    frame: str
    source: str

    def find(self, hub: Service) -> tuple[Found, Source]:
        """The frame and the source.

        Raises:
            Refusal: 404.
        """
        found = hub.frame(hub.version(self.version), self.frame)
        return found, found.source(plain(self.source))


class MaskPlace(NamedTuple):
    """A mask, by what the path says."""

    version: str
    frame: str
    source: str
    mask: str

    def find(self, hub: Service) -> tuple[Found, MaskPlan]:
        """The frame, and how to read the mask.

        Raises:
            Refusal: 404.
        """
        found = hub.frame(hub.version(self.version), self.frame)
        return found, found.plan(plain(self.source), plain(self.mask))


def _source(version: FromPath[str], frame: FromPath[str], source: FromPath[str]) -> SourcePlace:
    return SourcePlace(version, frame, source)


def _mask(version: FromPath[str], frame: FromPath[str], source: FromPath[str], mask: FromPath[str]) -> MaskPlace:
    return MaskPlace(version, frame, source, mask)


OF_SOURCE: dict[str, Any] = {"place": Provide(_source, sync_to_thread=False)}
OF_MASK: dict[str, Any] = {"place": Provide(_mask, sync_to_thread=False)}
