"""Views as NumPy batches, Hugging Face datasets and WebDataset shards."""

import io
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DecodeError, MissingExtra
from smalti.feed.samples import Sample, Samples
from smalti.order import Shard

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["batches", "to_huggingface", "write_webdataset"]


def batches(view: "DataView", batch_size: int, **options: Any) -> Iterator[tuple[NDArray[np.uint8], NDArray[Any]]]:
    """(uint8 (B, H, W, 3), (B, H, W) class numbers), in the view's order; an endless view goes on for ever.

    Args:
        view: what to read.
        batch_size: the last one may be smaller.
        **options: see `smalti.feed.samples.SampleOptions`.
    """
    samples = _samples(view, options, batch_size)
    while held := list(islice(samples, batch_size)):
        sizes = {sample.mask.shape for sample in held}
        if len(sizes) > 1:
            raise DecodeError(
                f"a batch has pictures of sizes {sorted(sizes)} (H, W); give crop=(height, width), or batch_size=1"
            )
        yield np.stack([s.image for s in held]), np.stack([s.mask for s in held])


def to_huggingface(view: "DataView", **options: Any) -> Any:
    """A `datasets.Dataset` with columns id, image and mask (class numbers as a grey image)."""
    try:
        import datasets
    except ImportError:
        raise MissingExtra("smalti.feed.arrays.to_huggingface", "datasets") from None

    def rows() -> Iterator[dict[str, Any]]:
        for sample in _finite(view, options):
            yield {"id": sample.frame_id, "image": _png(sample.image), "mask": _png(_storable(sample.mask))}

    features = datasets.Features({"id": datasets.Value("string"), "image": datasets.Image(), "mask": datasets.Image()})
    made = [
        {**row, "image": {"bytes": row["image"], "path": None}, "mask": {"bytes": row["mask"], "path": None}}
        for row in rows()
    ]
    return datasets.Dataset.from_list(made, features=features)


def write_webdataset(view: "DataView", folder: str | Path, *, per_shard: int = 1000, **options: Any) -> list[Path]:
    """Tar shards of `ID.png` (image) and `ID.mask.png` (class numbers, 8 or 16 bits); returns their paths."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    shard: tarfile.TarFile | None = None
    try:
        for number, sample in enumerate(_finite(view, options)):
            if number % per_shard == 0:
                if shard is not None:
                    shard.close()
                written.append(root / f"shard-{len(written):06d}.tar")
                shard = tarfile.open(written[-1], "w")  # noqa: SIM115 - closed when the next one begins
            name = f"{number:09d}_{''.join(c if c.isalnum() or c in '-_' else '_' for c in sample.frame_id)}"
            for ending, data in (("png", _png(sample.image)), ("mask.png", _png(_storable(sample.mask)))):
                entry = tarfile.TarInfo(f"{name}.{ending}")
                entry.size = len(data)
                if shard is not None:
                    shard.addfile(entry, io.BytesIO(data))
    finally:
        if shard is not None:
            shard.close()
    return written


def _samples(view: "DataView", options: dict[str, Any], at_once: int = 16) -> Iterator[Sample]:
    return Samples(view, **options).stream(Shard(), at_once=max(1, at_once))


def _finite(view: "DataView", options: dict[str, Any]) -> Iterator[Sample]:
    len(Samples(view, **options))  # refuses a view that never ends
    return _samples(view, options)


def _storable(mask: NDArray[Any]) -> NDArray[Any]:
    low, high = (int(mask.min()), int(mask.max())) if mask.size else (0, 0)
    if low < 0 or high > 0xFFFF:
        raise ValueError(f"class numbers {low}..{high} do not fit a PNG; map void and labels to 0..65535")
    return mask.astype(np.uint8 if high <= 0xFF else np.uint16)


def _png(pixels: NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
