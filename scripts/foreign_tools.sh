#!/bin/sh
# Read our exports with the formats' own tools, in an environment of their own: see scripts/foreign_tools.py.
#   TOOLS_PYTHON=path/to/python    an environment that has everything of requirements/tools.txt already
set -eu
cd "$(dirname "$0")/.."
python="${TOOLS_PYTHON:-}"
if [ -z "$python" ]; then
	python=.tools-venv/bin/python
	[ -x "$python" ] || "${PYTHON:-python3}" -m venv .tools-venv
	"$python" -m pip install --quiet --disable-pip-version-check -e . -r requirements/tools.txt
fi
PYTHONPATH="$PWD/src" PYTHONDONTWRITEBYTECODE=1 "$python" scripts/foreign_tools.py
