"""The frame viewer shows what is in the arrays: indices, labels under the pointer, colours of known pixels."""

import re
from typing import Any

import numpy as np
import pytest
from tests.e2e.scene import STRANGE_COLOR, Scene

from smalti.demo import LEGEND

pytestmark = pytest.mark.e2e

V1 = "/datasets/street/versions/v1"
V2 = "/datasets/street/versions/v2"


def open_frame(page: Any, path: str, wait: str = ".label-row") -> None:
    page.goto(path)
    page.locator(".stage[data-state=ready]").wait_for()
    page.locator(wait).first.wait_for()


def to_stage(page: Any, x: float, y: float) -> tuple[float, float]:
    """The place on the page of a point of the image."""
    found = page.locator(".world").evaluate(
        """(world, [x, y]) => {
            const m = new DOMMatrix(getComputedStyle(world).transform);
            const box = world.parentElement.getBoundingClientRect();
            return [box.left + m.e + x * m.a, box.top + m.f + y * m.d];
        }""",
        [x, y],
    )
    return float(found[0]), float(found[1])


def mask_pixel(page: Any, x: float, y: float) -> list[int]:
    """RGBA of the mask canvas over a point of the image."""
    left, top = to_stage(page, x, y)
    found: list[int] = page.locator("canvas[data-layer=masks]").evaluate(
        """(canvas, [x, y]) => {
            const box = canvas.getBoundingClientRect();
            const ratio = canvas.width / box.width;
            const at = [Math.floor((x - box.left) * ratio), Math.floor((y - box.top) * ratio)];
            return [...canvas.getContext('2d').getImageData(at[0], at[1], 1, 1).data];
        }""",
        [left, top],
    )
    return found


def settle(page: Any) -> None:
    """Two animation frames: what was asked to be drawn is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def samples(labels: np.ndarray, per_label: int = 2) -> list[tuple[int, int, int]]:
    """(x, y, index) of pixels whose neighbours have the same label, some for each label."""
    same = np.ones(labels.shape, bool)
    for dy, dx in [(0, 1), (1, 0), (0, -1), (-1, 0)]:
        same &= np.roll(labels, (dy, dx), (0, 1)) == labels
    same[[0, -1]] = same[:, [0, -1]] = False
    random = np.random.default_rng(4)
    found = []
    for index in np.unique(labels[same]).tolist():
        ys, xs = np.nonzero(same & (labels == index))
        for pick in random.integers(0, len(xs), per_label):
            found.append((int(xs[pick]), int(ys[pick]), index))
    return found


def test_index_map_in_the_browser_is_the_array(page: Any, scene: Scene) -> None:
    labels = scene.labels("street_02")
    page.goto("/datasets")
    open_frame(page, f"{V1}/frames/street_02")
    found = page.evaluate(
        """async () => {
            const version = await (await fetch('/api/v1/datasets/street/versions/v1')).json();
            const url = `/api/v1/versions/${version.id}/frames/street_02/sources/default/masks/seg/index`;
            const answer = await fetch(url);
            const data = new Uint8Array(await answer.arrayBuffer());
            const counts = new Array(256).fill(0);
            let weighted = 0;
            data.forEach((value, at) => { counts[value]++; weighted += value * (at % 8191); });
            return [answer.headers.get('X-Mask-Width'), answer.headers.get('X-Mask-Height'), counts, weighted];
        }"""
    )
    flat = labels.ravel().astype(np.int64)
    assert (int(found[0]), int(found[1])) == (labels.shape[1], labels.shape[0])
    assert found[2] == np.bincount(flat, minlength=256).tolist()
    assert found[3] == int((flat * (np.arange(flat.size) % 8191)).sum())


def test_label_value_and_place_under_the_pointer(page: Any, scene: Scene) -> None:
    labels = scene.labels("street_00")
    open_frame(page, f"{V1}/frames/street_00")
    page.keyboard.press("Shift+N")
    for x, y, index in samples(labels):
        page.mouse.move(*to_stage(page, x + 0.5, y + 0.5))
        chip = page.locator(".hover-chip")
        entry = LEGEND.entries[index - 1]
        row = chip.locator("[data-mask=seg]")
        assert row.locator("b").inner_text() == ", ".join(entry.labels)
        assert row.locator("code").inner_text() == ",".join(map(str, entry.color or ()))
        assert chip.locator("> .mono").inner_text() == f"{x}, {y}"


@pytest.mark.parametrize("view", ["", "&view=4,300,180", "&view=0.6,320,180"])
def test_known_pixels_have_the_colour_of_their_label(page: Any, scene: Scene, view: str) -> None:
    open_frame(page, f"{V1}/frames/street_00?masks=seg:1,objects:-{view}")
    settle(page)
    labels = scene.labels("street_00")
    if view.startswith("&view=4"):
        labels = labels.copy()
        labels[:, :200] = labels[:, 400:] = 0  # out of sight
        labels[:100] = labels[260:] = 0
    for x, y, index in samples(labels):
        if index:
            expected = [*(LEGEND.entries[index - 1].color or ()), 255]
            assert mask_pixel(page, x + 0.5, y + 0.5) == expected, (x, y)


def test_pixels_per_label_are_those_of_the_mask(page: Any, scene: Scene) -> None:
    open_frame(page, f"{V1}/frames/street_05")
    counts = np.bincount(scene.labels("street_05").ravel(), minlength=len(LEGEND) + 1)
    for index, entry in enumerate(LEGEND, 1):
        if counts[index]:
            row = page.locator(f".label-row[data-index='{index}']")
            assert row.locator(".ellipsis").inner_text() == ", ".join(entry.labels)
            assert row.locator(".num").get_attribute("title") == f"{counts[index]:,} px"


def test_hide_one_label_show_one_alone_and_the_address_keeps_it(page: Any, scene: Scene) -> None:
    labels = scene.labels("street_00")
    places = {index: (x + 0.5, y + 0.5) for x, y, index in samples(labels, 1)}
    road, sky = 4, 1
    open_frame(page, f"{V1}/frames/street_00?masks=seg:1,objects:-")
    page.locator(f".label-row[data-index='{road}'] .label-name").click()
    page.mouse.move(5, 5)
    settle(page)
    assert mask_pixel(page, *places[road])[3] == 0
    assert mask_pixel(page, *places[sky])[3] == 255
    page.wait_for_url(re.compile(r"hide=seg:road"))
    page.reload()
    page.locator(f".label-row[data-index='{road}'].off").wait_for()
    settle(page)
    assert mask_pixel(page, *places[road])[3] == 0
    page.locator(f".label-row[data-index='{road}'] .label-name").click(modifiers=["Alt"])
    page.mouse.move(5, 5)
    settle(page)
    assert mask_pixel(page, *places[road])[3] == 255
    assert mask_pixel(page, *places[sky])[3] == 0


def test_unmapped_pixels_are_listed_and_lit_up(page: Any) -> None:
    open_frame(page, f"{V1}/frames/mixed")
    value = ",".join(map(str, STRANGE_COLOR))
    assert page.locator(".strangers li").first.inner_text().replace("\u00a0", " ").strip().startswith(value)
    assert "3,200 px unmapped" in page.locator(".strange label").inner_text()
    settle(page)
    assert mask_pixel(page, 70.5, 40.5)[3] == 0
    page.locator(".strange input").check()
    settle(page)
    assert mask_pixel(page, 70.5, 40.5)[:3] == [255, 0, 200]


def test_alpha_masks_show_opacity(page: Any) -> None:
    open_frame(page, f"{V1}/frames/mixed?masks=seg:-,glow:1", "[data-mask=glow] input[type=color]")
    page.keyboard.press("Shift+N")
    settle(page)
    middle = mask_pixel(page, 420.5, 150.5)
    assert middle[3] >= 250
    page.mouse.move(*to_stage(page, 420.5, 150.5))
    assert page.locator(".hover-chip b").inner_text() in ("100.0 %", "99.6 %")
    assert mask_pixel(page, 20.5, 340.5)[3] == 0


def test_masks_without_a_picture_are_shown_at_their_own_size(page: Any, scene: Scene) -> None:
    def without_picture(route: Any) -> None:
        answer = route.fetch()
        found = answer.json()
        found["frame"]["sources"][0] |= {"uri": "", "width": None, "height": None}
        route.fulfill(response=answer, json=found)

    page.route("**/frames/street_03", without_picture)
    open_frame(page, f"{V1}/frames/street_03?masks=seg:1,objects:-")
    assert page.locator(".stage-note").text_content() == "This frame has masks, but names no picture"
    height, width = scene.labels("street_03").shape
    shown = page.locator(".world svg").get_attribute("viewBox")
    assert shown == f"0 0 {width} {height}"
    x, y, index = samples(scene.labels("street_03"), 1)[0]
    settle(page)
    assert mask_pixel(page, x + 0.5, y + 0.5)[:3] == list(LEGEND.entries[index - 1].color or ())


def test_lossy_masks_say_how_they_were_read(page: Any) -> None:
    open_frame(page, f"{V1}/frames/clip")
    chips = page.locator(".how .chip").all_inner_texts()
    assert chips[0] == "repair"
    assert any(re.fullmatch(r"repaired \d+\.\d %", chip) for chip in chips)
    assert "h264" in chips


def test_a_clip_is_stepped_by_presentation_times(page: Any) -> None:
    open_frame(page, f"{V1}/frames/clip")
    scrubber = page.locator(".scrubber")
    scrubber.wait_for()
    assert scrubber.get_attribute("data-pts") == "1000.000"
    for steps, at in [(1, "1066.667"), (2, "1133.333")]:
        page.keyboard.press(".")
        page.locator(f".scrubber[data-pts='{at}']").wait_for()
        page.wait_for_url(re.compile(rf"t={at[:6]}"))
        assert page.locator(".scrubber .chip.warn").count() == 0, f"after {steps} steps the mask lags behind"
    page.keyboard.press(",")
    page.locator(".scrubber[data-pts='1066.667']").wait_for()


def test_a_group_shows_all_sources_or_one(page: Any) -> None:
    page.goto(f"{V1}/frames/rig%2F0001?src=*")
    page.locator(".source-grid figure").nth(1).wait_for()
    assert page.locator(".source-grid figcaption").all_inner_texts() == ["front", "rear"]
    page.get_by_role("button", name="Open source rear").click()
    page.locator(".stage[data-state=ready]").wait_for()
    page.wait_for_url(re.compile(r"src=rear"))


def test_confidence_hides_what_is_unsure(page: Any) -> None:
    open_frame(page, f"{V1}/frames/mixed")
    assert page.locator("[data-roi]").count() == 4
    page.get_by_label("Minimum confidence").fill("0.5")
    assert page.locator("[data-roi]").count() == 3
    assert page.locator(".object").count() == 3


def test_keys_lead_through_the_frames(page: Any) -> None:
    open_frame(page, f"{V1}/frames/street_00")
    page.get_by_test_id("place").filter(has_text="4 of 11").wait_for()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"/frames/street_01"))
    page.get_by_test_id("place").filter(has_text="5 of 11").wait_for()
    page.keyboard.press("Escape")
    page.locator(".viewer").wait_for(state="detached")
    assert page.url.endswith(V1)


def test_zoom_is_in_the_address(page: Any) -> None:
    open_frame(page, f"{V1}/frames/street_00?view=3,200,100")
    settle(page)
    assert "300" in page.locator(".zoom").inner_text()
    page.keyboard.press("0")
    page.wait_for_url(lambda url: "view=" not in url)
    assert page.evaluate("() => window.__backend") == "cpu"


def test_masks_follow_the_clip_while_it_plays(page: Any) -> None:
    open_frame(page, f"{V1}/frames/clip")
    page.locator(".scrubber").wait_for()
    page.get_by_role("button", name="Play a preview with masks").click()
    canvas = page.locator("canvas[data-layer=playback]")
    seen = set()
    for _ in range(200):
        found = canvas.evaluate(
            """(canvas) => {
                if (!canvas.dataset.pts) return null;
                const at = [0.5, 0.75].map((y) => Math.floor(y * canvas.height));
                const color = (y) => [...canvas.getContext('2d').getImageData(2, y, 1, 1).data];
                return [Number(canvas.dataset.pts), Number(canvas.dataset.shown), color(at[1])];
            }"""
        )
        if found:
            assert abs(found[0] - found[1]) < 34, "the mask is that of the picture on show"
            assert found[2][:3] == pytest.approx([128, 64, 128], abs=2), "the road is in the colour of its label"
            seen.add(found[0])
        if len(seen) >= 4:
            break
        page.wait_for_timeout(30)
    assert len(seen) >= 4, "the clip went on, and its masks with it"
    page.get_by_role("button", name="Stop here").click()
    canvas.wait_for(state="detached")
    page.wait_for_url(re.compile(r"t=\d"))
    shown = float(re.findall(r"[?&]t=([\d.]+)", page.url)[0])
    page.locator(f".scrubber[data-pts='{shown:.3f}']").wait_for()
    assert page.locator(".scrubber .chip.warn").count() == 0


def test_a_context_is_dragged_through(page: Any) -> None:
    open_frame(page, f"{V1}/frames/street_02")
    slider = page.get_by_label("Frame of context street")
    assert page.locator(".scrubber.context").get_attribute("data-frames") == "8"
    slider.evaluate("(input) => { input.value = 5; input.dispatchEvent(new Event('input', { bubbles: true })) }")
    page.locator(".glance figcaption", has_text="street_05").wait_for()
    page.locator(".glance canvas[data-thumb=drawn]").wait_for()
    slider.evaluate("(input) => input.dispatchEvent(new Event('change', { bubbles: true }))")
    page.wait_for_url(re.compile("/frames/street_05"))
    page.locator(".scrubber.context .muted", has_text="6/8").wait_for()


def test_every_state_stands_in_the_address(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_frame(page, f"{V1}/frames/mixed")
    page.get_by_label("Minimum confidence").fill("0.5")
    page.keyboard.press("o")
    page.locator(".strange input").check()
    page.get_by_label("source data").uncheck()
    page.locator(".label-row[data-index='4'] .label-name").click(modifiers=["Alt"])
    page.locator(".object .button").first.click()
    page.get_by_label("Show mask glow").click()
    page.get_by_label("Tint of mask glow").fill("#ff8800")
    for part in (
        "conf=0.5",
        "outline=2",
        "unmapped=seg:1",
        "data=preview",
        "solo=seg:road",
        "off=9",
        "tint=glow:ff8800",
    ):
        page.wait_for_url(lambda url, part=part: part in url)
    assert any(url.endswith("/preview") for url in asked)
    page.reload()
    page.locator(".strange input:checked").wait_for()
    assert page.get_by_label("Minimum confidence").input_value() == "0.5"
    assert page.get_by_label("outline").input_value() == "2"
    assert not page.get_by_label("source data").is_checked()
    assert page.locator(".label-row:not(.off)").count() == 1
    assert page.locator(".object.off").count() == 1
    assert page.get_by_label("Tint of mask glow").input_value() == "#ff8800"
    page.keyboard.press("Shift+N")
    page.wait_for_url(re.compile("shapes=off"))
    assert page.locator("[data-roi]").count() == 0


def test_keys_are_listed_and_numbers_give_labels(page: Any, origin: str) -> None:
    open_frame(page, f"{V2}/frames/street_02")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    assert page.locator(".keys dt").count() > 20
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    assert page.get_by_label("Label of new shapes").input_value() == "tree"
    page.keyboard.press("z")
    settle(page)
    assert page.locator(".zoom").inner_text().startswith("100")
