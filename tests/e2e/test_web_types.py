"""The pages' types against the server's own description: no field that the pages read may be unknown to it."""

import json
import re
import urllib.request
from pathlib import Path

import pytest
from tests.e2e.scene import TOKEN

pytestmark = pytest.mark.e2e

TYPES = Path(__file__).resolve().parents[2] / "web" / "src" / "lib" / "types.ts"
SAME = {
    "Me": "Me",
    "ApiKey": "KeyOut",
    "Project": "ProjectOut",
    "Dataset": "DatasetOut",
    "Version": "VersionOut",
    "SearchBody": "Search",
    "SourceHit": "SourceHit",
    "Hit": "Hit",
    "SearchPage": "SearchPage",
    "FrameOut": "FrameOut",
    "Binding": "Binding",
    "Completion": "Completion",
    "Parsed": "Parsed",
    "MaskInfo": "MaskOut",
    "LegendRow": "LegendRow",
    "Unmapped": "Unmapped",
    "Legend": "LegendOut",
    "VideoInfo": "VideoInfo",
    "StatisticsBody": "StatisticsRequest",
    "StatisticsRow": "StatisticsRow",
    "Statistics": "Statistics",
    "VersionDiff": "DiffOut",
    "MaskMove": "MaskMove",
    "DiffFrame": "DiffFrame",
    "Dataview": "ViewOut",
    "ViewPage": "ViewPage",
    "Explained": "Explained",
    "Job": "JobOut",
}
ELSEWHERE = {"ApiKey": {"secret_key"}}
"""Fields that another answer has: the secret comes once, with `KeyMade`."""


def fields_of(name: str) -> set[str]:
    """The names of an interface's own fields; what is nested deeper is indented further."""
    body = re.search(rf"^export interface {name} {{\n(.*?)^}}", TYPES.read_text(), re.DOTALL | re.MULTILINE)
    assert body is not None, f"types.ts has no interface {name}"
    return set(re.findall(r"^  (\w+)\??:", body[1], re.MULTILINE))


def test_the_server_knows_every_field_of_the_pages(origin: str) -> None:
    request = urllib.request.Request(f"{origin}/api/v1/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as answer:
        schemas = json.loads(answer.read())["components"]["schemas"]
    unknown = {}
    for ours, theirs in SAME.items():
        fields = fields_of(ours)
        assert fields, f"interface {ours} has no fields: the pattern of this test no longer fits"
        strange = fields - set(schemas[theirs]["properties"]) - ELSEWHERE.get(ours, set())
        if strange:
            unknown[ours] = sorted(strange)
    assert not unknown
