"""`smalti look` and `smalti decode`: one frame's mask, over its image or as numbers."""

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from smalti.blend import overlay
from smalti.cli.legends import read_legend
from smalti.cli.output import as_json, check_output, json_option, say
from smalti.errors import DecodeError, FrameError, MaskReferenceError
from smalti.frames import FrameGroup, SingleFrame
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.reading import read_frames

__all__ = ["decode", "look"]

_mask = click.option("--mask", "mask_id", help="Id of the mask, where the frame has several.")
_source = click.option("--source", help="Id of the source, where the frame has several.")
_frame_id = click.option("--frame", "frame_id", help="Id of the frame, where the file has several.")
_legend = click.option("--legend", type=click.Path(), help="A legend file to read the mask with.")
_scheme = click.option("--scheme", help="The id scheme of an id mask: coco, cityscapes, ade20k, bdd100k, plain, …")
_lossy = click.option(
    "--lossy", type=click.Choice(["auto", "exact", "nearest", "repair"]), default="auto", show_default=True
)
_tolerance = click.option("--tolerance", type=int, help="With nearest: largest difference in any channel, in levels.")
_clamp = click.option(
    "--clamp", is_flag=True, help="A time outside the mask's clip takes its first or last picture, and is noted."
)
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_CLIPS = (".mp4",)


@click.command()
@click.argument("frame", type=click.Path())
@click.option("-o", "--output", default="overlay.png", show_default=True, help="PNG, JPEG or, for a clip, MP4.")
@_mask
@_source
@_frame_id
@_legend
@_scheme
@_lossy
@_tolerance
@_clamp
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True)
@click.option("--label", "labels", multiple=True, help="Show only this label; may be given again.")
@click.option("--outline", is_flag=True, help="Draw the borders between labels.")
@click.option("--sheet", type=click.IntRange(1, 100), help="For a clip: a contact sheet of so many pictures.")
@json_option
def look(
    frame: str,
    output: str,
    opacity: float,
    labels: tuple[str, ...],
    outline: bool,
    sheet: int | None,
    as_json_text: bool,
    **chosen: Any,
) -> None:
    """Show the mask of FRAME (a JSON file) over its image."""
    check_output(output, _PICTURES if sheet is not None else (*_PICTURES, *_CLIPS), "an overlay")
    single, seg_options, mask_id = _choose(frame, chosen)
    style = {"opacity": opacity, "labels": list(labels) or None, "outline": outline}
    if sheet is not None or output.lower().endswith(".mp4"):
        from smalti.cli.sheet import write_clip

        facts = write_clip(single, mask_id, seg_options, style, output, sheet)
    else:
        seg = single.label_map(mask_id, **seg_options)
        image = _image_for(single, seg)
        _save_picture(overlay(image, seg, **style), output)  # type: ignore[arg-type]
        notes = [*seg.notes, *([] if single.source else ["the frame names no image: the labels are shown on black"])]
        facts = {
            "labels": seg.counts(),
            "void": seg.void,
            "policy": seg.policy,
            "settled": dict(seg.settled),
            "notes": notes,
        }
        if not as_json_text:
            say(repr(seg))
            for note in notes:
                say(f"note: {note}")
    if as_json_text:
        as_json({"output": output, **facts})
    else:
        say(f"wrote {output}")


@click.command()
@click.argument("frame", type=click.Path())
@click.option("-o", "--output", default="labels.png", show_default=True, help="8- or 16-bit PNG, or .npy.")
@_mask
@_source
@_frame_id
@_legend
@_scheme
@_lossy
@_tolerance
@_clamp
@click.option("--ids", is_flag=True, help="Write the raw ids of an id mask instead of entry numbers.")
@json_option
def decode(frame: str, output: str, ids: bool, as_json_text: bool, **chosen: Any) -> None:
    """Write the label map of FRAME: 0 is void, entry numbers start at 1."""
    check_output(output, (".png", ".npy"), "a label map")
    single, seg_options, mask_id = _choose(frame, chosen)
    seg = single.label_map(mask_id, **seg_options)
    numbers = seg.ids if ids else seg.data
    if output.lower().endswith(".npy"):
        np.save(output, numbers)
    else:
        _save_numbers(numbers, output)
    entries = [{"index": i, "labels": list(e.labels), "value": e.value} for i, e in enumerate(seg.legend, 1)]
    if as_json_text:
        height, width = seg.size_hw
        facts = {"policy": seg.policy, "settled": dict(seg.settled), "notes": list(seg.notes)}
        as_json(
            {
                "output": output,
                "width": width,
                "height": height,
                "dtype": str(numbers.dtype),
                "legend": entries,
                **facts,
            }
        )
        return
    say(repr(seg))
    for note in seg.notes:
        say(f"note: {note}")
    say("numbers: 0 void; " + "; ".join(f"{e['index']} {'/'.join(e['labels'])}" for e in entries[:40]))  # type: ignore[arg-type]
    say(f"wrote {output}")


def _choose(path: str, chosen: dict[str, Any]) -> tuple[SingleFrame, dict[str, Any], str | None]:
    """The frame and source that are meant, and the options of `label_map`."""
    wanted = chosen["frame_id"]
    listed = list(read_frames(path)) if wanted is None else [f for f in read_frames(path) if f.id == wanted]
    if len(listed) != 1:
        raise FrameError(_which(path, wanted, listed or list(read_frames(path))))
    frame = listed[0]
    legend = read_legend(chosen["legend"], chosen["scheme"])
    if isinstance(frame, FrameGroup):
        frame = frame[_source_in(frame, chosen, legend)]
    elif chosen["source"] not in (None, frame.source_id):
        raise MaskReferenceError(
            f"{path}: source {chosen['source']!r} was asked for; the frame has {frame.source_id!r}",
            known=[frame.source_id],
        )
    options = {"legend": legend, **{name: chosen[name] for name in ("lossy", "tolerance", "clamp")}}
    return frame, options, chosen["mask_id"]


def _which(path: str, wanted: str | None, listed: Sequence[SingleFrame | FrameGroup]) -> str:
    """Why no frame was chosen, and which there are."""
    if not listed:
        return f"{path}: there is no frame in it; name a file with frames"
    known = ", ".join(f.id for f in listed[:8]) + (f", … {len(listed) - 8} more" if len(listed) > 8 else "")
    if wanted is None:
        return f"{path}: holds {len(listed)} frames; name one with --frame: {known}"
    same = sum(f.id == wanted for f in listed)
    found = f"{same} frames have" if same else "no frame has"
    return f"{path}: {found} the id {wanted!r}; name one with --frame: {known}"


def _source_in(group: FrameGroup, chosen: dict[str, Any], legend: Legend | None) -> str:
    from smalti.binding import resolve

    return resolve(group, legend).plan(chosen["mask_id"], chosen["source"]).source.id


def _image_for(frame: SingleFrame, seg: LabelMap) -> Any:
    """The image as stored; upright where only then its size is the mask's."""
    if not frame.source:
        return np.zeros((*seg.size_hw, 3), np.uint8)
    image = frame.image()
    if image.shape[:2] != seg.size_hw:
        upright = frame.image(upright=True)
        if upright.shape[:2] == seg.size_hw:
            return upright
    return image


def _save_picture(rgb: Any, output: str) -> None:
    from PIL import Image

    Image.fromarray(rgb).save(output)


def _save_numbers(numbers: Any, output: str) -> None:
    from PIL import Image

    if numbers.size and int(numbers.max()) > 0xFFFF:
        raise DecodeError(
            f"{output}: the largest number is {int(numbers.max())}, which 16-bit PNG cannot hold; write .npy"
        )
    Image.fromarray(numbers.astype(np.uint16) if numbers.dtype == np.uint32 else numbers).save(output)
