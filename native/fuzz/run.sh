#!/bin/sh
# Compile the C without Python under ASAN and UBSan and feed it PNG files and mutations of them.
#   native/fuzz/run.sh [ITERATIONS] [FOLDER ...]
# Folders are searched for *.png; without any, tests/golden and the shared real files are, where they exist.
# FUZZ=libfuzzer uses clang's libFuzzer for 60 seconds instead, where clang is there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
native=$(dirname "$here")
root=$(dirname "$native")
iterations=${1:-20000}
[ $# -gt 0 ] && shift
if [ $# -eq 0 ]; then
    for folder in "$root/tests/golden" "${SMALTI_REALDATA:-$root/../shared/data}/pngsuite" "${SMALTI_REALDATA:-$root/../shared/data}/hostile"; do
        [ -d "$folder" ] && set -- "$@" "$folder"
    done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/seeds.py" "$work/seeds"
find "$work/seeds" "$@" -name '*.png' -size -2000k | sort > "$work/files"
library="$native/third_party/libdeflate"
sources=$(find "$native" -maxdepth 1 -name '*.c' ! -name module.c ! -name 'bind_*.c' | sort)
sources="$sources $library/lib/adler32.c $library/lib/crc32.c $library/lib/utils.c
 $library/lib/arm/cpu_features.c $library/lib/x86/cpu_features.c"
flags="-std=gnu11 -ffp-contract=off -O1 -g -fno-omit-frame-pointer -DSMALTI_PLAIN -I$library -fno-sanitize-recover=all"
if [ "${FUZZ:-}" = libfuzzer ] && command -v clang > /dev/null; then
    # shellcheck disable=SC2086
    clang $flags -fsanitize=address,undefined,fuzzer -DSMALTI_LIBFUZZER $sources "$here/fuzz.c" -o "$work/fuzz"
    "$work/fuzz" -max_total_time=60 -max_len=20000 "$work/seeds"
    exit
fi
# shellcheck disable=SC2086
${CC:-cc} $flags -fsanitize=address,undefined $sources "$here/fuzz.c" -o "$work/fuzz"
xargs "$work/fuzz" "$iterations" 1 < "$work/files"
