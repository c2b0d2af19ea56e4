"""Files of frames and the legends that they bring: both are taken, or neither."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from smalti.cli import main
from smalti.errors import FrameError, LegendError
from smalti.legend import Legend
from smalti.records import Frame, Mask, Source
from smalti.store import open_store
from smalti.store.dataset import Dataset
from smalti.store.transfer import legend_beside, legend_of

CAR = {"seg": {1: "car"}}
SKY = {"seg": {1: "sky"}}


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return open_store(tmp_path / "store").create_dataset("mix")


def exported(data: Dataset, path: Path, legend: Any, *names: str) -> Path:
    version = data.create_version(f"of {'-'.join(names)} {len(data.versions())}")
    version.add_frames([Frame(id=n, sources=[Source(id="a", uri=n, masks=[Mask(id="seg", uri="m")])]) for n in names])
    version.set_masks_labels(legend)
    assert version.export_file(path) == len(names)
    return path


def without_id(path: Path) -> None:
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.feather.read_table(path)
    table = table.drop_columns(["id"])
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        pa.feather.write_feather(table, path)


@pytest.mark.parametrize("door", ["import_file", "command line"])
@pytest.mark.parametrize(
    ("ending", "error"), [("parquet", FrameError), ("arrow", FrameError), ("jsonl", FileNotFoundError)]
)
def test_a_file_that_cannot_be_taken_leaves_the_legend_alone(
    data: Dataset, tmp_path: Path, ending: str, error: type[Exception], door: str
) -> None:
    path = exported(data, tmp_path / f"frames.{ending}", CAR, "a")
    if ending == "jsonl":
        path.unlink()
        assert legend_beside(path).exists()
    else:
        without_id(path)
    version = data.create_version("w")
    if door == "import_file":
        with pytest.raises(error, match="frames.jsonl" if ending == "jsonl" else "lacks the column 'id'"):
            version.import_file(path)
    else:
        with pytest.raises(SystemExit) as left:
            main(["frames", "add", "mix@w", str(path), "--store", str(tmp_path / "store")])
        assert left.value.code == 2
    assert (len(version), data["w"].get_masks_labels()) == (0, {})


def meaning(path: Path) -> Any:
    return {key: rows[0]["labels"] for key, rows in legend_of(path).items()}


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(("old", "new"), [(CAR, SKY), (CAR, {}), ({}, SKY), (None, SKY)])
def test_frames_never_stand_beside_a_legend_of_others(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: Any, new: Any, at: int
) -> None:
    path = tmp_path / "out" / "frames.jsonl"
    if old is not None:
        exported(data, path, old, "a")
    steps: list[Path] = []
    with monkeypatch.context() as patched:
        for name in ("replace", "unlink"):
            step = getattr(Path, name)

            def stopped(self: Path, *given: Any, step: Any = step, **options: Any) -> Any:
                places = [self, *given]
                if any(place in (path, legend_beside(path)) for place in places):
                    steps.append(self)
                    if len(steps) == at + 1:
                        raise KeyboardInterrupt
                return step(self, *given, **options)

            patched.setattr(Path, name, stopped)
        with pytest.raises(KeyboardInterrupt):
            exported(data, path, new, "b", "c")
    assert not list(path.parent.glob(".*"))
    version = data.create_version("w")
    try:
        version.import_file(path)
    except (LegendError, FileNotFoundError):
        assert (len(version), version.get_masks_labels()) == (0, {})
    else:
        frames = [frame.id for frame in version.records()]
        kept = {key: {1: rows[0]["labels"][0]} for key, rows in version.get_masks_labels().items()}
        assert (frames, kept) in ((["a"], old), (["b", "c"], new))


def test_a_legend_of_frames_that_were_changed_is_refused_and_what_to_do_helps(data: Dataset, tmp_path: Path) -> None:
    path = exported(data, tmp_path / "frames.jsonl", CAR, "a")
    beside = legend_beside(path)
    assert meaning(path) == {"seg": ["car"]}
    for changed in (path.read_bytes().replace(b'"a"', b'"b"', 1), path.read_bytes() * 2):
        path.write_bytes(changed)
        with pytest.raises(LegendError, match=r"has the legends of other frames .* export them again, or remove"):
            legend_of(path)
    kept = msgspec.json.decode(beside.read_bytes())
    del kept["of"]
    beside.write_bytes(msgspec.json.encode(kept))
    assert meaning(path) == {"seg": ["car"]}
    beside.write_bytes(msgspec.json.encode(kept["mask_labels"]))  # made by hand
    assert meaning(path) == {"seg": ["car"]}
    beside.unlink()
    assert legend_of(path) == {}


def test_an_exported_legend_of_all_masks_is_a_legend_file(data: Dataset, tmp_path: Path) -> None:
    path = exported(data, tmp_path / "frames.jsonl", Legend({1: "car"}), "a")
    assert Legend.read(legend_beside(path)) == Legend({1: "car"})
