#!/bin/sh
# Write requirements/test.txt: the exact versions that the tests run with.
set -eu
cd "$(dirname "$0")/.."
python="${1:-.venv/bin/python}"
"$python" -m pip install --quiet uv
"$python" -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	--extra dev --extra ray --extra postgres pyproject.toml requirements/test.in -o requirements/test.txt
