"""First edits: boxes, polygons, labels, undo, autosave, conflicts; a published version is left alone."""

import json
import re
import urllib.request
from typing import Any

import pytest
from tests.e2e.conftest import idle
from tests.e2e.scene import TOKEN, Scene
from tests.e2e.test_web_viewer import V1, V2, open_frame, to_stage

pytestmark = pytest.mark.e2e


def ask(origin: str, path: str, *, method: str = "GET", body: Any = None, etag: str = "") -> tuple[Any, str]:
    """The API, as a program of somebody else uses it: the answer and its ETag."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    if etag:
        headers["If-Match"] = etag
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{origin}/api/v1{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read()), answer.headers["ETag"]


def stored(origin: str, frame: str) -> tuple[list[dict[str, Any]], str, str]:
    """ROIs of a frame of v2 as the server has them, the frame's path and its ETag."""
    version, _ = ask(origin, "/datasets/street/versions/v2")
    path = f"/versions/{version['id']}/frames/{frame}"
    found, etag = ask(origin, path)
    return found["frame"]["rois"], path, etag


def drag(page: Any, start: tuple[float, float], stop: tuple[float, float]) -> None:
    page.mouse.move(*to_stage(page, *start))
    page.mouse.down()
    page.mouse.move(*to_stage(page, (start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2))
    page.mouse.move(*to_stage(page, *stop))
    page.mouse.up()


def saved(page: Any) -> None:
    page.locator("[data-save=clean]").wait_for()


def test_draw_move_reshape_undo_and_delete_a_box(page: Any, origin: str) -> None:
    before, _, _ = stored(origin, "street_00")
    open_frame(page, f"{V2}/frames/street_00")
    page.get_by_label("Label of new shapes").fill("bicycle")
    page.get_by_label("Label of new shapes").blur()
    page.keyboard.press("r")
    drag(page, (40, 20), (140, 90))
    number = len(before)
    page.locator(f"[data-roi='{number}']").wait_for(state="attached")
    page.locator("[data-save=dirty], [data-save=saving], [data-save=clean]").wait_for()
    saved(page)
    made = stored(origin, "street_00")[0][number]
    assert made["label"] == ["bicycle"]
    assert made["meta"]["_type"] == "b2d"
    assert made["poly"] == pytest.approx([40, 20, 140, 20, 140, 90, 40, 90], abs=1.01)

    page.keyboard.press("v")
    drag(page, (90, 55), (110, 65))
    saved(page)
    moved = stored(origin, "street_00")[0][number]["poly"]
    assert moved == pytest.approx([60, 30, 160, 30, 160, 100, 60, 100], abs=1.5)
    drag(page, (160, 100), (200, 120))
    saved(page)
    assert stored(origin, "street_00")[0][number]["poly"][4:6] == pytest.approx([200, 120], abs=1.5)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    saved(page)
    assert stored(origin, "street_00")[0][number]["poly"] == made["poly"]
    page.keyboard.press("Control+y")
    saved(page)
    assert stored(origin, "street_00")[0][number]["poly"] == moved
    page.locator(f"[data-object='{number}'] .object-name").click()
    page.keyboard.press("Delete")
    saved(page)
    assert stored(origin, "street_00")[0] == before


def test_draw_a_polygon_and_copy_it_to_the_next_frame(page: Any, origin: str) -> None:
    open_frame(page, f"{V2}/frames/street_01")
    count = len(stored(origin, "street_01")[0])
    page.keyboard.press("p")
    for x, y in [(300, 30), (360, 30), (340, 80)]:
        page.mouse.click(*to_stage(page, x, y))
    page.keyboard.press("Enter")
    saved(page)
    made = stored(origin, "street_01")[0][count]
    assert made["meta"]["_type"] == "p2d"
    assert made["poly"] == pytest.approx([300, 30, 360, 30, 340, 80], abs=1.01)
    page.locator(f"[data-object='{count}'].chosen").get_by_label("Add label").fill("sign")
    page.keyboard.press("Enter")
    saved(page)
    assert stored(origin, "street_01")[0][count]["label"] == ["sign"]
    page.locator(".viewer-top h1").click()
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("v")
    page.keyboard.press("Control+c")
    next_count = len(stored(origin, "street_02")[0])
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("/frames/street_02"))
    page.locator(".label-row").first.wait_for()
    page.keyboard.press("Control+v")
    saved(page)
    pasted = stored(origin, "street_02")[0][next_count]
    assert pasted["poly"] == made["poly"]
    assert pasted["label"] == ["sign"]


def test_metadata_is_edited_as_json(page: Any, origin: str) -> None:
    open_frame(page, f"{V2}/frames/street_05")
    details = page.get_by_label("Frame", exact=True)
    details.get_by_role("button", name="Edit").click()
    area = page.get_by_label("Frame metadata", exact=True).last
    area.fill("[1, 2]")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("alert").filter(has_text="must be an object").wait_for()
    area.fill('{"city": "Faenza", "hour": 3}')
    page.get_by_role("button", name="Apply").click()
    saved(page)
    _, path, _ = stored(origin, "street_05")
    assert ask(origin, path)[0]["frame"]["meta"] == {"city": "Faenza", "hour": 3}


def test_a_colour_is_chosen_for_the_dataset(page: Any, origin: str) -> None:
    open_frame(page, f"{V2}/frames/street_06")
    page.get_by_label("Colour of tree").fill("#ff8800")
    try:
        for _ in range(50):
            if ask(origin, "/datasets/street/label-colors")[0] == {"tree": "#ff8800"}:
                break
            page.wait_for_timeout(50)
        open_frame(page, f"{V2}/frames/street_05")
        idle(page)
        assert page.get_by_label("Colour of tree").input_value() == "#ff8800"
    finally:
        _, etag = ask(origin, "/datasets/street/label-colors")
        ask(origin, "/datasets/street/label-colors", method="PUT", body={}, etag=etag)


def test_a_published_version_stays_and_offers_a_draft(page: Any, scene: Scene) -> None:
    open_frame(page, f"{V1}/frames/street_00")
    assert page.get_by_role("button", name="Box (R)").is_disabled()
    rows = page.locator(".object").count()
    page.locator(".object-name").first.click()
    page.keyboard.press("Delete")
    assert page.locator(".object").count() == rows
    page.get_by_role("button", name="Create draft child to edit").click()
    page.get_by_label("Name of the draft").fill("from-viewer")
    page.get_by_role("button", name="Create and open").click()
    page.wait_for_url(re.compile("/versions/from-viewer/frames/street_00"))
    page.locator("[data-save=clean]").wait_for()
