"""The pages in headless Chromium: a label toggle on a large mask, and a grid of 100,000 frames while it is scrolled.

Needs Playwright, Chromium at /usr/bin/chromium and the built pages (`make web`), as `make test` has them.
"""

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bars import CANNOT_RUN, Bar, is_quick, save
from data import make_scene, scene_palette
from smalti import Legend
from smalti.store import open_store

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
STATIC = Path(__file__).resolve().parent.parent / "src" / "smalti" / "server" / "static"
TOKEN = "a-standing-token-for-benchmarks-only-01234"
STAGE_WH = (1116, 808)
MASK_HW = (2160, 4096)
FILES = 240

TOGGLE = """async (times) => {
    // The work of one toggle: what the click does at once, and what it leaves to the next frames.
    const stage = document.querySelector('.stage');
    const ask = window.requestAnimationFrame.bind(window);
    let spent = 0;
    window.requestAnimationFrame = (f) => ask((now) => {
        const start = performance.now();
        f(now);
        spent += performance.now() - start;
    });
    const work = [], wait = [];
    for (let i = 0; i < times; i++) {
        const rows = document.querySelectorAll('.label-row .label-name');
        const drawn = Number(stage.dataset.drawn);
        spent = 0;
        const start = performance.now();
        rows[i % rows.length].click();
        const sync = performance.now() - start;
        while (Number(stage.dataset.drawn) === drawn) await new Promise(ask);
        wait.push(performance.now() - start);
        await new Promise(ask);
        work.push(sync + spent);
    }
    return { work, wait, size: [stage.clientWidth, stage.clientHeight], backend: window.__backend };
}"""

SHOWN = """() => {
    // Whether a frame is shown at a height of the grid; the gap between two rows that are there counts as shown.
    window.__shown = (height) => {
        const grid = document.querySelector('.grid-scroll');
        const box = grid.getBoundingClientRect();
        const y = box.top + box.height * height;
        const row = [...grid.querySelectorAll('.grid-row')].find((row) => {
            const at = row.getBoundingClientRect();
            return y >= at.top - 12 && y <= at.bottom + 12;
        });
        return Boolean(row) && !row.querySelector('.waiting');
    };
}"""

WATCH = """() => {
    // How long a row in sight shows no frame: looked at in every animation frame, at five heights of the grid.
    const heights = [0.1, 0.3, 0.5, 0.7, 0.9];
    const since = heights.map(() => null);
    window.__blank = { longest: 0, frames: 0, slowest: 0 };
    let last = performance.now();
    const look = (now) => {
        heights.forEach((height, i) => {
            if (window.__shown(height)) since[i] = null;
            else {
                since[i] ??= now;
                window.__blank.longest = Math.max(window.__blank.longest, now - since[i]);
            }
        });
        window.__blank.frames++;
        window.__blank.slowest = Math.max(window.__blank.slowest, now - last);
        last = now;
        window.__watch = requestAnimationFrame(look);
    };
    look(last);
}"""

SCROLL = """([ms, step]) => new Promise((done) => {
    const grid = document.querySelector('.grid-scroll');
    const end = performance.now() + ms;
    const move = (now) => {
        grid.scrollTop += step;
        if (now < end) requestAnimationFrame(move);
        else done(grid.scrollTop);
    };
    requestAnimationFrame(move);
})"""

JUMP = """async (share) => {
    const grid = document.querySelector('.grid-scroll');
    grid.scrollTop = share * (grid.scrollHeight - grid.clientHeight);
    const start = performance.now();
    await new Promise(requestAnimationFrame);
    while (!window.__shown(0.5) && performance.now() - start < 5000) await new Promise(requestAnimationFrame);
    return performance.now() - start;
}"""


def main() -> None:
    """Measure both pages, print and keep the bars."""
    quick = is_quick()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("pages: Playwright is missing (pip install -r requirements/test.txt)")
        raise SystemExit(CANNOT_RUN) from None
    if not CHROMIUM.exists() or not (STATIC / "index.html").exists():
        print(f"pages: needs {CHROMIUM} and the built pages (make web)")
        raise SystemExit(CANNOT_RUN)
    frames = 5_000 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="smalti-bench-pages-") as place, sync_playwright() as driver:
        folder = Path(place)
        write_store(folder, frames)
        with served(folder) as origin:
            browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
            toggled = toggle(browser, origin, 40 if quick else 200)
            grid = scroll(browser, origin, frames, quick=quick)
            browser.close()
    report(toggled, grid, frames, quick=quick)


def report(toggled: dict[str, Any], grid: dict[str, Any], frames: int, *, quick: bool) -> None:
    """The bars of the issue, and what lies around them."""
    width, height = toggled["size"]
    shown = f"{width}×{height} view, {toggled['backend']} renderer"
    save(
        "pages",
        "The pages in a browser",
        [
            Bar(
                f"label toggle on a 4096×2160 mask, {shown}",
                statistics.median(toggled["work"]),
                must=8,
                at_least=False,
                unit="ms",
            ),
            Bar("the same, 95th percentile", float(np.percentile(toggled["work"], 95)), at_least=False, unit="ms"),
            Bar(
                "the same, from the click until it is drawn, waiting for the screen included",
                statistics.median(toggled["wait"]),
                at_least=False,
                unit="ms",
            ),
            Bar(
                f"grid of {frames:,} frames, from the address to the first rows",
                statistics.median(grid["rows_ms"]),
                must=1000,
                at_least=False,
                unit="ms",
                decimals=0,
                note=f"the very first time {grid['first_rows_ms']:.0f} ms",
            ),
            Bar(
                "the same, until every thumbnail in sight is drawn",
                statistics.median(grid["pictures_ms"]),
                at_least=False,
                unit="ms",
                decimals=0,
            ),
            Bar(
                "longest time that a row in sight is blank, scrolling through it and jumping about",
                max(grid["longest_blank_ms"], grid["longest_jump_ms"]),
                must=200,
                at_least=False,
                unit="ms",
                decimals=0,
                note=f"scrolling {grid['longest_blank_ms']:.0f} ms, after a jump {grid['longest_jump_ms']:.0f} ms",
            ),
            Bar("animation frames a second while scrolling", grid["fps"], unit="/s", decimals=0),
        ],
        quick=quick,
        about="Headless Chromium without a GPU, the server on the same cores. Scrolling moves by a row in each animation frame.",
        grid=grid,
    )


# ------------------------------------------------------------------------------------------------- what is looked at
def write_store(folder: Path, frames: int) -> None:
    """A dataset with one large frame, and one with many frames that share a few hundred files."""
    files = folder / "files"
    files.mkdir()
    palette = scene_palette()
    legend = Legend({(int(r), int(g), int(b)): f"label{i}" for i, (r, g, b) in enumerate(palette.tolist())})
    _write_pair(files, "large", MASK_HW, palette, 1)
    for number in range(FILES):
        _write_pair(files, f"f{number}", (270, 480), palette, number)
    store = open_store(folder / "store")
    large = store.create_dataset("large").create_version("v1")
    large.set_masks_labels({"seg": legend})
    large.add_frames([_frame("large", files / "large", MASK_HW, 0)])
    many = store.create_dataset("many").create_version("v1")
    many.set_masks_labels({"seg": legend})
    for start in range(0, frames, 10_000):
        numbers = range(start, min(frames, start + 10_000))
        many.add_frames([_frame(f"f{n:06d}", files / f"f{n % FILES}", (270, 480), n * 40) for n in numbers])
    store.close()


def _write_pair(files: Path, name: str, size_hw: tuple[int, int], palette: np.ndarray, seed: int) -> None:
    labels = make_scene(*size_hw, seed=seed)
    colors = palette[labels]
    Image.fromarray(colors).save(files / f"{name}.png", compress_level=1)
    Image.fromarray((colors // 2 + 60).astype(np.uint8)).save(files / f"{name}.jpg", quality=85)


def _frame(name: str, path: Path, size_hw: tuple[int, int], at_ms: int) -> dict[str, Any]:
    source = {
        "id": "front",
        "uri": f"{path}.jpg",
        "content_type": "image/jpeg",
        "width": size_hw[1],
        "height": size_hw[0],
        "masks": [{"id": "seg", "uri": f"{path}.png", "content_type": "image/png"}],
    }
    box = [20, 20, 80, 20, 80, 60, 20, 60]
    rois = [{"label": ["label1"], "poly": box, "sources": ["front"], "meta": {"_type": "b2d"}}]
    return {"id": name, "context_id": "drive", "timestamp": at_ms, "sources": [source], "rois": rois}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`smalti serve` on a free port; gives its origin."""
    command = [sys.executable, "-c", "from smalti.cli.serve import serve; serve()", str(folder / "store")]
    command += ["--port", "0", "--no-browser", "--token", TOKEN, "--allow-root", str(folder / "files")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            found = next((m for line in process.stdout or [] if (m := re.search(r"(http://[^/\s]+)", line))), None)
            if found is None:
                raise SystemExit("the server did not start")
            yield found[1]
        finally:
            process.terminate()


# -------------------------------------------------------------------------------------------------------- the pages
def open_page(browser: Any, origin: str, size_wh: tuple[int, int]) -> Any:
    """A page that is logged in."""
    page = browser.new_context(viewport={"width": size_wh[0], "height": size_wh[1]}, base_url=origin).new_page()
    page.goto(f"/?token={TOKEN}")
    page.wait_for_url("**/datasets")
    return page


def toggle(browser: Any, origin: str, times: int) -> dict[str, Any]:
    """Click through the labels of the large mask, the stage at the size of the bar."""
    page = open_page(browser, origin, (1472, 900))
    page.goto("/datasets/large/versions/v1/frames/large")
    page.locator(".stage[data-state=ready]").wait_for()
    page.locator(".label-row").first.wait_for()
    width, height = page.evaluate("() => [document.querySelector('.stage').clientWidth, "
                                  "document.querySelector('.stage').clientHeight]")  # fmt: skip
    page.set_viewport_size({"width": 1472 + STAGE_WH[0] - width, "height": 900 + STAGE_WH[1] - height})
    page.wait_for_timeout(500)
    found: dict[str, Any] = page.evaluate(TOGGLE, times)
    page.context.close()
    return found


def scroll(browser: Any, origin: str, frames: int, *, quick: bool) -> dict[str, Any]:
    """Open the grid a few times, then scroll through it and jump about in it."""
    page = open_page(browser, origin, (1472, 900))
    rows_ms: list[float] = []
    pictures_ms: list[float] = []
    for _ in range(2 if quick else 6):
        page.goto("about:blank")
        page.goto(f"{origin}/datasets/many/versions/v1", wait_until="commit")
        page.locator(".thumb:not(.waiting)").first.wait_for()
        rows_ms.append(page.evaluate("() => performance.now()"))
        page.locator("[data-thumb=asked]").first.wait_for(state="detached")
        pictures_ms.append(page.evaluate("() => performance.now()"))
    page.locator(".total", has_text=f"{frames:,} of").wait_for()
    page.evaluate(SHOWN)
    page.evaluate(WATCH)
    seconds = 3 if quick else 15
    reached = page.evaluate(SCROLL, [seconds * 1000, 190])
    watched = page.evaluate("() => { cancelAnimationFrame(window.__watch); return window.__blank; }")
    random = np.random.default_rng(3)
    jumps = [page.evaluate(JUMP, float(share)) for share in random.random(6 if quick else 30)]
    page.context.close()
    return {
        "first_rows_ms": rows_ms[0],
        "rows_ms": rows_ms[1:],
        "pictures_ms": pictures_ms[1:],
        "longest_blank_ms": watched["longest"],
        "fps": watched["frames"] / seconds,
        "slowest_frame_ms": watched["slowest"],
        "scrolled_px": reached,
        "jumps_ms": jumps,
        "longest_jump_ms": max(jumps),
    }


if __name__ == "__main__":
    main()
