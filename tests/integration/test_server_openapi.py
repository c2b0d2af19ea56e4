"""The API's description: true of every route, and every route keeps to it under requests that nobody thought of."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from tests.serving import API, BASE, Site, make_store, site

from smalti.server.app import Server, create_app
from smalti.server.settings import Settings

TOKEN = "t" * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed")
    make_store(folder, 3).close()
    return folder


def document(folder: Path) -> tuple[Server, dict[str, Any]]:
    server = create_app(Settings(store=str(folder), token=TOKEN, thumbs=folder / "thumbs"))
    with site(folder) as found:
        return server, found.client.get(f"{API}/openapi.json").json()


def test_it_says_what_frames_are(tmp_path: Path) -> None:
    make_store(tmp_path, 1).close()
    with site(tmp_path, log_in=False) as found:
        described = found.client.get(f"{API}/openapi.json").json()
    schemas = described["components"]["schemas"]
    assert {"Frame", "Source", "Mask", "Roi", "RoiMask", "Preview", "LegendOut", "Problem"} <= set(schemas)
    assert set(schemas["Frame"]["properties"]) == {
        "sources",
        "id",
        "context_id",
        "timestamp",
        "rois",
        "meta",
        "meta_blob",
        "blob",
    }
    assert "oneOf" not in str(described)
    undocumented = [
        (path, method)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if not operation.get("description") or "default" not in operation["responses"]
    ]
    assert undocumented == []


# Streams that never end, and what would log the fuzzer out, stay out of its hands.
_LEFT_OUT = ("/events", "/auth/")


def names(server: Server) -> dict[str, str]:
    """Real things to ask for; ids, because requests may rename them."""
    street = server.service.store["street"]
    own = {"dataset": street.id, "version": street["v2"].id, "other": street["v1"].id}
    return {**own, "frame": "f0", "source": "front", "mask": "seg"}


def test_random_requests_find_no_crash(folder: Path) -> None:
    server, described = document(folder)
    described["paths"] = {p: o for p, o in described["paths"].items() if not any(x in p for x in _LEFT_OUT)}
    schema = schemathesis.openapi.from_dict(described)
    schema.app = server
    schema.location = f"{API}/openapi.json"
    real = names(server)
    failures: list[str] = []
    statuses: Counter[int] = Counter()
    for operation in schema.get_all_operations():
        case_of = operation.ok().as_strategy()

        @settings(
            max_examples=6,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=case_of)
        def run(case: schemathesis.Case) -> None:
            headers = {"Authorization": f"Bearer {TOKEN}", "Host": "127.0.0.1:8080"}
            path = str(case.path)
            if case.method != "DELETE" and "publish" not in path:
                # Most random names lead nowhere: real ones let the rest of the request matter.
                case.path_parameters = {name: real.get(name, value) for name, value in case.path_parameters.items()}
                headers["If-Match"] = "*"
            answer = case.call(base_url=BASE, headers=headers)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500 or answer.status_code in (501, 502, 503), answer.text[:300]
            case.validate_response(answer, checks=[response_schema_conformance, content_type_conformance])

        try:
            run()
        except (AssertionError, FailureGroup) as error:
            failures.append(f"{operation.ok().label}: {str(error)[:600]}")
    assert failures == []
    assert statuses[200] > 150, f"the requests hardly reach anything: {statuses}"


def test_a_site_is_described_without_a_login(tmp_path: Path) -> None:
    make_store(tmp_path, 1).close()
    with site(tmp_path, log_in=False) as found:
        assert isinstance(found, Site)
        answer = found.client.get(f"{API}/openapi.json")
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    assert answer.json()["openapi"].startswith("3.1")
