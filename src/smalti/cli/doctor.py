"""`smalti doctor`: what is installed, which kernels run, and whether both kinds agree."""

import importlib.metadata
import os
import platform
import sys

import click

from smalti import __version__, kernels, storage
from smalti.cli.output import as_json, json_option, say
from smalti.parallel import available_cores

__all__ = ["doctor"]

_PARTS = ("numpy", "msgspec", "pillow", "av", "pyarrow", "pylance", "obstore", "sqlalchemy", "litestar", "uvicorn")
_OPTIONAL = ("torch", "torchvision", "ray", "psycopg")


@click.command()
@json_option
def doctor(as_json_text: bool) -> int:
    """Say what is installed, which kernels run, and decode a probe on both kinds to prove that they agree.

    Exits with 1 when they do not.
    """
    try:
        verdict, agree = kernels.probe(), True
    except RuntimeError as error:
        verdict, agree = str(error), False
    parts, optional = {name: _version(name) for name in _PARTS}, {name: _version(name) for name in _OPTIONAL}
    facts = {
        "smalti": __version__,
        "python": sys.version.split()[0],
        "machine": f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        "kernels": "native" if kernels.IS_NATIVE else "reference (NumPy)",
        "probe": verdict,
        "agree": agree,
        "parts": parts,
        "optional": optional,
        "store": os.environ.get("SMALTI_STORE"),
        "cache": str(storage.cache_info()),
    }
    if as_json_text:
        as_json(facts)
        return 0 if agree else 1
    say(f"smalti {facts['smalti']} on Python {facts['python']}, {facts['machine']}")
    say(
        f"kernels: {facts['kernels']}"
        + ("" if kernels.IS_NATIVE else "; with a C compiler, reinstall to get the compiled ones")
    )
    say(f"probe: {verdict}")
    say("installed: " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in parts.items()))
    say("optional: " + ", ".join(f"{name} {version or '-'}" for name, version in optional.items()))
    info = storage.cache_info()
    say("cache: off" if info is None else f"cache: {info.files} files, {info.bytes / 1e6:.1f} MB in {info.folder}")
    return 0 if agree else 1


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
