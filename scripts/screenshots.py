"""Pictures of every page for docs/images/: demo data only, light and dark, 1280 and 390 pixels wide.

    python scripts/screenshots.py [FOLDER] [NAME ...]

Needs Chromium at /usr/bin/chromium, Playwright, and the built viewer.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.e2e.conftest import CHROMIUM, FLAGS, idle  # noqa: E402 - the path is set above
from tests.e2e.scene import TOKEN, build_store, served  # noqa: E402

V1, V2 = "/datasets/street/versions/v1", "/datasets/street/versions/v2"
PAGES = {
    "datasets": "/datasets",
    "projects": "/datasets?view=project",
    "frames": V1,
    "frames-table": f"{V1}?grid=table",
    "filters": V1,
    "similar": f"{V1}?like=street_04",
    "statistics": f"{V1}?tab=statistics",
    "metadata": f"{V2}?tab=metadata",
    "info": f"{V1}?tab=info",
    "report": f"{V1}?tab=report",
    "viewer": f"{V1}/frames/mixed?roi=9",
    "viewer-edit": f"{V2}/frames/street_01?roi=10",
    "viewer-clip": f"{V1}/frames/clip?t=1400",
    "viewer-play": f"{V1}/frames/clip?t=1000",
    "viewer-keys": f"{V1}/frames/street_04",
    "viewer-conflict": "/datasets/parking/versions/v1/frames/street_02",
    "viewer-group": f"{V1}/frames/rig%2F0001?src=*",
    "viewer-zoom": f"{V1}/frames/mixed?masks=seg:0.5,glow:0.8&view=6,430,170",
    "viewer-classes": "",
    "compare": "",
    "dataviews": "/dataviews",
    "dataview": "",
    "settings": "/settings",
    "login": "/login",
}
SCHEMES = ("light", "dark")
SIZES = {1280: 800, 390: 844}


def prepare(page: Any) -> dict[str, str]:
    """What has no fixed address: a comparison and a view."""
    found: list[str] = page.evaluate(
        """async () => {
            const get = async (path, body) => (await fetch('/api/v1' + path, body && {
                method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})).json();
            const [a, b] = await get('/datasets/street/versions');
            const views = await get('/dataviews');
            const view = views.items?.[0] ?? views[0] ?? await get('/dataviews', {name: 'cars and people', spec: {
                versions: [{dataset: a.dataset, version: a.id}],
                filters: [{label_rules: [{label: 'car'}]}],
                labels_enumeration: {car: 0, person: 1, road: 2},
                iteration: {order: 'random', random_seed: 7}}});
            return [`/compare?a=${a.id}&b=${b.id}`, `/dataviews/${view.id}`, view.id];
        }"""
    )
    by_class = f"{V1}/frames/street_04?dataview={found[2]}&rows=classes"
    return {**PAGES, "compare": found[0], "dataview": found[1], "viewer-classes": by_class}


def touch(page: Any, name: str) -> None:
    """What a page needs beyond its address to show what it is about."""
    if name == "filters":
        page.get_by_role("button", name="Filters", exact=True).click()
        page.locator(".drawer").get_by_role("button", name="ROI").click()
        page.locator(".drawer").get_by_role("button", name="Mask").click()
        page.get_by_label("ROI label").fill("car")
        page.get_by_label("Mask label").fill("person")
        page.get_by_label("area, %, at least").fill("0.5")
    elif name == "compare":
        page.get_by_role("button", name="What changed").first.click()
    elif name == "viewer-play":
        page.get_by_role("button", name="Play a preview with masks").click()
        page.wait_for_timeout(700)
    elif name == "viewer-keys" and page.viewport_size["width"] > 600:
        page.keyboard.press("?")
    elif name == "viewer-conflict":
        conflict(page)
    elif name in ("viewer", "viewer-classes") and page.viewport_size["width"] > 600:
        page.mouse.move(420, 560)


def conflict(page: Any) -> None:
    """Somebody else changes the frame while something of ours is not saved."""
    page.route("**/frames/street_02", lambda r: r.abort() if r.request.method == "PATCH" else r.continue_())
    page.locator(".object-name").first.click()
    page.get_by_role("spinbutton").first.fill("0.5")
    page.keyboard.press("Tab")
    page.locator("[data-save=error]").wait_for()
    page.unroute("**/frames/street_02")
    page.evaluate(
        """async () => {
            const versions = await (await fetch('/api/v1/datasets/parking/versions')).json();
            const path = `/api/v1/versions/${versions[0].id}/frames/street_02`;
            const now = await fetch(path);
            const body = await now.json();
            await fetch(path, {method: 'PATCH', body: JSON.stringify({meta: {...body.frame.meta, seen: Date.now()}}),
                headers: {'Content-Type': 'application/json', 'If-Match': now.headers.get('ETag')}});
        }"""
    )
    page.locator(".banner.bad").wait_for()


def shoot(browser: Any, origin: str, folder: Path, wanted: list[str]) -> None:
    """Every wanted page in both schemes and sizes."""
    for scheme in SCHEMES:
        for width, height in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, base_url=origin
            )
            page = context.new_page()
            page.goto(f"/?token={TOKEN}")
            pages = prepare(page)
            for name in wanted or list(pages):
                page.goto(pages[name])
                idle(page)
                touch(page, name)
                idle(page)
                page.wait_for_timeout(250)
                save(page.screenshot(), folder / f"{name}-{scheme}-{width}.png")
            context.close()


def save(png: bytes, path: Path) -> None:
    """Lossless: a palette would change the very colours that the pages are about."""
    from PIL import Image

    Image.open(io.BytesIO(png)).convert("RGB").save(path, optimize=True)


def main() -> None:
    """Make the demo, serve it, take the pictures."""
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    # The folder's name is seen in some pictures: one that says nothing of this machine, and is the same every time.
    place = Path(tempfile.gettempdir()) / "smalti-pictures"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        scene = build_store(place)
        with served(scene) as origin, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            shoot(browser, origin, folder, sys.argv[2:])
            browser.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
