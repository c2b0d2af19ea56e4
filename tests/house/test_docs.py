"""Documentation is tested or it rots: blocks run, links lead somewhere, generated pages are current."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import smalti
from smalti.demo import write_demo

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    write_demo(folder / "smalti-demo")
    return folder


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p)], ids=_name)
def test_python_blocks_run_on_the_demo(path: Path, playground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(playground)
    monkeypatch.setenv("SMALTI_STORE", str(playground / f"store-{path.stem}"))
    names: dict[str, object] = {"__name__": "docs"}  # a page is read from its beginning
    for block in _blocks(path):
        exec(compile(block, _name(path), "exec"), names)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [
        t.split("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if not t.startswith(("http", "#", "mailto"))
    ]
    assert [t for t in targets if t and not (path.parent / t).exists()] == []


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert [name for name in smalti.__all__ if name != "__version__" and f"## {name}\n" not in page] == []


def test_every_page_is_reached_from_the_index() -> None:
    index = "".join(p.read_text(encoding="utf-8") for p in PAGES)
    lost = [_name(p) for p in PAGES if "docs/" in _name(p) and p.name != "index.md" and p.name not in index]
    assert lost == []
