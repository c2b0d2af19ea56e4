"""Views on versions of a store: the same answers as on a list, from either side of a publish."""

import pickle
from pathlib import Path

import pytest

from smalti.errors import QueryError, VersionError
from smalti.facts import MaskFacts
from smalti.query.parse import parse
from smalti.query.rules import LabelRule
from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store import open_store
from smalti.store.table import VersionTable
from smalti.store.version import DatasetVersion
from smalti.tables import ListTable
from smalti.view import DataView

VALUES = [3, 5.5, "7", "seven", True, [1, 30], ["x", 6], None, "2024-10-20T08:00:00", "2024-10-21", "20241020", 2**40]


def _frame(i: int) -> Frame:
    value = VALUES[i % len(VALUES)]
    return Frame(
        id=f"f{i:03}",
        context_id=f"drive {i % 5}",
        timestamp=(i * 7) % 40,
        sources=[Source(id="a", uri=f"s3://b/{i}.png", masks=[Mask(id="seg", uri=f"{i}_seg.png")])],
        rois=[Roi(label=["car", "occluded"] if j % 2 else ["car"], confidence=(i + j) % 10 / 10) for j in range(i % 4)]
        + ([Roi(label=["seg"], mask=RoiMask(id="tram", value=[1, 2, 3]))] if i % 9 == 0 else []),
        meta={"n": value, "city": ["Bremen", "Kiel", "Bremen Nord"][i % 3]} if i % 7 else {},
    )


FRAMES = [_frame(i) for i in range(120)]
QUERIES = [
    "",
    "car",
    "(car AND NOT occluded)",
    "car AND NOT occluded",
    "tram OR meta.city:nord",
    "meta.city.keyword:Bremen",
    "NOT meta.city:kiel",
    "meta.n:[1 TO 6]",
    "NOT meta.n:[1 TO 6]",
    "meta.n:{5.5 TO *}",
    "meta.n:[2024-10-20 TO 2024-10-20]",
    "meta.n:[2024-10-20T09:00:00 TO *]",
    "meta.n:[a TO z]",
    "meta.n:true",
    "_exists_:meta.n",
    "NOT _exists_:meta.n",
    "timestamp:[10 TO 20} AND context_id:drive*",
    "id:f00?",
    "(car AND confidence:>=0.5)",
    "(label:car OR meta.n:7) AND NOT sources.uri:*1.png",
    "mask.mode:P",
]


@pytest.fixture(scope="module", params=[None, "float", "int", "timestamp"])
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    """The frames in a store; with the path `meta.n` promoted as one type or another, or not at all."""
    dataset = open_store(tmp_path_factory.mktemp("asked")).create_dataset("drive")
    if request.param is not None:
        dataset.declare("meta.n", request.param)
    made = dataset.create_version("v1")
    assert made.add_frames(FRAMES) == []
    return made


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.filterwarnings("ignore:.*without stored facts")
def test_a_version_answers_as_a_list_does(version: DatasetVersion, text: str) -> None:
    expected = [s.record.id for s in DataView(FRAMES, text).iterate(output="records")]
    assert [s.record.id for s in version.view(text).iterate(output="records")] == expected
    assert version.table.count(parse(text)) == len(expected)
    assert [frame.id for frame in version.scan(parse(text))] == expected


@pytest.mark.parametrize(
    "rule", [LabelRule("car", (2, 2)), LabelRule("car", (1, 2), (0.3, 0.6)), LabelRule("car", (0, 1))]
)
def test_counts_of_rois(version: DatasetVersion, rule: LabelRule) -> None:
    asked = [view.add_multi_query(roi_queries=[rule]) for view in (DataView(version), DataView(FRAMES))]
    assert asked[0].get_count() == asked[1].get_count()
    assert asked[0].count() > 0


def test_random_order_survives_a_publish_and_a_pickle(tmp_path: Path) -> None:
    dataset = open_store(tmp_path).create_dataset("drive")
    version = dataset.create_version("v1")
    version.add_frames(FRAMES)
    version.publish()
    view = version.view("car").set_iteration_parameters("random", random_seed=4)
    iterator = view.iterate(output=["id"])
    first = [next(iterator)["id"] for _ in range(20)]
    token = iterator.state()
    again = open_store(tmp_path)["drive"]["v1"].view("car").set_iteration_parameters("random", random_seed=4)
    copied = pickle.loads(pickle.dumps(view))
    rest = [item["id"] for item in iterator]
    assert [item["id"] for item in again.iterate(resume=token, output=["id"])] == rest
    assert [item["id"] for item in copied.iterate(resume=token, output=["id"])] == rest
    assert sorted(first + rest) == sorted(f.id for f in FRAMES if any("car" in r.label for r in f.rois))
    dataset.declare("meta.n", "float")  # an index, not content: the token stays good
    later = open_store(tmp_path)["drive"]["v1"].view("car").set_iteration_parameters("random", random_seed=4)
    assert [item["id"] for item in later.iterate(resume=token, output=["id"])] == rest


def test_frames_say_where_they_are_from_and_know_the_legend(tmp_path: Path) -> None:
    version = open_store(tmp_path).create_dataset("drive").create_version("v1")
    version.add_frames(FRAMES[:1])
    version.set_masks_labels({(9, 9, 9): "sky"})
    view = version.view().map_labels({"tram": 0, "sky": 1})
    handle = next(iter(view))
    assert handle.origin == {"id": version.dataset.id, "version": version.id}
    assert handle.mask_labels
    found = view.explain(limit=5)
    assert "drive@v1 · mask seg" in found
    assert "(9, 9, 9)" in found
    assert found.tables[0].table.lut.tolist() == [255, 0, 1]


def test_facts_beside_the_frames(tmp_path: Path) -> None:
    from smalti.store.counting import _facts_rows, _write

    version = open_store(tmp_path).create_dataset("drive").create_version("v1")
    version.add_frames(FRAMES[:20])
    with pytest.warns(UserWarning, match="20 frames have masks without stored facts"):
        assert version.view("mask.car.share:>0").count() == 0
    facts = {
        f"f{i:03}": [MaskFacts(source="a", mask="seg", size_hw=(10, 10), pixels={"car": i, "tram": 100 - i})]
        for i in range(20)
    }
    with version.writing() as branch:
        etags = dict(zip(*(branch.table(["id", "etag"]).column(n).to_pylist() for n in ("id", "etag")), strict=True))
        _write(branch, [_facts_rows([(id_, etags[id_], found) for id_, found in facts.items()])])
    for text in [
        "mask.car.share:[0.05 TO *]",
        "mask.car.share:{0.05 TO 0.1]",
        "mask.car.share:0",
        "mask.car.pixels:<7",
    ]:
        expected = DataView(ListTable(FRAMES[:20], facts=facts), text).count()
        assert version.view(text).count() == expected > 0
    plan = VersionTable(version).plan(parse("mask.car.share:[0.05 TO *]"))
    assert plan.exact  # a whole per cent is a mark, so no row has to be read
    assert version.view().class_weights() == DataView(ListTable(FRAMES[:20], facts=facts)).class_weights()


def test_stored_views(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    version = store.create_dataset("drive").create_version("v1")
    version.add_frames(FRAMES[:40])
    view = version.view("car").map_labels({"car": 1}).set_iteration_parameters("random", random_seed=2)
    with pytest.raises(VersionError, match="needs a name"):
        view.store()
    view.name, view.tags = "cars", ["t"]
    assert view.store().id
    with pytest.raises(VersionError, match="drive@v1, which can still change"):
        view.publish()
    assert view.status == "draft"
    version.publish()
    found = DataView.get(dataview_name="cars", store=store)
    assert (found.id, found.name, found.tags, found.status) == (view.id, "cars", ["t"], "draft")
    assert found.spec == view.spec
    order = [item["id"] for item in found.iterate(output=["id"])]
    found.publish()
    again = DataView.get(found.id, store=store)
    assert again.status == "published"
    assert [item["id"] for item in again.iterate(output=["id"])] == order
    with pytest.raises(QueryError, match="published"):
        again.add_query("bus")
    with pytest.raises(VersionError, match="clone"):
        again.store()
    other = again.clone("mine").add_query("tram")
    assert other.store().id != again.id
    assert {row.name for row in store.catalog.list_views()} == {"cars", "mine"}
    for name in ("cars", "mine"):
        third = again.clone(name)
        with pytest.raises(VersionError, match=f"has a view '{name}' already"):
            third.store()
    assert third.store(replace=True).id == other.id
    with pytest.raises(VersionError, match="is published and cannot change"):
        again.clone("cars").store(replace=True)
    with pytest.raises(VersionError, match="no view 'x'; it has cars, mine"):
        DataView.get(dataview_name="x", store=store)
    with pytest.raises(VersionError, match="list of frames"):
        DataView(FRAMES, name="l").store(store)


def test_names_are_looked_up_in_the_default_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path))
    dataset = open_store().create_dataset("drive", "road")
    dataset.create_version("v1").add_frames(FRAMES[:10])
    dataset["v1"].publish()
    dataset.create_version("v2", parents=[dataset["v1"]]).add_frames(FRAMES[10:20])
    assert DataView().add_query(dataset_name="drive", version_name="v2").count() == 20
    assert DataView().add_query(dataset_name="drive", dataset_project="road").count() == 10  # the newest published one
    both = DataView().add_query(dataset_name="drive", version_name="v1").add_query("car", dataset_id=dataset.id)
    assert both.count() == 10
    with pytest.raises(VersionError, match="no dataset 'dirve'"):
        DataView().add_query(dataset_name="dirve")
