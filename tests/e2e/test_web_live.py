"""What others change shows by itself; what is not saved is never lost by it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.proxy import proxied
from tests.e2e.scene import TOKEN, Scene, served
from tests.e2e.test_web_edit import ask, drag, saved, stored
from tests.e2e.test_web_viewer import V1, V2, open_frame

pytestmark = pytest.mark.e2e

FRAME_LABEL = "[aria-label='Frame labels'] .chip"


def edit(origin: str, frame: str, label: str) -> None:
    """Somebody else gives a frame of v2 a label."""
    rois, path, etag = stored(origin, frame)
    theirs = [*rois, {"label": [label], "meta": {"_type": "im"}}]
    ask(origin, path, method="PATCH", body={"rois": theirs}, etag=etag)


def test_lists_and_frames_follow_what_others_change(page: Any, origin: str) -> None:
    page.goto("/datasets")
    page.get_by_role("link", name="street").wait_for()
    made, etag = ask(origin, "/datasets", method="POST", body={"name": "made-elsewhere", "version": "v1"})
    page.get_by_role("link", name="made-elsewhere").wait_for()
    ask(origin, f"/datasets/{made['id']}?force=true", method="DELETE", etag=etag)
    page.get_by_role("link", name="made-elsewhere").wait_for(state="detached")
    open_frame(page, f"{V2}/frames/street_06")
    edit(origin, "street_06", "seen-at-once")
    page.locator(FRAME_LABEL, has_text="seen-at-once").wait_for()
    page.locator(".toast", has_text="changed this frame").wait_for()
    assert page.locator(".banner.bad").count() == 0


def test_unsaved_edits_outlive_what_others_do_and_become_a_copy(new_page: Callable[..., Any], origin: str) -> None:
    page = new_page(allowed=("ERR_FAILED", "404"))
    open_frame(page, f"{V2}/frames/street_04")
    page.route("**/frames/street_04", lambda r: r.abort() if r.request.method == "PATCH" else r.continue_())
    page.keyboard.press("r")
    drag(page, (10, 10), (60, 60))
    page.locator("[data-save=error]").wait_for()
    number = page.locator("[data-roi]").last.get_attribute("data-roi")
    edit(origin, "street_04", "theirs")
    page.locator(".banner.bad").wait_for()
    assert page.locator(f"[data-roi='{number}']").count() == 1, "the edit is still there"
    # Leaving asks; staying keeps everything
    with page.expect_event("dialog") as asked:
        page.evaluate("() => { setTimeout(() => location.reload()) }")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    page.unroute("**/frames/street_04")
    page.get_by_role("button", name="Save mine as a copy").click()
    page.wait_for_url(re.compile("/frames/street_04-copy"))
    saved(page)
    mine, path, etag = stored(origin, "street_04-copy")
    theirs = stored(origin, "street_04")[0]
    assert [roi["label"] for roi in theirs if roi.get("label") == ["theirs"]] == [["theirs"]]
    assert mine[int(number)]["poly"] == pytest.approx([10, 10, 60, 10, 60, 60, 10, 60], abs=1.01)
    assert len(mine) == len(theirs)
    ask(origin, path, method="DELETE", etag=etag)
    page.locator(".banner.bad", has_text="deleted this frame").wait_for()


def test_without_the_stream_it_says_so_and_a_conflict_is_still_found(new_page: Callable[..., Any], origin: str) -> None:
    page = new_page(allowed=("412", "ERR_FAILED"))
    page.route("**/api/v1/events*", lambda r: r.abort())
    open_frame(page, f"{V2}/frames/street_05")
    page.locator(".viewer .offline").wait_for()
    edit(origin, "street_05", "first")
    page.keyboard.press("r")
    drag(page, (10, 10), (60, 60))
    page.locator(".banner.bad").wait_for()
    page.get_by_role("button", name="Reload theirs").click()
    page.locator(".banner.bad").wait_for(state="detached")
    page.locator(FRAME_LABEL, has_text="first").wait_for()
    drag(page, (20, 20), (80, 80))
    saved(page)
    page.keyboard.press("Control+z")
    saved(page)
    page.unroute("**/api/v1/events*")
    page.locator(".viewer .offline").wait_for(state="detached")


def test_chosen_colours_reach_the_thumbnails_that_somebody_looks_at(page: Any, origin: str, scene: Scene) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{V1}?overlay=masks&q=id:street_00")
    canvas = page.locator("canvas[data-thumb=drawn]").first
    canvas.wait_for()
    labels = scene.labels("street_00")
    y, x = next(
        (int(y), int(x))
        for y, x in zip(*((labels == 3).nonzero()), strict=True)
        if (labels[y - 3 : y + 4, x - 3 : x + 4] == 3).all()
    )
    place = [(x + 0.5) / labels.shape[1], (y + 0.5) / labels.shape[0]]
    pixel = "(c, [x, y]) => [...c.getContext('2d').getImageData(Math.floor(x * c.width), Math.floor(y * c.height), 1, 1).data]"
    before = canvas.evaluate(pixel, place)
    _, etag = ask(origin, "/datasets/street/label-colors")
    ask(origin, "/datasets/street/label-colors", method="PUT", body={"tree": "#ff0000"}, etag=etag)
    try:
        page.wait_for_timeout(50)
        for _ in range(60):
            after = canvas.evaluate(pixel, place)
            if after != before:
                break
            page.wait_for_timeout(50)
        assert after[0] > before[0] + 60, (before, after)
        assert after[1] < before[1]
    finally:
        _, etag = ask(origin, "/datasets/street/label-colors")
        ask(origin, "/datasets/street/label-colors", method="PUT", body={}, etag=etag)
    assert not [url for url in asked if "overlay=" in url and "/api/" in url], "the server never colours"


def test_below_a_prefix_behind_a_proxy(browser: Any, bundle: None, scene: Scene) -> None:
    complaints: list[str] = []
    with served(scene, prefix="/tools/smalti") as behind, proxied(behind, "/tools/smalti") as front:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=front)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.goto(f"/tools/smalti/?token={TOKEN}")
        page.wait_for_url("**/tools/smalti/datasets")
        page.get_by_role("link", name="street").click()
        page.wait_for_url("**/tools/smalti/datasets/street")
        page.goto(f"/tools/smalti{V1}")
        page.locator("canvas[data-thumb=drawn]").first.wait_for()
        page.get_by_role("button", name="Open frame street_03").click()
        page.locator(".stage[data-state=ready]").wait_for()
        page.locator(".label-row").first.wait_for()
        page.wait_for_url(re.compile("/tools/smalti/datasets/street/versions/v1/frames/street_03"))
        # The stream of changes comes through as well
        ask(f"{behind}/tools/smalti", "/datasets", method="POST", body={"name": "behind-a-proxy"})
        page.goto("/tools/smalti/datasets")
        page.get_by_role("link", name="behind-a-proxy").wait_for()
        found, etag = ask(f"{behind}/tools/smalti", "/datasets/behind-a-proxy")
        ask(f"{behind}/tools/smalti", f"/datasets/{found['id']}?force=true", method="DELETE", etag=etag)
        page.get_by_role("link", name="behind-a-proxy").wait_for(state="detached")
        context.close()
    assert not complaints
