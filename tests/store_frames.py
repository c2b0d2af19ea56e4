"""Frames for tests of the store: small, plain, and all different."""

from typing import Any

from smalti.records import Frame, Mask, Roi, RoiMask, Source

__all__ = ["frame", "frames"]


def frame(number: int, **fields: Any) -> Frame:
    """Frame `f0007` of context `c0`, with a mask, two ROIs and some metadata; `fields` replace."""
    mask = Mask(id="seg", uri=f"m{number}.png")
    source = Source(id="front", uri=f"s3://b/{number}.png", width=8, height=4, masks=[mask])
    rois = [
        Roi(label=["car" if number % 2 else "tram"], id="r0", poly=[0, 0, number % 5, 1], confidence=0.5),
        Roi(label=["sky"], mask=RoiMask(id="seg", value=[1, 2, number % 256]), sources=["front"]),
    ]
    given: dict[str, Any] = {
        "id": f"f{number:04d}",
        "context_id": f"c{number // 100}",
        "timestamp": number % 100,
        "sources": [source],
        "rois": rois,
        "meta": {"city": ("bremen", "ulm")[number % 2], "n": number},
    }
    return Frame(**(given | fields))


def frames(count: int, start: int = 0) -> list[Frame]:
    """Some frames in their order of iteration."""
    return [frame(number) for number in range(start, start + count)]
