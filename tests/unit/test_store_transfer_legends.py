"""Files of frames and the legends that they bring: both are taken, or neither."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from smalti.cli import main
from smalti.errors import FrameError
from smalti.records import Frame, Mask, Source
from smalti.store import open_store
from smalti.store.dataset import Dataset
from smalti.store.transfer import legend_beside

CAR = {"seg": {1: "car"}}


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
