"""What tests of code on smalti need: sample frames, pictures with known masks, a store, and comparisons that explain.

`smalti.testing.strategies` (with hypothesis) draws frames, legends and label maps.
"""

from smalti.testing.compare import assert_same_frames, assert_same_labels
from smalti.testing.samples import Scene, frame, frames, write_scene
from smalti.testing.stores import temporary_store

__all__ = [
    "Scene",
    "assert_same_frames",
    "assert_same_labels",
    "frame",
    "frames",
    "temporary_store",
    "write_scene",
]
