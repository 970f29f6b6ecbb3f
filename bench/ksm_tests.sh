#!/usr/bin/env bash
# Builds the kernel's own ksm_tests from a Debian kernel source package, in the user's cache folder, and prints where it is.
# Usage: bench/ksm_tests.sh [PACKAGE]   a linux-source package, the newest that apt knows without. Needs apt, gcc and xz; installs nothing.
set -euo pipefail
package=${1:-$(apt-cache search --names-only '^linux-source-[0-9.]+$' | cut -d' ' -f1 | sort -V | tail -n1)}
if [ -z "$package" ]; then
    echo "apt knows no linux-source package: run apt-get update, or name one that it knows" >&2
    exit 1
fi
folder=${XDG_CACHE_HOME:-$HOME/.cache}/breakcow/ksm_tests/$package
if [ ! -x "$folder/ksm_tests" ]; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/.build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    apt-get -qq -o APT::Sandbox::User=root download "$package" libnuma-dev >&2
    for file in ./*.deb; do
        dpkg-deb -x "$file" root
    done
    tar -xf root/usr/src/linux-source-*.tar.xz --strip-components=1 --wildcards \
        '*/tools/testing/selftests/mm/*' '*/tools/testing/selftests/kselftest*.h' '*/tools/include/*' '*/include/vdso/*'
    mkdir -p headers/linux # newer than those of this system, which may lack what vm_util.c asks for
    cp tools/include/uapi/linux/{fs,prctl,userfaultfd}.h headers/linux/
    cd tools/testing/selftests/mm
    gcc -O2 -D_GNU_SOURCE= -I"$work/headers" -I"$work" -I"$work/root/usr/include" \
        ksm_tests.c vm_util.c thp_settings.c -o "$work/ksm_tests" -l:libnuma.a -L"$(dirname "$(find "$work/root" -name libnuma.a)")" >&2
    mv "$work/ksm_tests" "$folder/ksm_tests"
fi
echo "$folder/ksm_tests"
