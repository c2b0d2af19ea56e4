"""`python -m smalti.allegroai script.py [arguments]`: run a script that imports `allegroai`, as it is."""

import importlib
import os
import runpy
import sys
from collections.abc import Sequence

__all__ = ["alias", "main"]

SUBMODULES = ("backend_interface", "dataframe", "dataset", "dataset_version", "dataview", "frames")


def alias() -> None:
    """Let `import allegroai` and its submodules mean this package, in this process and in spawned workers."""
    sys.modules["allegroai"] = importlib.import_module("smalti.allegroai")
    for name in SUBMODULES:
        sys.modules[f"allegroai.{name}"] = importlib.import_module(f"smalti.allegroai.{name}")
    # Spawned workers get the search path of their parent, and import the script anew.
    folder = os.path.join(os.path.dirname(__file__), "alias")
    if folder not in sys.path:
        sys.path.append(folder)


def main(arguments: Sequence[str]) -> int:
    """Run the script that the first argument names, with the others as its own."""
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stderr.write("usage: python -m smalti.allegroai SCRIPT.py [ARGUMENTS]\n")
        return 0 if arguments else 2
    script = arguments[0]
    if not os.path.isfile(script):
        sys.stderr.write(f"smalti.allegroai: there is no script {script!r}\n")
        return 2
    alias()
    sys.argv = list(arguments)
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
