"""The house rules that a linter does not know: sizes, names, the weight of an import."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import smalti
from smalti import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "smalti"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES, MAX_FUNCTION, MAX_PARAMETERS = 500, 60, 8
HEAVY = (
    "pyarrow",
    "lance",
    "sqlalchemy",
    "torch",
    "ray",
    "av",
    "litestar",
    "uvicorn",
    "rich",
    "PIL",
    "obstore",
    "click",
)
# Constructors that follow the wire keep the wire's many keywords.
WIDE = {"smalti/frames.py": {"__init__"}, "smalti/view.py": {"add_query", "add_multi_query"}}


def _relative(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    start = function.lineno
    if (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        return (function.end_lineno or start) - start + 1 - ((body[0].end_lineno or 0) - body[0].lineno + 1)
    return (function.end_lineno or start) - start + 1


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_functions_are_short(path: Path) -> None:
    assert [f"{f.name}: {_lines(f)} lines" for f in _functions(path) if _lines(f) > MAX_FUNCTION] == []


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_signatures_are_narrow(path: Path) -> None:
    allegro = "allegroai" in _relative(path)  # the wire's own signatures
    wide = []
    for function in _functions(path):
        arguments = function.args
        count = len(
            [
                a
                for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
                if a.arg not in ("self", "cls")
            ]
        )
        is_command = any("command" in ast.unparse(d) or "option" in ast.unparse(d) for d in function.decorator_list)
        if (
            count > MAX_PARAMETERS
            and not is_command
            and not allegro
            and function.name not in WIDE.get(_relative(path), ())
        ):
            wide.append(f"{function.name}: {count} parameters")
    assert wide == []


def test_no_file_for_everything() -> None:
    assert [p.name for p in SOURCES if p.name in ("utils.py", "common.py", "misc.py", "core.py", "helpers.py")] == []


def test_public_names_are_few_sorted_and_real() -> None:
    names = smalti.__all__
    assert len(names) <= 28
    assert names == sorted(names)
    for name in names:
        assert getattr(smalti, name) is not None


def test_no_public_name_hides_a_submodule() -> None:
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert (set(smalti.__all__) & modules) - {"codecs", "errors"} == set()


def test_exceptions_are_few_and_caught_by_the_root() -> None:
    below = [getattr(errors, name) for name in errors.__all__ if name != "SmaltiError"]
    assert len(below) <= 16
    assert all(issubclass(kind, errors.SmaltiError) for kind in below)
    drawn = errors.__doc__ or ""
    assert all(kind.__name__ in drawn for kind in below)


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_is_cheap() -> None:
    assert [name for name in HEAVY if name in _loaded_by("import smalti")] == []


def test_reading_a_frame_loads_no_decoder() -> None:
    loaded = _loaded_by("import smalti; smalti.SingleFrame('a.png', mask_source='m.png')")
    assert [name for name in HEAVY if name in loaded] == []


def _top_imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "smalti"}


def test_every_module_stands_on_a_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = " ".join(layer for contract in contracts for layer in contract.get("layers", ()))
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert modules - {"__init__", "__main__"} - set(re.findall(r"smalti\.(\w+)", layers)) == set()


def test_no_import_cycle() -> None:
    names = {}
    for path in SOURCES:
        dotted = _relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        names[dotted] = path
    graph = {name: {i for i in _top_imports(path) if i in names and i != name} for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"cycle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name in done:
            return
        for other in graph[name]:
            if not name.startswith(other + "."):  # a package's __init__ is always there first
                visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_tracked_files_name_no_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing is tracked")
    marker = "/wo" + "rk/"
    guilty = []
    for name in listed.stdout.split():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".mp4", ".jpg") and marker in path.read_text(errors="ignore"):
            guilty.append(name)
    assert guilty == []
