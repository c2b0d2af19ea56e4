#!/bin/sh
# Measure beside the rivals, in an environment of their own, and write the tables: `make bench`.
#   sh scripts/bench.sh [--quick] [NAME ...]    all of benchmarks/*.py that save results, or those named
#   BENCH_PYTHON=path/to/python                 an environment that has everything of requirements/bench.txt already
# Masks, kept maps and clips take about ten minutes together; all of it the better part of an hour, on a machine with
# nothing else to do. --quick shows in a few minutes that everything works, and keeps nothing.
set -eu
cd "$(dirname "$0")/.."
quick=
if [ "${1:-}" = --quick ]; then
	quick=--quick
	shift
fi
python="${BENCH_PYTHON:-}"
if [ -z "$python" ]; then
	python=.bench-venv/bin/python
	[ -x "$python" ] || "${PYTHON:-python3}" -m venv .bench-venv
	"$python" -m pip install --quiet --disable-pip-version-check -e . -r requirements/bench.txt
	PYTHONPATH=$PWD
else
	PYTHONPATH="$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONPATH
# One thread each: what is compared is the work, not who takes more cores.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
failed=
for path in benchmarks/*.py; do
	name=$(basename "$path" .py)
	{ grep -q '^from .*bars import' "$path" && grep -q '^ *save(' "$path"; } || continue
	case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
	start=$(date +%s)
	echo "== $name"
	status=0
	# shellcheck disable=SC2086
	"$python" "$path" $quick || status=$?
	case $status in
		0) echo "== $name: $(($(date +%s) - start)) s" ;;
		77) echo "== $name: cannot run here, its last results stay" ;;
		*)
			echo "== $name: failed with status $status"
			failed="$failed $name"
			;;
	esac
done
[ -n "$quick" ] || "$python" benchmarks/report.py
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
