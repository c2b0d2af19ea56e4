"""What `clearml_server.py` starts in a process of its own: the real client, unmodified, registering frames and iterating them.

    python -P clearml_client.py FRAMES WORKERS...

prints one JSON object: for each step the seconds on the wall and the CPU seconds of this process.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from clearml import DataEntryImage, DataSubEntryImage, DataView, HyperDataset


def entry(number: int) -> DataEntryImage:
    """A picture with its mask, three annotations and some metadata."""
    found = DataEntryImage(data_entry_id=f"frame{number:06}", metadata={"index": number, "city": f"city{number % 7}"})
    part = DataSubEntryImage(
        name="front",
        source=f"s3://bucket/drive{number // 100}/{number:06}.jpg",
        width=1920,
        height=1080,
        context_id=f"drive{number // 100}",
        masks_source={"00": f"s3://bucket/masks/{number:06}.png"},
        metadata={"gain": 1.5},
    )
    part.add_annotation(box2d_xywh=[number % 900, 20, 300, 200], labels=["car"], confidence=0.9)
    part.add_annotation(poly2d_xy=[(0, 0), (50.5, 0), (50, 50), (12, 77)], labels=["person", "rider"])
    part.add_annotation(mask_rgb=[128, 64, 128], labels=["road"])
    found.add_sub_entries([part])
    return found


def main() -> None:
    count, most = int(sys.argv[1]), int(sys.argv[2])
    times: dict[str, Any] = {}

    def step(name: str, run: Callable[[], Any]) -> Any:
        start, start_cpu = time.perf_counter(), time.process_time()
        found = run()
        times[name] = [time.perf_counter() - start, time.process_time() - start_cpu]
        return found

    entries = step("make entries", lambda: [entry(number) for number in range(count)])
    made = HyperDataset("Benchmark", "drive", "v1")
    told = step("register", lambda: made.add_data_entries(entries, show_progress=False))
    assert not (told or {}).get("register"), told
    for turn in range(most):
        view = DataView(name=f"turn {turn}", auto_connect_with_task=False)
        view.add_query(dataset_id=made.dataset_id, version_id=made.version_id)
        seen = step(f"iterate {turn}", lambda view=view: [found.id for found in view.get_iterator()])
        assert sorted(seen) == [f"frame{number:06}" for number in range(count)]
    print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
