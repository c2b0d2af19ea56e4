#!/bin/sh
# Measure beside the rivals, in an environment of their own, and write the tables: `make bench`, about five minutes.
#   sh scripts/bench.sh            results under benchmarks/results/, tables in docs/performance.md and README.md
#   BENCH_PYTHON=path/to/python    an environment that has everything of requirements/bench.txt already
set -eu
cd "$(dirname "$0")/.."
python="${BENCH_PYTHON:-}"
if [ -z "$python" ]; then
	python=.bench-venv/bin/python
	[ -x "$python" ] || "${PYTHON:-python3}" -m venv .bench-venv
	"$python" -m pip install --quiet --disable-pip-version-check -e . -r requirements/bench.txt
else
	PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
	export PYTHONPATH
fi
# One thread each: what is compared is the work, not who takes more cores.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
for part in masks again clips; do
	"$python" "benchmarks/$part.py"
done
"$python" benchmarks/report.py
