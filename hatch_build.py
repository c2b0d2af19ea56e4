"""The two build steps of smalti: compile the C kernels, build the web bundle. Both are optional.

Hatchling loads one hook class per script, so one class calls two functions. `python hatch_build.py` compiles the
kernels in place, beside the sources: the quick way while working on them; `python hatch_build.py web` makes the bundle.

Environment:
    SMALTI_NO_NATIVE=1   no compiled kernels; the package runs on NumPy
    SMALTI_SKIP_WEB=1    no web bundle
    CC, CFLAGS           the compiler and its extra options
"""

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # `python hatch_build.py` needs no hatchling
    BuildHookInterface = object

LIMITED_API = "0x030B0000"
ABI_TAG = "cp311-abi3"
# Fused multiply-adds round once where NumPy rounds twice: the reference would differ.
FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-ffp-contract=off", "-Wall"]
LIBDEFLATE = ("adler32.c", "crc32.c", "utils.c", "arm/cpu_features.c", "x86/cpu_features.c")
MODULE = "_native.abi3.so"


def sources(root: Path) -> list[Path]:
    """Every C file of the extension. inflate.c brings libdeflate's inflater in itself."""
    library = root / "native" / "third_party" / "libdeflate" / "lib"
    return [*sorted((root / "native").glob("*.c")), *(library / name for name in LIBDEFLATE)]


def compiler() -> list[str] | None:
    """The C compiler as a command line, or None: $CC, the one Python was built with, cc, gcc, clang."""
    for command in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        words = shlex.split(command or "")
        if words and shutil.which(words[0]):
            return words
    return None


def compile_kernels(root: Path, target: Path) -> None:
    """Compile native/ into `target`; CalledProcessError or FileNotFoundError where that fails."""
    command = compiler()
    if command is None:
        raise FileNotFoundError("no C compiler found ($CC, cc, gcc, clang)")
    include = sysconfig.get_paths()["include"]
    if not (Path(include) / "Python.h").is_file():
        raise FileNotFoundError(f"no Python.h in {include}; install the headers of Python {sys.version_info[0]}")
    link = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    library = root / "native" / "third_party" / "libdeflate"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name  # linked aside, then moved: a running interpreter keeps the old file
        subprocess.run(
            [
                *command,
                *FLAGS,
                *shlex.split(os.environ.get("CFLAGS", "")),
                f"-DPy_LIMITED_API={LIMITED_API}",
                f"-I{include}",
                f"-I{library}",
                "-shared",
                *map(str, sources(root)),
                *link,
                "-o",
                str(made),
            ],
            check=True,
        )
        made.replace(target)


def build_kernels(root: Path) -> Path | None:
    """The compiled module inside src/, or None with a message where it cannot be built."""
    target = root / "src" / "smalti" / "kernels" / MODULE
    if os.environ.get("SMALTI_NO_NATIVE") == "1":
        print("smalti: SMALTI_NO_NATIVE=1, building without the compiled kernels", file=sys.stderr)
        return None
    if sys.byteorder != "little":  # nobody runs the tests of the C there
        print("smalti: no compiled kernels for big-endian machines; the package runs on NumPy", file=sys.stderr)
        return None
    if sys.platform == "win32" or sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        print("smalti: no compiled kernels for this Python; the package runs on NumPy", file=sys.stderr)
        return None
    try:
        compile_kernels(root, target)
    except subprocess.CalledProcessError as error:
        fault = f"{error.cmd[0]} ended with status {error.returncode}, see above"
    except OSError as error:
        fault = str(error)
    else:
        return target
    print(f"smalti: kernels not compiled ({fault}); the package runs on NumPy", file=sys.stderr)
    return None


def web_step() -> Any:
    """The module of the web step, which lies beside this file."""
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("hatch_web")


def wheel_tag() -> str:
    """The tag of a wheel with compiled kernels: one for every CPython from 3.11 on, on this platform."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{ABI_TAG}-{platform}"


class BuildHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    """Runs before a wheel, an editable install or an sdist is put together."""

    def dependencies(self) -> list[str]:
        """What the steps need from PyPI: a node, where a bundle must be made and there is none."""
        found: list[str] = web_step().web_requirements(Path(self.root))
        return found

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as belonging to this platform when that worked; make the web bundle."""
        root = Path(self.root)
        if web_step().build_web(root):
            build_data["artifacts"].append(f"{web_step().OUTPUT.as_posix()}/**")
        if self.target_name != "wheel":
            return
        built = build_kernels(root)
        if built is not None:
            build_data["pure_python"] = False
            build_data["tag"] = wheel_tag()
            build_data["artifacts"].append(f"src/smalti/kernels/{MODULE}")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    if sys.argv[1:] == ["web"]:
        sys.exit(0 if web_step().build_web(here) else 1)
    made = build_kernels(here)
    print(made or "not built")
    sys.exit(0 if made else 1)
