#!/bin/sh
# Usage: native/build.sh OUT
# Compiles vcn-cni.c to OUT, unless OUT is newer than it. OUT appears whole: a runtime may execute it at any moment.
#
# With musl's libc where there is one (Debian: musl-tools): glibc's start-up executes some 80 CPUID instructions
# (sysdeps/x86/cpu-features.c, dl_cacheinfo.h), each of which a virtual machine answers by leaving the guest. That is
# more than all the rest of an execution: 0.75 ms against 0.24 ms, answer of the agent included.
set -eu
out=${1:?usage: native/build.sh OUT}
script=$(readlink -f "$0")
source=$(dirname "$script")/vcn-cni.c
if [ -e "$out" ] && [ ! "$source" -nt "$out" ] && [ ! "$script" -nt "$out" ]; then exit 0; fi
mkdir -p "$(dirname "$out")"
temporary=$out.$$.tmp
trap 'rm -f "$temporary"' EXIT
compiler=gcc
if command -v musl-gcc >/dev/null; then compiler=musl-gcc; fi
"$compiler" -std=c11 -O2 -static -s -Wall -Wextra -Werror -o "$temporary" "$source"
mv -f "$temporary" "$out"
