"""A frame under a data view: its masks by class, in the panel, on the canvas and in the address."""

import re
from typing import Any

import numpy as np
import pytest
from tests.e2e.scene import Scene
from tests.e2e.test_web_pages import serious_faults
from tests.e2e.test_web_viewer import mask_pixel, open_frame, samples, settle, to_stage

from smalti.demo import LEGEND, Street

pytestmark = pytest.mark.e2e

V1 = "/datasets/street/versions/v1"
VIEW = {
    "mapping": {"rules": [{"source": {"labels": ["tree"], "version": "v1"}, "target": "nature"}]},
    "labels_enumeration": {"road": 1, "sidewalk": 1, "building": 2, "nature": 3, "car": 4, "vehicle": 4},
    "smalti": {"void": 255},
}
NAMES = {1: "road", 2: "building", 3: "nature", 4: "car", 255: "void"}
CLASSES = {"road": 1, "sidewalk": 1, "building": 2, "tree": 3, "car": 4}


def save_view(page: Any, name: str, **spec: Any) -> str:
    """The id of a view of street@v1."""
    page.goto("/datasets")
    made: str = page.evaluate(
        """async ([name, spec]) => {
            const version = await (await fetch('/api/v1/datasets/street/versions/v1')).json();
            spec.versions = [{dataset: version.dataset, version: version.id}];
            const answer = await fetch('/api/v1/dataviews', {method: 'POST', body: JSON.stringify({name, spec}),
                headers: {'Content-Type': 'application/json'}});
            return (await answer.json()).id;
        }""",
        [name, spec],
    )
    return made


def rows_of(page: Any) -> list[tuple[str, str, str]]:
    """(class number, name, pixels) of the first mask's rows."""
    found: list[tuple[str, str, str]] = [
        tuple(row)
        for row in page.locator("[data-mask=seg] .label-row").evaluate_all(
            """(rows) => rows.map((row) => [
                row.querySelector('.class-number')?.textContent ?? '',
                row.querySelector('.ellipsis').firstChild.textContent,
                row.querySelector('.num[title]').title,
            ])"""
        )
    ]
    return found


def test_labels_become_classes_and_the_address_keeps_it(page: Any, scene: Scene) -> None:
    view = save_view(page, "four classes", **VIEW)
    labels = scene.labels("street_00")
    names = ["", *(entry.labels[0] for entry in LEGEND)]
    of = {name: names.index(name) for name in (*CLASSES, "sky")}
    places = {index: (x + 0.5, y + 0.5) for x, y, index in samples(labels, 1)}
    open_frame(page, f"{V1}/frames/street_00?dataview={view}&masks=seg:1,objects:-")
    page.get_by_role("button", name="classes of four classes").wait_for()
    settle(page)
    assert mask_pixel(page, *places[of["sidewalk"]])[:3] == list(LEGEND.entries[of["sidewalk"] - 1].color or ())
    assert mask_pixel(page, *places[of["sky"]])[3] == 255
    page.get_by_role("button", name="classes of four classes").click()
    page.locator(".label-row[data-class='1']").wait_for()
    page.mouse.move(5, 5)
    settle(page)

    def check() -> None:
        counts = np.bincount(labels.ravel(), minlength=len(names))
        expected = dict.fromkeys((*CLASSES.values(), 255), 0)
        for index, name in enumerate(names):
            expected[CLASSES.get(name, 255)] += int(counts[index])
        assert sorted(rows_of(page)) == sorted(
            (str(number), NAMES[number], f"{pixels:,} px") for number, pixels in expected.items()
        )
        road = [*(LEGEND.entries[of["road"] - 1].color or ()), 255]
        assert mask_pixel(page, *places[of["sidewalk"]]) == road, "both labels have the colour of their class"
        assert mask_pixel(page, *places[of["road"]]) == road
        assert mask_pixel(page, *places[of["sky"]])[3] == 0, "void is not drawn"

    check()
    page.wait_for_url(re.compile(rf"dataview={view}&rows=classes"))
    page.reload()
    page.locator(".label-row[data-class='1']").wait_for()
    settle(page)
    check()
    page.locator(".label-row[data-class='1'] .label-name").click()
    page.locator(".label-row[data-class='255'] .label-name").click()
    page.mouse.move(5, 5)
    settle(page)
    assert mask_pixel(page, *places[of["sidewalk"]])[3] == mask_pixel(page, *places[of["road"]])[3] == 0
    assert mask_pixel(page, *places[of["sky"]])[3] == 255
    page.wait_for_url(re.compile(r"turn=seg:1%7C"))
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(rf"/frames/street_01\?.*dataview={view}&rows=classes"))
    page.locator(".label-row.off[data-class='1']").wait_for()
    page.get_by_role("button", name="labels", exact=True).click()
    page.locator(f".label-row[data-index='{of['sky']}']:not(.off)").wait_for()
    page.wait_for_url(lambda url: "rows=" not in url and f"dataview={view}" in url)


def test_the_pointer_and_the_objects_say_class_and_label(page: Any) -> None:
    view = save_view(page, "with objects", **VIEW)
    open_frame(page, f"{V1}/frames/mixed?dataview={view}&rows=classes")
    page.keyboard.press("Shift+N")
    for x, y, index in samples(Street().at(2.0).labels, 1):
        if y < 60:
            continue  # a strange colour is painted there
        page.mouse.move(*to_stage(page, x + 0.5, y + 0.5))
        label = LEGEND.entries[index - 1].labels
        number = CLASSES.get(label[0], 255)
        row = page.locator(".hover-chip [data-mask=seg]")
        assert row.locator("b").inner_text() == f"{number} {NAMES[number]}"
        stored = [] if label == (NAMES[number],) else [", ".join(label)]
        assert row.locator(".stored").all_inner_texts() == stored
    objects = page.locator(".object")
    assert objects.filter(has_text="tree").locator(".chip").first.inner_text() == "3 nature"
    assert objects.filter(has_text="car").locator(".chip").first.inner_text() == "4 car"
    assert objects.filter(has_text="person").locator(".chip").first.inner_text() == "void"


def test_a_view_that_contradicts_itself_leaves_the_labels(new_page: Any) -> None:
    page = new_page(allowed=("422",))
    view = save_view(page, "torn", labels_enumeration={"car": 1, "vehicle": 2})
    open_frame(page, f"{V1}/frames/street_00?dataview={view}&rows=classes")
    page.locator("[data-mask=seg] .note.error", has_text="several classes").wait_for()
    assert page.locator("[data-mask=seg] .label-row[data-index]").count() > 4
    page.goto(f"/dataviews/{view}")
    page.get_by_text("Frames are shown by their labels").wait_for()
    page.locator(".preview-grid canvas[data-thumb=drawn]").first.wait_for(timeout=30_000)


def test_frames_of_a_view_are_shown_and_opened_by_class(page: Any, scene: Scene) -> None:
    places = {index: (x * 0.4, y * 0.4) for x, y, index in samples(scene.labels("street_00"), 1)}
    of = {entry.labels[0]: index for index, entry in enumerate(LEGEND, 1)}
    seen = {}
    plain, view = save_view(page, "as stored"), save_view(page, "by class", **VIEW)
    for each in (plain, view):
        page.goto(f"/dataviews/{each}")
        link = page.locator(".preview-grid a", has_text="street_00")
        link.locator("canvas[data-thumb=drawn]").wait_for(timeout=30_000)  # all are made for the first time
        seen[each] = link.locator("canvas").evaluate(
            """(canvas, places) => places.map(([x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data])""",
            [places[of[name]] for name in ("building", "sky", "sidewalk")],
        )
    assert seen[plain][0] == seen[view][0], "a class in the colour of its label"
    assert seen[plain][1] != seen[view][1], "void is not drawn"
    assert seen[plain][2] != seen[view][2], "the colour of the class, which another label gives"
    page.get_by_label("Void class").fill("254")
    page.keyboard.press("Tab")
    page.get_by_text("until the view is saved").wait_for()
    assert "dataview" not in (link.get_attribute("href") or "")
    page.get_by_role("button", name="Save").click()
    page.locator(f".preview-grid a[href*='dataview={view}']").first.wait_for()
    link.click()
    page.locator(".label-row[data-class='254']").wait_for()


def test_axe_finds_nothing_serious_among_classes(page: Any) -> None:
    view = save_view(page, "for everybody", **VIEW)
    open_frame(page, f"{V1}/frames/mixed?dataview={view}&rows=classes&roi=9")
    assert serious_faults(page) == []


def test_sources_side_by_side_are_painted_by_class(page: Any) -> None:
    view = save_view(page, "two cameras", **VIEW)
    page.goto(f"{V1}/frames/rig%2F0001?src=*&dataview={view}&rows=classes")
    page.locator(".label-row[data-class='1']").wait_for()
    canvas = page.locator(".source-grid canvas").nth(1)
    colors = """(canvas) => {
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const found = new Set();
        for (let i = 0; i < data.length; i += 4) if (data[i + 3]) found.add(data.slice(i, i + 3).join());
        return found.size;
    }"""
    for by, many in (("classes of two cameras", False), ("labels", True), ("classes of two cameras", False)):
        page.get_by_role("button", name=by, exact=True).click()
        settle(page)
        assert (canvas.evaluate(colors) > len(NAMES)) == many


def test_an_edited_view_is_seen_in_an_open_frame(page: Any) -> None:
    view = save_view(page, "edited meanwhile", **VIEW)
    open_frame(page, f"{V1}/frames/street_00?dataview={view}&rows=classes")
    page.evaluate(
        """async (id) => {
            const path = `/api/v1/dataviews/${id}`;
            const now = await fetch(path);
            const spec = {...(await now.json()).spec, labels_enumeration: {road: 77}};
            await fetch(path, {method: 'PATCH', body: JSON.stringify({spec}),
                headers: {'Content-Type': 'application/json', 'If-Match': now.headers.get('ETag')}});
        }""",
        view,
    )
    page.locator(".label-row[data-class='77']").wait_for()
