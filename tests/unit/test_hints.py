"""What a query may have missed, said of lists and of versions, by the library and by the command line."""

import json
from pathlib import Path

import pytest

from smalti.cli import main
from smalti.facts import MaskFacts
from smalti.hints import Known, hints, hints_of, nearest, unknown_labels
from smalti.legend import Legend
from smalti.query.parse import parse
from smalti.records import Frame, Mask, Roi, Source
from smalti.store import DatasetVersion, open_store
from smalti.store.derive import derive
from smalti.store.loading import load_rows
from smalti.store.schema import to_rows
from smalti.tables import ListTable
from smalti.view import DataView


def frame(number: int, *labels: str) -> Frame:
    source = Source(id="s", uri=f"{number}.png", masks=[Mask(id="seg", uri="m.png")])
    return Frame(id=f"f{number}", sources=[source], rois=[Roi(label=[label]) for label in labels])


FRAMES = [frame(0, "person"), frame(1), frame(2)]
FACTS = {f"f{i}": [MaskFacts(source="s", mask="seg", size_hw=(2, 2), pixels={"Car": 3, "sky": 1})] for i in range(2)}
LEGEND = Legend({1: "Car", 2: "Traffic light", 3: "sky"})


def said(text: str, *, facts: bool = True, legend: bool = True) -> list[str]:
    table = ListTable(FRAMES, facts=FACTS if facts else None, mask_labels=LEGEND if legend else None)
    return hints(parse(text), Known([table]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label:person AND NOT meta.x:1", []),
        ("label:*ar", []),
        (
            "label:Car",
            [
                "no ROI of list@frames is labelled 'Car'; its masks are: ask mask.labels:Car (2 of 3 frames are counted; "
                "count them with `smalti frames facts list@frames`)"
            ],
        ),
        ("(label:car AND confidence:>0)", ["no ROI of list@frames is labelled 'car'; did you mean Car?"]),
        ("label:zebra", ["no ROI of list@frames is labelled 'zebra'"]),
        (
            "mask.Kar.share:>0",
            [
                "no mask of list@frames is known to have 'Kar'; did you mean Car?",
                "1 of 3 frames of list@frames have masks that nobody has counted, and no condition on masks holds for "
                "them: count them with `smalti frames facts list@frames`",
            ],
        ),
    ],
)
def test_hints_follow_the_names_of_a_query(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_before_anything_is_counted_the_legend_tells() -> None:
    assert said('label:"Traffic light"', facts=False) == [
        "no ROI of list@frames is labelled 'Traffic light'; its masks are: count them with `smalti frames facts "
        'list@frames`, then ask mask.labels:"Traffic light"'
    ]
    assert said("label:Car", facts=False, legend=False) == ["no ROI of list@frames is labelled 'Car'"]


def test_near_names() -> None:
    assert nearest("car", ["CAR", "Car", "cat", "zebra"]) == ["CAR", "Car", "cat"]
    assert unknown_labels(["Kar", "Car"], Known([ListTable(FRAMES, mask_labels=LEGEND)])) == [
        "nothing in list@frames is labelled 'Kar'; did you mean Car?"
    ]


def test_a_filter_is_held_against_the_versions_that_it_speaks_of() -> None:
    view = DataView([frame(0, "car")]).add_version(ListTable([frame(1, "bus")], dataset="d", version="v"))
    assert hints_of(view.add_query("bus").add_query("car", dataset_id="d")) == ["no ROI of d@v is labelled 'car'"]


@pytest.fixture
def version(tmp_path: Path) -> DatasetVersion:
    """A version whose legend knows what the masks show, and whose ROIs say little."""
    made = open_store(tmp_path / "store").create_dataset("camvid").create_version("v1")
    made.add_frames(FRAMES)
    made.set_masks_labels({(0, 0, 1): "Car", (0, 0, 2): "sky"})
    return made


def run(capsys: pytest.CaptureFixture[str], version: DatasetVersion, *arguments: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--store", version.dataset.store.uri])
    assert left.value.code == 0
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_the_command_line_says_hints_beside_its_answer(
    version: DatasetVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(capsys, version, "query", "camvid@v1", "label:Car", "--count")
    assert out == "0\n"
    hint = (
        "no ROI of camvid@v1 is labelled 'Car'; its masks are: count them with `smalti frames facts camvid@v1`, then ask "
        "mask.labels:Car"
    )
    assert err == f"note: {hint}\n"
    out, _ = run(capsys, version, "query", "camvid@v1", "label:Car", "--json")
    assert json.loads(out) == {"count": 0, "lacking": 0, "hints": [hint], "frames": []}
    version.publish()
    out, err = run(capsys, version, "query", "camvid@v1", "mask.Car.share:>0.1", "--json")
    assert json.loads(out)["lacking"] == 3
    assert "in a child of camvid@v1 (`smalti frames facts DATASET@CHILD`)" in err
    assert "Warning" not in err
    assert err.count("\n") == 1


def test_a_view_that_numbers_what_nothing_has_is_saved_with_a_note(
    version: DatasetVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["--label", "Kar=1", "--label", "person=2", "--label", "sky=3"]
    out, err = run(capsys, version, "view", "save", "mine", "camvid@v1", "--query", "label:cat", *labels, "--json")
    expected = ["nothing in camvid@v1 is labelled 'Kar'; did you mean Car?", "no ROI of camvid@v1 is labelled 'cat'; did you mean Car?"]  # fmt: skip
    assert json.loads(out)["hints"] == expected
    assert err == "".join(f"note: {hint}\n" for hint in expected)
    out, err = run(capsys, version, "view", "show", "mine")
    assert "did you mean Car" in err


def test_a_version_knows_what_was_counted_in_its_masks(version: DatasetVersion) -> None:
    version.set_masks_labels({})  # what is counted later is known by the counts alone
    load_rows(version, [derive(to_rows(FRAMES), [FACTS.get(str(frame.id)) for frame in FRAMES])])
    assert hints_of(version.view("label:Car")) == [
        "no ROI of camvid@v1 is labelled 'Car'; its masks are: ask mask.labels:Car (2 of 3 frames are counted; count them "
        "with `smalti frames facts camvid@v1`)"
    ]
    assert hints_of(version.view("label:sk")) == ["no ROI of camvid@v1 is labelled 'sk'; did you mean sky?"]
