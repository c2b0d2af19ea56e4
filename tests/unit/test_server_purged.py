"""A server that runs while frames are erased from the store."""

from pathlib import Path

import pytest

from smalti.server import service
from smalti.server.problems import Refusal
from smalti.server.service import Service
from smalti.server.settings import Settings
from smalti.store import open_store
from smalti.testing import frames


def test_an_erased_frame_is_gone_and_the_others_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_VERSION_FRESH_S", 0.0)  # a second may have passed
    place = str(tmp_path / "store")
    store = open_store(place)
    version = store.create_dataset("d").create_version("v")
    version.add_frames(frames(4))
    version.publish()
    hub = Service(Settings(store=place, thumbs=str(tmp_path / "thumbs")))
    try:
        assert hub.frame(hub.version(version.id), "f0002").record.id == "f0002"
        with open_store(place) as other:
            other.purge(["f0002"], who="me", why="asked to")
        assert hub.frame(hub.version(version.id), "f0001").record.id == "f0001"
        with pytest.raises(Refusal, match="no frame 'f0002'"):
            hub.frame(hub.version(version.id), "f0002")
        assert not any(place[-1] == "f0002" for place in hub._frames)
    finally:
        hub.close()
