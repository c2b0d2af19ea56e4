"""Chromium on a server with the demo's street. A CSP violation or an error of a page fails the test that caused it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hatch_web import build_web
from tests.e2e.scene import TOKEN, Scene, build_store, served

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]


def idle(page: Any, quiet_ms: int = 120) -> None:
    """Wait until the page has asked for nothing for a moment. The stream of changes stays open and does not count."""
    page.evaluate(
        """(quiet) => new Promise((done) => {
            const started = performance.now();
            const look = () => {
                const ends = performance.getEntriesByType('resource').map((e) => e.responseEnd);
                const last = Math.max(started, ...ends);
                const waits = document.querySelector('[data-thumb=asked], .thumb.waiting, .spinner');
                const counts = [...document.querySelectorAll('.total')].some((e) => e.textContent === '…');
                const drawn = performance.now() - last > quiet && document.readyState === 'complete';
                if (drawn && (!(waits || counts) || performance.now() - last > 3000)) done();
                else setTimeout(look, 20);
            };
            look();
        })""",
        quiet_ms,
    )


@pytest.fixture(scope="session")
def bundle() -> None:
    """The viewer, built from what lies in web/ now."""
    if not build_web(ROOT):
        pytest.skip("the web bundle cannot be built here (node 22 or later, npm and its registry are needed)")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return build_store(tmp_path_factory.mktemp("street"))


@pytest.fixture(scope="session")
def origin(bundle: None, scene: Scene) -> Iterator[str]:
    with served(scene) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if shutil.which(CHROMIUM) is None:
        pytest.skip("no Chromium at /usr/bin/chromium (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def session_state(browser: Any, origin: str) -> Any:
    """The cookie of one login, for all pages that do not log out."""
    context = browser.new_context(base_url=origin)
    context.new_page().goto(f"/?token={TOKEN}")
    found = context.storage_state()
    context.close()
    return found


@pytest.fixture
def new_page(browser: Any, origin: str, session_state: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages that are logged in; checks at the end that none complained, CSP violations included.

    `own_session` logs in anew, `allowed` names complaints that belong to the test.
    """
    complaints: list[str] = []
    contexts = []

    def make(*, own_session: bool = False, allowed: tuple[str, ...] = (), **options: Any) -> Any:
        state = None if own_session else session_state
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, base_url=origin, storage_state=state, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)

        def note(kind: str, text: str) -> None:
            if not any(part in text for part in allowed):
                complaints.append(f"{kind}: {text}")

        page.on("console", lambda m: note(m.type, m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: note("uncaught", str(e)))
        if own_session:
            page.goto(f"/?token={TOKEN}")
            page.wait_for_url("**/datasets")
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints, "the page complained:\n" + "\n".join(complaints)


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    return new_page()
