"""`smalti demo`: a synthetic street, and the main job done on it."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from smalti.blend import overlay
from smalti.cli.output import as_json, json_option, say
from smalti.decode import Lossy
from smalti.demo import Street, write_demo
from smalti.frames import FrameGroup, SingleFrame
from smalti.lint import check
from smalti.plots import bar_chart
from smalti.reading import read_frame, read_frames
from smalti.stats import count_labels

__all__ = ["demo"]


@click.command()
@click.argument("folder", default="smalti-demo", type=click.Path(file_okay=False))
@click.option("--serve", "opens_browser", is_flag=True, help="Keep it in a store and open that in the browser.")
@json_option
@click.pass_context
def demo(context: click.Context, folder: str, opens_browser: bool, as_json_text: bool) -> int:
    """Make a small street in FOLDER, decode its masks, draw, count and check them. Needs no network."""
    root = Path(folder)
    write_demo(root)
    if opens_browser:
        _serve(context, root)
        return 0
    out = root / "out"
    out.mkdir(exist_ok=True)
    facts = {"folder": folder, "label_map": _overlays(root, out), "clip": _clip(root, out)}
    totals = count_labels(read_frames(root / "frames.jsonl"), mask_id="seg")
    rows = totals.to_dict()["labels"]
    shares = [(row["label"], row["pixel_share"] * 100) for row in rows]
    (out / "labels.svg").write_text(bar_chart("Pixels per label", shares, unit="%"), encoding="utf-8")
    report = check([root / "frames.jsonl", root / "clip.json"])
    (out / "check.json").write_text(report.to_json(), encoding="utf-8")
    if as_json_text:
        as_json({**facts, "check": report.counts(), "ok": report.ok})
        return 0 if report.ok else 1
    say(f"frame    {facts['label_map']}")
    say(f"clip     {facts['clip']}")
    say("labels   " + ", ".join(f"{name} {share:.1f}%" for name, share in shares[:5]) + ", …")
    say(f"check    {report!r}")
    say("")
    _say_next(folder)
    return 0 if report.ok else 1


def _serve(context: click.Context, root: Path) -> None:
    """A store with the street in two versions, and its pages."""
    from smalti.cli.serve import serve
    from smalti.store import open_store

    place = root / "store"
    with open_store(str(place)) as store:
        if "street" not in store:
            version = store.create_dataset("street", "demo", description="A small synthetic street").create_version(
                "v1"
            )
            version.add_frames([*read_frames(root / "frames.jsonl"), *read_frames(root / "clip.json")], facts=True)
            version.publish()
            version.child("v2").delete_frames(["street_07"])
    context.invoke(serve, store=str(place), roots=(str(root.resolve()),))


def _only(path: Path) -> SingleFrame:
    frame = read_frame(path)
    if isinstance(frame, FrameGroup):
        return next(iter(frame.values()))
    return frame


def _overlays(root: Path, out: Path) -> str:
    frame = _only(root / "frame.json")
    seg = frame.label_map("seg")
    _save(out / "overlay.png", overlay(frame.image(), seg, 0.5, outline=True))
    _save(out / "objects.png", overlay(frame.image(), frame.label_map("objects"), 0.6))
    return repr(seg)


def _clip(root: Path, out: Path) -> str:
    """The clip's mask went through H.264: say how many pixels each reading of it gets right."""
    frame = _only(root / "clip.json")
    truth = Street().at(frame.timestamp / 1000).labels
    right = {}
    policies: tuple[Lossy, ...] = ("exact", "nearest", "repair")
    for policy in policies:
        seg = frame.label_map(lossy=policy)
        right[policy] = float(np.mean(seg.data == truth))
    _save(out / "clip_overlay.png", overlay(frame.image(), frame.label_map(), 0.5))
    return "H.264 mask read right: " + ", ".join(f"{policy} {share:.1%}" for policy, share in right.items())


def _save(path: Path, rgb: NDArray[np.uint8]) -> None:
    from PIL import Image

    Image.fromarray(rgb).save(path)


def _say_next(folder: str) -> None:
    say(f"wrote {folder}/out: overlay.png, objects.png, clip_overlay.png, labels.svg, check.json")
    say("go on with")
    say(f"  smalti look {folder}/frame.json --mask seg --label car -o car.png")
    say(f"  smalti look {folder}/clip.json --sheet 9 -o sheet.png")
    say(f"  smalti check {folder}/frames.jsonl")
    say(f"  smalti stats {folder}/frames.jsonl --plot labels.svg")
    say(f"  smalti demo {folder} --serve          # the same in the browser")
