"""What a user of the ClearML client does, call by call: run in its own process by the integration test.

    python tests/clearml_script.py FOLDER SECTION...

prints one JSON line for each call: its name, and what went wrong or null.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from clearml import DataEntryImage, DataSubEntryImage, DataView, HyperDataset
from clearml.hyperdatasets import DataEntry, DataSubEntry
from PIL import Image

FOLDER = Path(sys.argv[1])
PROJECT = "Client tests/a + b"
COUNT = 12
UPLOAD = {"show_progress": False, "upload_local_files_destination": os.environ.get("CLEARML_FILES_HOST", "") + "/ds"}


def check(name: str, call: Callable[[], Any], *, wanted: Any = None, raises: bool = False) -> Any:
    """Call it and say how it went; `wanted` is the result, or a function that judges it."""
    wrong, result = None, None
    try:
        result = call()
        if raises:
            wrong = f"no error, but {result!r}"
        elif callable(wanted):
            wrong = None if wanted(result) else f"got {result!r}"
        elif wanted is not None and result != wanted:
            wrong = f"got {result!r}, not {wanted!r}"
    except Exception as error:  # noqa: BLE001 - the point of the script is to say which calls fail
        wrong = None if raises else f"{type(error).__name__}: {error} {traceback.format_exc()[-600:]}"
    print(json.dumps({"call": name, "wrong": wrong}), flush=True)
    return result


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (16, 20, 3), np.uint8)


def entry(number: int) -> DataEntryImage:
    """An image in a file, its mask, annotations of every kind, metadata and a vector."""
    folder = FOLDER / "pictures and more"
    folder.mkdir(exist_ok=True)
    path = folder / f"image {number:02}.png"
    Image.fromarray(pixels(number)).save(path)
    found = DataEntryImage(
        data_entry_id=f"e{number:03}", metadata={"index": number, "city": "Bremen" if number % 2 else "Köln"}
    )
    part = DataSubEntryImage(
        name="image",
        source=str(path),
        width=20,
        height=16,
        context_id=f"drive{number // 4}",
        masks_source={"seg": f"s3://masks/{number}.png", "more": f"https://example.org/{number}.png"},
        metadata={"camera": "front", "gain": 1.5},
    )
    part.add_annotation(box2d_xywh=[1, 2, 3, 4], labels=["cat"], confidence=0.25 + number / 100, metadata={"k": number})
    part.add_annotation(poly2d_xy=[(0, 0), (5.5, 0), (5, 5)], labels=["dog", "pet"])
    part.add_annotation(mask_rgb=[1, 2, 3], labels=["sky"])
    part.add_annotation(ellipse2d_xyrrt=[5, 5, 2, 3, 0.5], labels=["wheel"])
    part.add_annotation(points2d_xy=[(1, 1), (2, 2)], labels=["nose"])
    if number % 3 == 0:
        part.add_annotation(box2d_xywh=[1, 1, 2, 2], labels=["rare"])
    found.add_sub_entries([part])
    found.set_vector([float(number), 1.0, 0.0], "emb")
    return found


def ids_of(iterator: Any) -> list[str]:
    return [found.id for found in iterator]


ALL = [f"e{number:03}" for number in range(COUNT)]


def parts_of(found: Any) -> list[Any]:
    parts = found.sub_data_entries
    return list(parts.values() if isinstance(parts, dict) else parts)


def section_write() -> None:
    mappings = {"meta.emb": {"type": "dense_vector", "element_type": "float", "dims": 3}}
    made = check(
        "HyperDataset(field_mappings=...)",
        lambda: HyperDataset(PROJECT, "animals-1", "v1", description="a test", field_mappings=mappings),
    )
    check(
        "dataset_id, version_id, project_id",
        lambda: all([made.dataset_id, made.version_id, made.project_id]),
        wanted=True,
    )
    entries = [entry(number) for number in range(COUNT)]
    check(
        "add_data_entries with uploads",
        lambda: made.add_data_entries(entries, **UPLOAD),
        wanted=lambda r: not (r or {}).get("register"),
    )
    bad = DataEntryImage(data_entry_id="bad", metadata={})
    bad.add_sub_entries([DataSubEntryImage(name="image", source="s3://x/y.png")])
    bad.set_vector([1.0], "emb")
    check(
        "a wrong vector is refused, with its id",
        lambda: made.add_data_entries([bad], show_progress=False),
        wanted=lambda r: "bad" in json.dumps(r, default=str) or "bad" in str(r),
    )
    check("commit_version", lambda: made.commit_version(), wanted=lambda r: r is not None)
    check(
        "the same HyperDataset again",
        lambda: HyperDataset(PROJECT, "animals-1", "v1").version_id,
        wanted=made.version_id,
    )
    check("set_metadata", lambda: made.set_metadata({"a": {"b": [1, None]}, "text": "ö"}), wanted=True)
    check("get_metadata", lambda: made.get_metadata(), wanted={"a": {"b": [1, None]}, "text": "ö"})
    check("add_tags", lambda: made.add_tags(["x", "y"]))
    check("get_tags", lambda: sorted(made.get_tags(reload=True)), wanted=["x", "y"])
    check("remove_tags", lambda: made.remove_tags("x"))
    check("set_tags", lambda: made.set_tags(["y", "z"]))
    check("tags", lambda: sorted(made.get_tags(reload=True)), wanted=["y", "z"])
    check("exists", lambda: HyperDataset.exists("animals-1", "v1", PROJECT), wanted=True)
    check(
        "exists by ids",
        lambda: HyperDataset.exists(dataset_id=made.dataset_id, version_id=made.version_id),
        wanted=True,
    )
    check("exists: no such version", lambda: HyperDataset.exists("animals-1", "v9", PROJECT), wanted=False)
    check("exists: no such dataset", lambda: HyperDataset.exists("animals", None, PROJECT), wanted=False)
    check("exists: no such project", lambda: HyperDataset.exists("animals-1", None, "nowhere"), wanted=False)
    check("get", lambda: HyperDataset.get("animals-1", "v1", PROJECT).version_id, wanted=made.version_id)
    check(
        "get without a version",
        lambda: HyperDataset.get("animals-1", project_name=PROJECT).version_id,
        wanted=made.version_id,
    )
    check(
        "get by ids",
        lambda: HyperDataset.get(dataset_id=made.dataset_id, version_id=made.version_id).version_id,
        wanted=made.version_id,
    )
    check("get what is not there", lambda: HyperDataset.get("nothing", "v1", PROJECT), raises=True)
    check("list", lambda: [d["name"] for d in HyperDataset.list(project_name=PROJECT)], wanted=["animals-1"])
    check(
        "list by partial name",
        lambda: [d["name"] for d in HyperDataset.list(partial_name="animals")],
        wanted=["animals-1"],
    )
    check("list by tags", lambda: [d["name"] for d in HyperDataset.list(tags=["z"])], wanted=["animals-1"])
    check("list by other tags", lambda: HyperDataset.list(tags=["w"]), wanted=[])
    check("delete_data_entries", lambda: made.delete_data_entries(["e011", "missing"]), wanted=1)
    check("add_data_entries again", lambda: made.add_data_entries([entry(11)], **UPLOAD))


def section_read() -> None:
    made = HyperDataset.get("animals-1", "v1", PROJECT)
    found = check(
        "HyperDataset.get_iterator", lambda: list(made.get_iterator()), wanted=lambda r: [e.id for e in r] == ALL
    )
    first = found[0]
    check("the class of entries", lambda: type(first).__name__, wanted="DataEntryImage")
    part = check("sub entries", lambda: next(iter(parts_of(first))))
    for path in (FOLDER / "pictures and more").iterdir():
        path.unlink()  # what is read from here on was uploaded
    check(
        "source uris",
        lambda: part.source,
        wanted=f"{UPLOAD['upload_local_files_destination']}/{made.dataset_id}/{made.version_id}/image%2000.png",
    )
    check("width and height", lambda: (part.width, part.height), wanted=(20, 16))
    check(
        "masks",
        lambda: part.get_masks_source_dict(),
        wanted={"seg": "s3://masks/0.png", "more": "https://example.org/0.png"},
    )
    check("annotations", lambda: len(list(part.get_all_annotations())), wanted=6)
    check("metadata", lambda: first.to_api_object()["meta"]["index"], wanted=0)
    check("metadata of a part", lambda: first.to_api_object()["meta"]["image"]["gain"], wanted=1.5)
    check(
        "get_local_source",
        lambda: np.array_equal(np.asarray(Image.open(part.get_local_source(raise_on_error=True))), pixels(0)),
        wanted=True,
    )
    check("context_id", lambda: part.context_id, wanted="drive0")
    for name in ("cosine", "l2_norm", "dot_product"):
        check(
            f"vector_search {name}",
            lambda name=name: ids_of(made.vector_search([11.0, 1.0, 0.0], "meta.emb", 3, similarity_function=name)),
            wanted=lambda r: r[0] == "e011" and len(r) == 3,
        )
    check(
        "vector_search fast", lambda: ids_of(made.vector_search([0.0, 1.0, 0.0], "emb", 1, fast=True)), wanted=["e000"]
    )
    view = check("DataView", lambda: DataView(name="all", auto_connect_with_task=False, project_name=PROJECT))
    check("add_query", lambda: view.add_query(dataset_id=made.dataset_id, version_id=made.version_id))
    check("get_count", lambda: view.get_count(), wanted=COUNT)
    check("len", lambda: len(view), wanted=COUNT)
    check("get_iterator", lambda: ids_of(view.get_iterator()), wanted=ALL)
    check("small batches", lambda: ids_of(view.get_iterator(query_cache_size=1)), wanted=ALL)
    check("iterate again", lambda: ids_of(view.get_iterator(query_cache_size=5)), wanted=ALL)
    check("projection", lambda: [e.id for e in view.get_iterator(projection=["id", "meta"])], wanted=ALL)
    check(
        "workers",
        lambda: sorted(
            ids_of(view.get_iterator(num_workers=2, worker_index=0))
            + ids_of(view.get_iterator(num_workers=2, worker_index=1))
        ),
        wanted=ALL,
    )
    check("view id", lambda: bool(view.id), wanted=True)
    check("DataView.get by id", lambda: ids_of(DataView.get(dataview_id=view.id).get_iterator()), wanted=ALL)
    check("DataView.get by name", lambda: DataView.get(dataview_name="all").id, wanted=view.id)
    check("DataView.get what is not there", lambda: DataView.get(dataview_name="nothing"), raises=True)

    def query(**fields: Any) -> DataView:
        options = {key: fields.pop(key) for key in list(fields) if key.startswith("iteration")}
        found = DataView(auto_connect_with_task=False, project_name=PROJECT, **options)
        found.add_query(dataset_id=made.dataset_id, version_id=made.version_id, **fields)
        return found

    odd = ALL[1::2]
    check("frame_query", lambda: ids_of(query(frame_query='meta.city:"Bremen"').get_iterator()), wanted=odd)
    check("frame_query range", lambda: ids_of(query(frame_query="meta.index:[3 TO 5]").get_iterator()), wanted=ALL[3:6])
    check("source_query", lambda: ids_of(query(source_query="sources.uri:*image*07*").get_iterator()), wanted=["e007"])
    check("label_rules", lambda: ids_of(query(label_rules=[{"label": "rare"}]).get_iterator()), wanted=ALL[::3])
    check(
        "label_rules must_not",
        lambda: ids_of(query(label_rules=[{"label": "rare", "must_not": True}]).get_iterator()),
        wanted=[i for i in ALL if i not in ALL[::3]],
    )
    check(
        "label_rules count_range",
        lambda: query(label_rules=[{"label": "*", "count_range": [6, -1]}]).get_count(),
        wanted=4,
    )
    check(
        "label_rules conf_range",
        lambda: ids_of(query(label_rules=[{"label": "cat", "conf_range": [0.345, 1]}]).get_iterator()),
        wanted=ALL[10:],
    )
    check("filter_by_roi no_rois", lambda: query(filter_by_roi="no_rois").get_count(), wanted=0)
    check(
        "a query that cannot be read",
        lambda: list(query(label_rules=[{"label": "a AND ("}]).get_iterator()),
        raises=True,
    )
    check("iteration_limit", lambda: ids_of(query(iteration_limit=5).get_iterator()), wanted=ALL[:5])
    random = query(iteration_order="random", iteration_random_seed=3)
    order = check("random order", lambda: ids_of(random.get_iterator()), wanted=lambda r: sorted(r) == ALL and r != ALL)
    check(
        "the same random order",
        lambda: ids_of(query(iteration_order="random", iteration_random_seed=3).get_iterator(query_cache_size=4)),
        wanted=order,
    )
    check(
        "infinite with a limit",
        lambda: ids_of(query(iteration_infinite=True, iteration_limit=30).get_iterator()),
        wanted=(ALL * 3)[:30],
    )
    both = DataView(auto_connect_with_task=False, project_name=PROJECT)
    both.add_query(dataset_id=made.dataset_id, version_id=made.version_id, label_rules=[{"label": "rare"}], weight=1.0)
    both.add_query(
        dataset_id=made.dataset_id, version_id=made.version_id, frame_query="NOT meta.index:[0 TO 3]", weight=1.0
    )
    check("two queries: distinct frames", lambda: both.get_count(), wanted=10)
    check("two queries: once each", lambda: sorted(ids_of(both.get_iterator())), wanted=[ALL[0], ALL[3], *ALL[4:]])
    check(
        "synthetic epoch",
        lambda: ids_of(both.get_iterator(allow_repetition=True)),
        wanted=lambda r: len(r) in (15, 16, 17) and {ALL[0], ALL[3]} <= set(r) <= {ALL[0], ALL[3], *ALL[4:]},
    )
    mapped = query()
    check("set_labels", lambda: mapped.set_labels({"cat": 1, "animal": 2}))
    check("add_mapping_rule", lambda: mapped.add_mapping_rule(from_labels=["dog"], to_label="animal"))
    check(
        "labels come back",
        lambda: DataView.get(dataview_id=mapped.store()).get_labels(),
        wanted={"cat": 1, "animal": 2},
    )
    check("mapped view iterates", lambda: len(list(mapped.get_iterator())), wanted=COUNT)
    check("set_iteration_parameters", lambda: mapped.set_iteration_parameters(limit=2))
    check("and its limit holds", lambda: len(list(mapped.get_iterator())), wanted=2)
    check("prefetch_local_sources", lambda: view.prefetch_local_sources(num_workers=2, get_masks=False))


def section_text() -> None:
    made = check("HyperDataset without an image", lambda: HyperDataset(PROJECT, "questions", "v1"))
    found = DataEntry(data_entry_id="q1", metadata={"topic": "rivers"})
    found.add_sub_entries(
        [DataSubEntry("question", "text://q1", metadata={"text": "Which?"}), DataSubEntry("answer", "s3://a/1.txt")]
    )
    check("add plain entries", lambda: made.add_data_entries([found], show_progress=False))
    back = check("plain entries come back", lambda: list(made.get_iterator()), wanted=lambda r: len(r) == 1)
    check("with their class", lambda: type(back[0]).__name__, wanted="DataEntry")
    check("with their metadata", lambda: back[0].to_api_object()["meta"]["question"]["text"], wanted="Which?")


def section_together() -> None:
    """Many small writes into one version, which another process writes to as well."""
    made = check("one version for both", lambda: HyperDataset(PROJECT, "together", "v1"))
    mine = [f"{FOLDER.name}-{number}" for number in range(5)]
    for name in mine:
        found = DataEntry(data_entry_id=name)
        found.add_sub_entries([DataSubEntry("text", f"text://{name}")])
        check(f"add {name}", lambda found=found: made.add_data_entries([found], show_progress=False))
    check("mine are there", lambda: set(mine) <= set(ids_of(made.get_iterator())), wanted=True)


def section_publish() -> None:
    made = HyperDataset(PROJECT, "animals-1", "v1")
    shot = check("create_snapshot", lambda: made.create_snapshot())
    check("the snapshot keeps the id", lambda: shot.version_id, wanted=lambda r: r is not None)
    check("a child has the name", lambda: HyperDataset.exists("animals-1", "v1", PROJECT), wanted=True)
    head = check(
        "the child has the frames",
        lambda: ids_of(HyperDataset.get("animals-1", "v1", PROJECT).get_iterator()),
        wanted=ALL,
    )
    del head
    other = check("another version", lambda: HyperDataset(PROJECT, "animals-1", "v2"))
    check("add to it", lambda: other.add_data_entries([entry(0)], show_progress=False))
    check("publish_version", lambda: other.publish_version())
    check(
        "a child of it",
        lambda: ids_of(HyperDataset(PROJECT, "animals-1", "v3", parent_id=other.version_id).get_iterator()),
        wanted=["e000"],
    )
    check(
        "published refuses frames",
        lambda: other.add_data_entries([entry(1)], show_progress=False),
        wanted=lambda r: "e001" in str(r),
    )
    check("published refuses metadata", lambda: other.set_metadata({"x": 1}), wanted=False)
    check(
        "published is read",
        lambda: ids_of(HyperDataset.get("animals-1", "v2", PROJECT).get_iterator()),
        wanted=["e000"],
    )


def section_delete() -> None:
    check("delete a draft", lambda: HyperDataset.delete("animals-1", "v3", PROJECT), wanted=True)
    check("delete what is published", lambda: HyperDataset.delete("animals-1", "v2", PROJECT), wanted=False)
    check("delete it with force", lambda: HyperDataset.delete("animals-1", "v2", PROJECT, force=True), wanted=True)
    check("delete a dataset", lambda: HyperDataset.delete("questions", project_name=PROJECT), wanted=True)
    check("it is gone", lambda: HyperDataset.exists("questions", project_name=PROJECT), wanted=False)
    check("delete what is not there", lambda: HyperDataset.delete("questions", project_name=PROJECT), wanted=False)


def section_restart() -> None:
    """Somebody stops and starts the server whenever the file `pause` is there; they remove it when it is back."""
    made = HyperDataset("restarts", "d", "v1")
    for number in range(6):
        if number == 3:
            (FOLDER / "pause").touch()  # the next requests meet a server that is going, gone, or coming back
        made.add_data_entries([entry(number)], **UPLOAD)
    check("nothing is lost", lambda: ids_of(made.get_iterator(batch_size=2)), wanted=ALL[:6])
    back = []
    for found in made.get_iterator(batch_size=1):
        if not back:
            (FOLDER / "pause").touch()
        back.append(found.id)
    check("nothing is lost or twice", lambda: back, wanted=ALL[:6])
    part = parts_of(next(iter(made.get_iterator())))[0]
    check(
        "files are there",
        lambda: np.array_equal(np.asarray(Image.open(part.get_local_source())), pixels(0)),
        wanted=True,
    )


def section_killed() -> None:
    """Somebody kills the server in the middle of an upload, of saving frames, and of an iteration, and starts it again."""
    made = HyperDataset("killed", "d", "v1")
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1200, 3), np.uint8)
    entries = []
    for number in range(8):
        path = FOLDER / f"large {number}.png"
        Image.fromarray(noise + np.uint8(number)).save(path, compress_level=0)
        found = DataEntryImage(data_entry_id=f"e{number:03}", metadata={"index": number})
        found.add_sub_entries([DataSubEntryImage(name="image", source=str(path), width=1200, height=1200)])
        entries.append(found)
    (FOLDER / "kill between uploads").touch()
    check("uploads", lambda: made.add_data_entries(entries, **UPLOAD), wanted={"upload": {}, "register": {}})
    for number in range(8, 14):
        if number == 10:
            (FOLDER / "kill").touch()
        check(f"add {number}", lambda number=number: made.add_data_entries([plain(number)], show_progress=False))
    back = []
    for found in made.get_iterator(batch_size=2):
        if len(back) == 3:
            (FOLDER / "kill").touch()
        back.append(found.id)
    check("nothing is lost or twice", lambda: back, wanted=[f"e{number:03}" for number in range(14)])
    for number, found in enumerate(list(made.get_iterator())[:8]):
        check(
            f"file {number}",
            lambda number=number, found=found: np.array_equal(
                np.asarray(Image.open(parts_of(found)[0].get_local_source(raise_on_error=True))),
                noise + np.uint8(number),
            ),
            wanted=True,
        )


def plain(number: int) -> DataEntry:
    """An entry without a file."""
    found = DataEntry(data_entry_id=f"e{number:03}", metadata={"index": number})
    found.add_sub_entries([DataSubEntry("text", f"text://{number:03}")])
    return found


def section_task() -> None:
    from clearml import Task

    task = check(
        "Task.init",
        lambda: Task.init(
            PROJECT, "a task", auto_connect_frameworks=False, auto_resource_monitoring=False, reuse_last_task_id=False
        ),
    )
    made = HyperDataset.get("animals-1", "v1", PROJECT)
    view = DataView(name="of a task", project_name=PROJECT)
    view.add_query(dataset_id=made.dataset_id, version_id=made.version_id)
    check("a view of a task", lambda: ids_of(view.get_iterator()), wanted=ALL)
    check("Task.close", lambda: task.close())


def section_older() -> None:
    """What the clients before 2.1.8 can do: they iterate stored views by id, and know no iterator of a dataset."""
    check("the client is an older one", lambda: version("clearml"), wanted="2.1.7")
    mappings = {"meta.emb": {"type": "dense_vector", "element_type": "float", "dims": 3}}
    made = check("a dataset with vectors", lambda: HyperDataset(PROJECT, "animals-1", "v1", field_mappings=mappings))
    check(
        "add_data_entries with uploads",
        lambda: made.add_data_entries([entry(number) for number in range(COUNT)], **UPLOAD),
        wanted=lambda r: not (r or {}).get("register"),
    )
    check("commit_version", lambda: made.commit_version())
    check("the same again", lambda: HyperDataset(PROJECT, "animals-1", "v1").version_id, wanted=made.version_id)
    check("get", lambda: HyperDataset.get("animals-1", "v1", PROJECT).version_id, wanted=made.version_id)
    check("exists", lambda: HyperDataset.exists("animals-1", "v1", PROJECT), wanted=True)
    check("exists: no such version", lambda: HyperDataset.exists("animals-1", "v9", PROJECT), wanted=False)
    check("list", lambda: [d["name"] for d in HyperDataset.list(project_name=PROJECT)], wanted=["animals-1"])
    for fast in (False, True):
        check(
            f"vector_search, fast={fast}",
            lambda fast=fast: ids_of(made.vector_search([11.0, 1.0, 0.0], "emb", 3, fast=fast)),
            wanted=lambda r: len(r) == 3 and r[0] in ("e010", "e011"),
        )

    def view(*queries: dict[str, Any], **options: Any) -> DataView:
        found = DataView(auto_connect_with_task=False, **options)
        for fields in queries or [{}]:
            found.add_query(dataset_id=made.dataset_id, version_id=made.version_id, **fields)
        return found

    first = check("iterate", lambda: list(view().get_iterator()), wanted=lambda r: ids_of(r) == ALL)
    part = parts_of(first[0])[0]
    check("masks", lambda: part.get_masks_source_dict()["seg"], wanted="s3://masks/0.png")
    check("annotations", lambda: len(list(part.get_all_annotations())), wanted=6)
    check(
        "get_local_source",
        lambda: np.array_equal(np.asarray(Image.open(part.get_local_source())), pixels(0)),
        wanted=True,
    )
    check("get_count", lambda: view().get_count(), wanted=COUNT)
    check("small batches", lambda: ids_of(view().get_iterator(query_cache_size=1)), wanted=ALL)
    check(
        "workers",
        lambda: sorted(i for w in (0, 1) for i in ids_of(view().get_iterator(num_workers=2, worker_index=w))),
        wanted=ALL,
    )
    check("frame_query", lambda: ids_of(view({"frame_query": "meta.index:[3 TO 5]"}).get_iterator()), wanted=ALL[3:6])
    check("label_rules", lambda: ids_of(view({"label_rules": [{"label": "rare"}]}).get_iterator()), wanted=ALL[::3])
    check("limit", lambda: ids_of(view(iteration_limit=5).get_iterator()), wanted=ALL[:5])
    check(
        "random order",
        lambda: ids_of(view(iteration_order="random").get_iterator()),
        wanted=lambda r: sorted(r) == ALL and r != ALL,
    )
    weighted = [{"label_rules": [{"label": "rare"}], "weight": 1.0}, {"frame_query": "NOT meta.index:[0 TO 3]"}]
    check(
        "synthetic epoch",
        lambda: ids_of(view(*weighted).get_iterator(allow_repetition=True)),
        wanted=lambda r: len(r) in (15, 16, 17) and {ALL[0], ALL[3]} <= set(r),
    )
    check("delete a version", lambda: HyperDataset.delete("animals-1", "v1", PROJECT), wanted=True)
    check("delete the dataset", lambda: HyperDataset.delete("animals-1", project_name=PROJECT), wanted=True)
    check("it is gone", lambda: HyperDataset.exists("animals-1", project_name=PROJECT), wanted=False)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        globals()[f"section_{name}"]()
    print(json.dumps({"call": "end", "wrong": None}), flush=True)
