#!/bin/sh
# The wheel and the sdist, built and installed into empty environments, and the demo run from there.
set -eu
python="$1"
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip --version >/dev/null
"$python" -m build --outdir "$work/dist" "$root" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
ls "$work/dist"
for kind in whl tar.gz; do
	file=$(ls "$work"/dist/*."$kind")
	"$python" -m venv "$work/env-$kind"
	"$work/env-$kind/bin/python" -m pip install --quiet --disable-pip-version-check "$file"
	(cd "$work" && "env-$kind/bin/smalti" doctor && "env-$kind/bin/smalti" demo "demo-$kind" >/dev/null && test -s "demo-$kind/out/overlay.png")
	echo "installed from $(basename "$file"): the demo ran"
done
# Without a compiler the package installs and works as well, on NumPy.
SMALTI_NO_NATIVE=1 SMALTI_SKIP_WEB=1 "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps -w "$work/pure" "$root"
"$python" -m venv "$work/env-pure"
"$work/env-pure/bin/python" -m pip install --quiet --disable-pip-version-check "$work"/pure/*.whl
(cd "$work" && env-pure/bin/smalti doctor | grep -q "reference" && env-pure/bin/smalti demo demo-pure >/dev/null && test -s demo-pure/out/overlay.png)
echo "installed without a compiler: the demo ran on NumPy"
