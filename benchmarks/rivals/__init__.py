"""Who we are compared with. Each module: `label`, `setup(task)` → state, `run(state, data)` → class-index map.

`setup` makes what a user makes once for a data set (tables); it is not timed, and raises `Unfit` where the library
cannot do the job. `run` does the whole job: bytes of the file → (H, W) array of `Task.labels`. A module that needs no
table of the values says `finds_ids = True`. `pyav_rgb` is for clips: `setup(colors)`, `run(state, uri)` → one map a picture.
"""

import importlib
from types import ModuleType

__all__ = ["STILLS", "Unfit", "load"]

STILLS = (
    "opencv_numba",
    "opencv_numpy",
    "kornia_numba",
    "imagecodecs_numba",
    "pyspng_numba",
    "pillow_table",
    "pillow_compare",
    "pillow_unique",
    "kornia_unique",
    "datumaro",
    "mmsegmentation",
)


class Unfit(Exception):
    """The library cannot do this job, or cannot do it right."""


def load(names: tuple[str, ...] = STILLS) -> dict[str, ModuleType]:
    """The rivals whose libraries are installed, by label; the others are named on the screen."""
    found = {}
    for name in names:
        try:
            module = importlib.import_module(f"rivals.{name}")
        except ImportError as missing:
            print(f"without {name}: {missing}")
            continue
        found[module.label] = module
    return found
