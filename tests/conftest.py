"""Fixtures that every part of the suite shares."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Time says how busy the machine is, not what the code does.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

pytest_plugins = ["tests.s3", "tests.web"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real masks and hostile files that lies beside a full checkout; it is never copied into it."""
    folder = Path(os.environ.get("SMALTI_REALDATA", ROOT.parent / "shared" / "data"))
    if not (folder / "MANIFEST.tsv").is_file():
        pytest.skip(f"real data: no folder {folder.name!r} beside this checkout (set SMALTI_REALDATA)")
    return folder
