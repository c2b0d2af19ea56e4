"""Damaged masks into clean ones: never in place, and with numbers before and after.

| fault | what shows it | what is done |
|---|---|---|
| lossy-colors | a lossy codec, or blended colours inside a lossless file | nearest colour, then repair from neighbours |
| anti-aliased | colours of no entry along edges | the same |
| legend-off | the legend misses the mask's colours by a level or two | nearest colour |
| alpha-noise | an alpha channel in a mask of colours or indices | alpha is dropped, the colour under it counts |
| palette-as-rgb | VOC's palette colours where the legend says indices | colours back to indices |
| index-shift | indices that fit the legend only when shifted by one | shifted, if the caller asks for it |
| size-off | one or two rows or columns more or fewer than the image | cut off, or the last one repeated |

Ids are never repaired: neighbouring numbers are different objects.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.binding import MaskPlan, resolve
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.convert import png_bytes, smallest_dtype
from smalti.decode import decode_raster
from smalti.errors import DecodeError, FrameError, SmaltiError
from smalti.formats.content import single_frames
from smalti.formats.output import fresh_folder, safe_name
from smalti.formats.protocol import AnyFrame
from smalti.frames import SingleFrame
from smalti.legend import Legend, voc_color
from smalti.parallel import ordered_map
from smalti.pixels import mask_raster, source_raster

__all__ = ["FAULTS", "MaskRepair", "Repaired", "repair_frames", "repair_raster"]

FAULTS = ("lossy-colors", "anti-aliased", "legend-off", "alpha-noise", "palette-as-rgb", "index-shift", "size-off")
MAX_SIZE_DIFFERENCE = 2
"""Rows or columns by which a mask may miss its image and still be taken for a slip."""
_MIX_LEVELS = 6
"""How far, in levels of a channel, a colour may lie off the line between two legend colours and still be their mix."""
_MOST_COLORS = 4096


@dataclass(frozen=True, slots=True)
class MaskRepair:
    """What was done to one mask.

    Attributes:
        frame, mask: ids.
        faults: of `FAULTS`; () = the mask is clean and stays where it is.
        exact_before: share of pixels that an entry explained exactly; `explained_after`: that one explains now.
        changed: pixels whose stored value is another now.
        output: the clean mask, None where there was nothing to do.
        note: why a mask was left alone.
    """

    frame: str
    mask: str
    faults: tuple[str, ...] = ()
    exact_before: float = 1.0
    explained_after: float = 1.0
    changed: int = 0
    output: str | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Repaired:
    """The clean samples of a mask, and how they came about."""

    samples: NDArray[Any]
    faults: list[str] = field(default_factory=list)
    exact_before: float = 1.0
    explained_after: float = 1.0
    changed: int = 0


def repair_raster(
    raster: Raster, legend: Legend, *, size_hw: tuple[int, int] | None = None, shift: bool = False
) -> Repaired:
    """The mask as it should have been stored: legend colours in RGB, or indices.

    Args:
        raster: the stored samples.
        legend: what the values mean; of colours or indices.
        size_hw: of the image; None = unknown.
        shift: let indices that fit only when moved by one be moved.

    Raises:
        DecodeError: an id mask; sizes that differ by more than a slip.
    """
    if legend.kind == "ids":
        raise DecodeError("the mask stores ids, which are never repaired: neighbouring numbers are different objects")
    faults: list[str] = []
    if raster.alpha is not None and raster.mode != "palette":
        if int(raster.alpha.min()) != int(raster.alpha.max()):
            faults.append("alpha-noise")
        raster = _without_alpha(raster)
    stored = _stored(raster, legend)
    if legend.kind == "indices":
        samples, exact = _indices(raster, stored, legend, faults, shift)
        explained = _share_known(samples, legend)
    else:
        samples, exact, explained = _colors(raster, stored, legend, faults)
    comparable = stored if stored.shape == samples.shape else None
    changed = samples.shape[0] * samples.shape[1]
    if comparable is not None:
        differs = comparable != samples
        changed = int(np.count_nonzero(differs.any(axis=-1) if differs.ndim == 3 else differs))
    if size_hw is not None and size_hw != samples.shape[:2]:
        samples = _fitted(samples, size_hw)
        faults.append("size-off")
    return Repaired(samples, faults, exact, explained, changed)


def _without_alpha(raster: Raster) -> Raster:
    from dataclasses import replace

    return replace(raster, alpha=None)


def _stored(raster: Raster, legend: Legend) -> NDArray[Any]:
    if legend.kind == "colors" or raster.data is None or raster.mode == "rgb":
        return to_rgb(raster)
    return raster.data


def _colors(
    raster: Raster, stored: NDArray[np.uint8], legend: Legend, faults: list[str]
) -> tuple[NDArray[np.uint8], float, float]:
    exact = decode_raster(raster, legend, lossy="exact")
    share = 1 - exact.void / max(exact.data.size, 1)
    found = exact
    if exact.void:
        found = decode_raster(raster, legend, lossy="auto")
        if found.policy == "exact":
            # Nothing speaks of a codec: blends along edges are repaired, areas of a stranger stay what they are.
            is_blended = _is_blended(stored, exact.data == 0, legend)
            found = decode_raster(raster, legend, lossy="repair") if is_blended else exact
        if found.policy == "nearest" and not raster.lossy:
            faults.append("legend-off")
        elif found.policy == "repair":
            faults.append("lossy-colors" if raster.lossy or share < 0.9 else "anti-aliased")
    palette = legend.display_colors()
    if any(e.color is not None and min(e.color) < 0 for e in legend):
        raise DecodeError("the legend has colors with -1 (any), so no single color can be written; name the colors")
    samples = palette[found.data]
    unexplained = found.data == 0
    # What nothing explains keeps its value: a repair never hides a stranger.
    samples[unexplained] = stored[unexplained]
    return samples, share, 1 - float(np.count_nonzero(unexplained)) / max(found.data.size, 1)


def _is_blended(stored: NDArray[np.uint8], strange: NDArray[np.bool_], legend: Legend) -> bool:
    """Whether strange pixels are thin and mixes of two legend colours: a class that the legend lacks is neither."""
    thick = strange
    for _ in range(2):
        padded = np.pad(thick, 1, constant_values=True)
        thick = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & thick
    total = int(np.count_nonzero(strange))
    if int(np.count_nonzero(thick)) * 4 >= total:
        return False
    keys, counts = kernels.count_colors(np.ascontiguousarray(stored[strange][None]))
    known = np.array([e.color for e in legend if e.color is not None and min(e.color) >= 0], np.float32)
    if len(known) < 2:
        return False
    commonest = np.argsort(-counts)[:_MOST_COLORS]
    keys, counts = keys[commonest], counts[commonest]
    colors = np.stack([keys >> 16, keys >> 8 & 255, keys & 255], axis=1).astype(np.float32)
    mixed = np.zeros(len(colors), bool)
    for position, one in enumerate(known[:-1]):
        along = known[position + 1 :] - one
        share = ((colors[:, None] - one) * along).sum(axis=2) / (along**2).sum(axis=1)
        nearest = one + share.clip(0, 1)[..., None] * along
        mixed |= (np.abs(nearest - colors[:, None]).max(axis=2) <= _MIX_LEVELS).any(axis=1)
    return bool(counts[mixed].sum() >= 0.9 * counts.sum())


def _indices(
    raster: Raster, stored: NDArray[Any], legend: Legend, faults: list[str], shift: bool
) -> tuple[NDArray[Any], float]:
    samples = stored
    exact = 0.0
    if raster.lossy and raster.mode in ("ycc", "grey"):
        found = decode_raster(raster, legend)
        codes = np.array([0, *(e.code or 0 for e in legend)], np.uint32)
        faults.append("lossy-colors")
        grey = to_rgb(raster)[..., 0]
        exact = _share_known(grey, legend)
        samples = codes[found.data].astype(smallest_dtype(int(codes.max(initial=0))))
        samples[found.data == 0] = grey[found.data == 0]
        return samples, exact
    if samples.ndim == 3:
        same = (samples[..., 0] == samples[..., 1]).all() and (samples[..., 0] == samples[..., 2]).all()
        if same:
            samples = np.ascontiguousarray(samples[..., 0])
            exact = _share_known(samples, legend)
        else:
            samples = _from_palette_colors(samples)
            faults.append("palette-as-rgb")
    else:
        exact = _share_known(samples, legend)
    if exact < 1 and shift and "palette-as-rgb" not in faults:
        for step in (-1, 1):
            moved = samples.astype(np.int64) + step
            if moved.min() >= 0 and _share_known(moved.astype(np.uint32), legend) == 1:
                samples = moved.astype(samples.dtype)
                faults.append("index-shift")
                break
    return samples, exact


def _from_palette_colors(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """VOC's palette colours → indices.

    Raises:
        DecodeError: a colour is none of them.
    """
    keys = np.array([r << 16 | g << 8 | b for r, g, b in (voc_color(i) for i in range(256))], np.uint32)
    order = np.argsort(keys).astype(np.uint16)
    found = kernels.gather_exact(np.ascontiguousarray(pixels), keys[order], order + np.uint16(1))
    if (strangers := int(np.count_nonzero(found == 0))) > 0:
        raise DecodeError(
            f"the legend speaks of indices, the mask has colors, and {strangers} pixels are no color of the VOC palette; "
            "give a legend with colors"
        )
    return (found - 1).astype(np.uint8)


def _share_known(samples: NDArray[Any], legend: Legend) -> float:
    size = int(samples.max(initial=0)) + 1
    known = legend.code_table(size) > 0
    counts = kernels.count(np.ascontiguousarray(samples), size)
    return float(counts[known].sum() / max(counts.sum(), 1))


def _fitted(samples: NDArray[Any], size_hw: tuple[int, int]) -> NDArray[Any]:
    height, width = size_hw
    missing = (height - samples.shape[0], width - samples.shape[1])
    if max(map(abs, missing)) > MAX_SIZE_DIFFERENCE:
        raise DecodeError(
            f"the mask is {samples.shape[:2]}, the image {size_hw} (H, W): more than a slip of {MAX_SIZE_DIFFERENCE} pixels; "
            "find the right pair, or resize on purpose"
        )
    cut = samples[:height, :width]
    grow = [(0, max(missing[0], 0)), (0, max(missing[1], 0))] + [(0, 0)] * (samples.ndim - 2)
    return np.pad(cut, grow, mode="edge")


def repair_frames(
    frames: Iterable[AnyFrame],
    folder: Path,
    *,
    legend: Any = None,
    shift: bool = False,
    fit_size: bool = True,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[SingleFrame, list[MaskRepair]]]:
    """Write clean copies of damaged masks into a new folder; the frames that come out point to them.

    Args:
        frames: the frames; they are not changed, copies come out.
        folder: a new or empty folder for the clean masks.
        legend: fills in what the frames do not say.
        shift: as in `repair_raster`.
        fit_size: look at the size of the images.
        workers: threads; None = one per core.
        progress: called with the number of frames done so far.
    """
    with fresh_folder(folder):
        done = ordered_map(
            lambda frame: _repair_frame(frame, folder, legend, (shift, fit_size)),
            single_frames(frames),
            workers=workers,
        )
        for number, pair in enumerate(done, 1):
            yield pair
            if progress is not None:
                progress(number)


def _repair_frame(
    frame: SingleFrame, folder: Path, legend: Any, how: tuple[bool, bool]
) -> tuple[SingleFrame, list[MaskRepair]]:
    twin = frame.copy()
    twin.id = frame.id
    twin.record.context_id = frame.record.context_id
    rows = []
    for plan in resolve(twin.record, legend if legend is not None else twin.mask_labels).masks:
        rows.append(_repair_mask(twin, plan, folder, how))
    return twin, rows


def _repair_mask(frame: SingleFrame, plan: MaskPlan, folder: Path, how: tuple[bool, bool]) -> MaskRepair:
    shift, fit_size = how
    mask = plan.mask
    if plan.is_alpha or plan.legend is None or plan.scheme is not None or plan.legend.kind == "ids":
        return MaskRepair(frame.id, mask.id, note="ids and alpha masks are left as they are")
    try:
        raster = mask_raster(mask, frame.base)
        size = _image_size(frame, plan) if fit_size else None
        found = repair_raster(raster, plan.legend, size_hw=size, shift=shift)
    except (SmaltiError, OSError) as error:
        return MaskRepair(frame.id, mask.id, exact_before=0.0, explained_after=0.0, note=str(error))
    if not found.faults:
        return MaskRepair(frame.id, mask.id, (), found.exact_before, found.explained_after)
    output = folder / safe_name(mask.id) / f"{safe_name(frame.id)}.png"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(png_bytes(found.samples))
    mask.uri, mask.content_type, mask.timestamp = str(output.resolve()), "image/png", 0
    mask.encoding = "rgb" if found.samples.ndim == 3 else "index"
    mask.height, mask.width = int(found.samples.shape[0]), int(found.samples.shape[1])
    return MaskRepair(
        frame.id,
        mask.id,
        tuple(found.faults),
        found.exact_before,
        found.explained_after,
        found.changed,
        str(output),
    )


def _image_size(frame: SingleFrame, plan: MaskPlan) -> tuple[int, int] | None:
    if plan.source.height and plan.source.width:
        return plan.source.height, plan.source.width
    if not plan.source.uri:
        return None
    try:
        return source_raster(plan.source, frame.base).size_hw
    except (FrameError, DecodeError, OSError):
        return None
