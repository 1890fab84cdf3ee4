#!/bin/sh
# Usage: native/build.sh OUT
# Compiles vcn-cni.c to OUT, unless OUT is newer than it. OUT appears whole: a runtime may execute it at any moment.
set -eu
out=${1:?usage: native/build.sh OUT}
source=$(dirname "$(readlink -f "$0")")/vcn-cni.c
if [ -e "$out" ] && [ ! "$source" -nt "$out" ]; then exit 0; fi
mkdir -p "$(dirname "$out")"
temporary=$out.$$.tmp
trap 'rm -f "$temporary"' EXIT
gcc -std=c11 -O2 -static -s -Wall -Wextra -Werror -o "$temporary" "$source"
mv -f "$temporary" "$out"
