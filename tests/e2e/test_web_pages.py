"""The pages around the viewer: browse, ask, count, compare, log in and out; axe finds nothing serious."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.e2e.conftest import idle
from tests.e2e.scene import PASSWORD, USER, Scene
from tests.e2e.test_web_viewer import V1, V2

from smalti.demo import LEGEND

pytestmark = pytest.mark.e2e

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PLACES = [
    "/datasets",
    "/datasets?view=project",
    V1,
    f"{V1}?grid=table",
    f"{V1}?tab=statistics",
    f"{V1}?tab=metadata",
    f"{V1}?tab=info",
    f"{V1}?tab=report",
    f"{V1}/frames/mixed?roi=9",
    f"{V1}/frames/clip",
    f"{V1}/frames/rig%2F0001?src=*",
    f"{V2}/frames/street_06",
    f"{V1}?like=street_00",
    "/dataviews",
    "/settings",
]


@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_serious_light_or_dark(page: Any, place: str) -> None:
    page.goto(place)
    idle(page)
    bad = serious_faults(page)
    assert not bad, "\n".join(bad)


def serious_faults(page: Any) -> list[str]:
    """What axe says of the page as it is, in both schemes."""
    # evaluate() runs through the debugger: the page's own policy stays as it is, and under test.
    page.evaluate(AXE.read_text())
    bad = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        bad += [
            f"{scheme}: {v['id']} ({v['impact']}): {n['html'][:160]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
            for n in v["nodes"][:3]
        ]
    return bad


def test_cards_lead_to_frames_and_back_to_the_same_place(page: Any) -> None:
    page.goto("/datasets")
    page.get_by_label("Search datasets").fill("street")
    page.locator(".card.dataset").nth(1).wait_for(state="detached")
    page.get_by_role("link", name="street").click()
    page.goto(V1)
    page.get_by_role("button", name="Open frame street_03").click()
    page.locator(".stage[data-state=ready]").wait_for()
    page.get_by_role("button", name="Close (Esc)").click()
    page.get_by_role("button", name="Open frame street_03").wait_for()


def test_queries_pick_frames_and_faults_are_marked(page: Any) -> None:
    page.goto(V1)
    bar = page.get_by_role("combobox", name="Query")
    bar.fill('meta.city:"Bremen"')
    bar.press("Enter")
    page.locator(".total", has_text="4 of 11").wait_for()
    assert "q=meta.city" in page.url
    bar.fill("label:car AND (")
    page.locator(".query-fault").wait_for()
    assert page.locator(".query.bad").count() == 1
    bar.press("Enter")
    assert "q=meta.city" in page.url, "a query with a fault is not sent"
    bar.fill("label:pe")
    page.get_by_role("option", name=re.compile("person")).click()
    bar.press("Enter")
    page.locator(".total", has_text="11 of 11").wait_for()


def test_mask_rules_of_the_filter_drawer(page: Any) -> None:
    page.goto(V1)
    page.get_by_role("button", name="Filters", exact=True).click()
    drawer = page.get_by_label("Filters", exact=True).and_(page.locator("aside"))
    drawer.get_by_role("button", name="Mask").click()
    drawer.get_by_label("Mask label").fill("sky")
    drawer.get_by_label("area, %, at most").fill("24.5")
    drawer.get_by_role("button", name="Apply").click()
    page.locator(".total", has_text="1 of 11").wait_for()
    page.get_by_role("button", name="Open frame mixed").wait_for()
    page.reload()
    page.locator(".total", has_text="1 of 11").wait_for()


def test_statistics_are_the_pixels_of_the_masks(page: Any, scene: Scene) -> None:
    page.goto(f"{V1}?tab=statistics&q=id:street_00")
    row = page.locator("tbody tr", has_text="road")
    row.wait_for()
    assert row.locator("td").nth(1).inner_text() == f"{int((scene.labels('street_00') == 4).sum()):,}"
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.path().read_text().startswith("label,count,share,frames,pixels")


def test_compare_shows_changed_pixels(page: Any, scene: Scene) -> None:
    page.goto(V1)
    page.get_by_role("button", name="More about v2").click()
    page.get_by_role("menuitem", name="Compare with v1").click()
    page.locator(".diff-list li[data-kind=removed]", has_text="street_07").wait_for()
    changed = page.locator(".diff-list li[data-kind=changed]", has_text="street_03")
    changed.get_by_role("button", name="What changed").click()
    before, after = scene.labels("street_03"), scene.labels("street_04")
    differs = int((before != after).sum())
    page.get_by_role("heading", name=f"Pixels that changed: {differs:,}").wait_for()
    picture = page.get_by_role("img", name="Changed pixels of default/seg")
    for _ in range(100):
        lit = picture.evaluate(
            """(canvas) => {
                const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                let n = 0;
                for (let i = 3; i < data.length; i += 4) n += data[i] > 200;
                return n;
            }"""
        )
        if lit:
            break
        page.wait_for_timeout(50)
    assert lit == differs


def test_frames_like_one_come_nearest_first(page: Any, scene: Scene) -> None:
    page.goto(V1)
    page.get_by_role("button", name="Open frame street_00").hover()
    page.get_by_role("button", name="Find frames like street_00").click()
    page.wait_for_url(re.compile("like=street_00"))
    page.locator(".similar", has_text="street_00").wait_for()
    shares = {}
    for number in range(8):
        labels = scene.labels(f"street_{number:02d}")
        found = np.bincount(labels.ravel(), minlength=len(LEGEND) + 1) / labels.size
        shares[f"street_{number:02d}"] = found.round(5) / np.linalg.norm(found.round(5))
    own = shares.pop("street_00")
    truth = sorted(shares, key=lambda name: -float(own @ shares[name]))
    page.locator(".total", has_text=f"{len(truth)} of").wait_for()
    names = page.locator(".thumb-text .mono").all_inner_texts()
    assert [name.split()[-1] for name in names] == truth
    page.get_by_role("button", name="All frames").click()
    page.locator(".total", has_text="11 of 11").wait_for()
    page.goto(f"{V1}/frames/{truth[0]}")
    page.get_by_role("button", name="Find similar frames").click()
    page.wait_for_url(re.compile(f"like={truth[0]}"))


def test_a_view_is_made_previewed_and_explained(page: Any) -> None:
    page.goto("/dataviews")
    page.get_by_role("button", name="New dataview").click()
    page.get_by_label("Name").fill("cars")
    page.get_by_role("button", name="Create").click()
    page.get_by_label("Dataset", exact=True).select_option(label="street")
    page.locator("select[aria-label=Version] option", has_text="v1").wait_for(state="attached")
    page.get_by_label("Version", exact=True).select_option(label="v1")
    page.locator(".preview-grid .thumb").nth(10).wait_for()
    page.get_by_label("Label with a class").fill("car")
    page.get_by_role("button", name="Add class").click()
    page.get_by_role("tab", name="Classes").click()
    page.locator("tbody tr", has_text="car").first.wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".toast", has_text="Saved").wait_for()
    page.reload()
    page.get_by_label("Class of car", exact=True).wait_for()


def test_names_from_data_are_text_and_never_markup(page: Any) -> None:
    hostile = '<img src=x onerror="window.hacked=1">'
    page.goto(V1)
    page.get_by_role("combobox", name="Query").fill(hostile)
    page.get_by_role("combobox", name="Query").press("Enter")
    page.goto(f"{V2}/frames/street_06")
    page.locator(".label-row").first.wait_for()
    page.get_by_label("Frame labels").get_by_label("Add label").fill(hostile)
    page.keyboard.press("Enter")
    page.locator("[data-save=clean]").wait_for()
    assert page.get_by_label("Frame labels").locator(".chip").last.inner_text().startswith("<img")
    assert page.evaluate("() => window.hacked") is None


def test_log_out_the_door_is_shut_and_a_password_opens_it(new_page: Any) -> None:
    page = new_page(own_session=True, allowed=("401",))
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(V1)
    page.wait_for_url(re.compile(r"/login\?next="))
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{V1}")
    page.locator(".user-name", has_text=USER).wait_for()
    assert page.get_by_role("button", name="New version").is_enabled(), "an annotator may make drafts"
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto("/settings")
    page.wait_for_url(re.compile(r"/login\?next="))


def test_theme_is_remembered(page: Any) -> None:
    page.goto("/settings")
    page.get_by_label("dark").check()
    page.reload()
    page.get_by_role("heading", name="Appearance").wait_for()
    assert page.evaluate("() => getComputedStyle(document.documentElement).colorScheme") == "dark"
