"""check(): every frame on its own, several at a time, then what only the whole set can show."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smalti.binding import MaskPlan
from smalti.errors import FrameError, SmaltiError
from smalti.formats.folder import Unpaired, read_folder
from smalti.frames import FrameGroup, SingleFrame, handle_of
from smalti.legend import Legend
from smalti.lint.colors import find
from smalti.lint.frame import Files, FrameLook, look_at_frame
from smalti.lint.report import Finding, Report
from smalti.parallel import ordered_map
from smalti.reading import read_frames
from smalti.records import Frame

__all__ = ["check"]

AnyFrame = SingleFrame | FrameGroup
Checkable = str | Path | SingleFrame | FrameGroup | Frame


@dataclass(slots=True)
class _Whole:
    """What is gathered over all frames."""

    findings: list[Finding] = field(default_factory=list)
    frames: int = 0
    masks: int = 0
    ids: Counter[str] = field(default_factory=Counter)
    used: dict[Legend, set[int]] = field(default_factory=lambda: defaultdict(set))
    modes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def check(
    frames: Checkable | Iterable[Checkable],
    *,
    legend: Any = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    files: Files | None = None,
) -> Report:
    """Look at frames, their files and their masks, and say what is wrong, where, and what to do.

    Args:
        frames: frames, paths of frame files (JSON, JSON-lines), folders of images + masks + legend, or a mix.
        legend: a Legend or the version form; fills in what frames do not say.
        workers: threads; default: one per core.
        progress: called with the number of frames done so far.
        files: reads the files that frames name; None = this process.

    Returns:
        A Report: `findings` (code, severity, where, message, hint), `ok`, `to_json()`. Nothing is raised for bad data.
    """
    whole = _Whole()
    problems: list[Finding] = []
    if not isinstance(frames, (str, Path, SingleFrame, FrameGroup, Frame, Iterable)):
        raise FrameError(
            f"check was given a {type(frames).__name__}; it takes frames, or paths of frame files and folders"
        )
    listed = [frames] if isinstance(frames, (str, Path, SingleFrame, FrameGroup, Frame)) else frames
    stream = _handles(listed, problems, legend)
    for look in ordered_map(lambda item: look_at_frame(item[0], item[1], item[2], files), stream, workers=workers):
        _gather(whole, look)
        if progress is not None:
            progress(whole.frames)
    whole.findings += problems
    whole.findings += _over_all(whole)
    if not whole.frames and not whole.findings:
        whole.findings.append(
            find(
                "nothing-checked",
                "input",
                "there is no frame in it",
                "name a frame file, or a folder with images and masks",
            )
        )
    return Report(whole.findings, frames=whole.frames, masks=whole.masks)


Item = tuple[AnyFrame, str, Any]


def _handles(listed: Iterable[Checkable], problems: list[Finding], legend: Any) -> Iterator[Item]:
    """(frame, what to call it, legend) of everything that was named; what cannot be read becomes a finding."""
    for position, item in enumerate(listed):
        if isinstance(item, (SingleFrame, FrameGroup)):
            yield item, f"frame {item.id}", legend
        elif isinstance(item, Frame):
            handle = handle_of(item)
            yield handle, f"frame {handle.id}", legend
        elif isinstance(item, (str, Path)):
            yield from _of_path(str(item), problems, legend)
        else:
            raise FrameError(
                f"item {position} is a {type(item).__name__}; check takes frames, or paths of frame files and folders"
            )


def _of_path(path: str, problems: list[Finding], legend: Any) -> Iterator[Item]:
    try:
        if Path(path).is_dir():
            yield from _of_folder(path, problems, legend)
            return
        for frame in read_frames(path, on_error=lambda error: problems.append(_unreadable(path, error))):
            yield frame, f"{path}: frame {frame.id}", legend
    except FrameError as error:
        problems.append(_unreadable(path, error))
    except FileNotFoundError as error:
        problems.append(find("file-missing", path, str(error), "check the path"))
    except (SmaltiError, OSError) as error:
        problems.append(find("file-unreadable", path, str(error), "check that it is a frame file or a folder of masks"))


def _unreadable(path: str, error: FrameError) -> Finding:
    return find("frame-unreadable", path, str(error), "correct the JSON at that place")


def _of_folder(path: str, problems: list[Finding], legend: Any) -> Iterator[Item]:
    loose: list[Unpaired] = []
    try:
        found = read_folder(Path(path), legend=legend if isinstance(legend, Legend) else None, unpaired=loose)
    except FrameError as error:
        problems.append(
            find(
                "nothing-checked",
                path,
                str(error),
                "name the masks and the legend: smalti import PATH --masks … --legend …",
            )
        )
        return
    for note in found.legend.merged if found.legend is not None else ():
        problems.append(
            find(
                "legend-shared-color",
                str(found.legend_path),
                note,
                "give each name its own color; until then they are one",
            )
        )
    for frame in found.frames:
        yield (
            frame,
            f"{path}: {Path(frame.source or frame.mask_source or '').name}",
            found.legend if found.legend is not None else legend,
        )
    problems += [find("unpaired", str(one.path), one.reason, "add its partner, or leave it out") for one in loose]


def _gather(whole: _Whole, look: FrameLook) -> None:
    whole.frames += 1
    whole.masks += len(look.masks)
    whole.findings += look.findings
    whole.ids[look.frame_id] += 1
    for plan, seen in look.masks:
        if plan.legend is not None:
            whole.used[plan.legend] |= seen.used
        whole.modes[_group_of(plan)][seen.mode] += 1


def _group_of(plan: MaskPlan) -> str:
    return f"mask {plan.mask.id!r} in {Path(plan.mask.uri).parent!s}"


def _over_all(whole: _Whole) -> Iterator[Finding]:
    for frame_id, times in whole.ids.items():
        if times > 1:
            yield find(
                "duplicate-id",
                f"frame {frame_id}",
                f"{times} frames have the id {frame_id!r}",
                "give each frame its own id",
            )
    for legend, used in whole.used.items():
        unused = [entry for i, entry in enumerate(legend.entries) if i not in used]
        if unused and legend.kind != "ids":
            names = ", ".join("/".join(e.labels) for e in unused[:12]) + (
                f", … {len(unused) - 12} more" if len(unused) > 12 else ""
            )
            yield find(
                "legend-entry-unused",
                f"legend of {len(legend)} entries",
                f"{len(unused)} entries occur in none of the {whole.masks} masks: {names}",
                "fine for a part of a data set; a typo in the colors looks the same",
            )
    for group, modes in whole.modes.items():
        if len(modes) > 1:
            said = ", ".join(f"{n} {mode}" for mode, n in modes.most_common())
            yield find(
                "mixed-modes",
                group,
                f"the masks are stored in {len(modes)} modes: {said}",
                "store all masks of one kind alike",
            )
