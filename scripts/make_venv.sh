#!/usr/bin/env bash
# Makes .venv with a Python that the ROS wheels support; says in one line what the machine lacks.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] ||
    fail "needs Linux on x86-64, this is $(uname -sm); elsewhere build with colcon in a ROS 2 installation (README.md)"
command -v "${CC:-cc}" >/dev/null && command -v "${CXX:-c++}" >/dev/null ||
    fail "no C and C++ compiler; on Debian and Ubuntu: apt install g++"
command -v cmake >/dev/null || fail "no CMake; needs 3.21 or newer, on Debian and Ubuntu: apt install cmake"
cmake_version=$(cmake --version | awk 'NR == 1 { print $3 }')
[ "$(printf '3.21\n%s\n' "$cmake_version" | sort -V | head -1)" = 3.21 ] ||
    fail "CMake $cmake_version is too old; needs 3.21 or newer"

usable='
import ensurepip, os, sys, sysconfig, venv
supported = (3, 10) <= sys.version_info[:2] <= (3, 13) and sys.implementation.name == "cpython"
sys.exit(not (supported and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))))'
python=
for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10 python3.13}; do
    if "$candidate" -c "$usable" >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] ||
    fail "needs CPython 3.10 to 3.13 with venv and headers${PYTHON:+, which $PYTHON is not};" \
        "on Debian and Ubuntu: apt install python3-venv python3-dev, or name one: make PYTHON=/path/to/python3.12"

# An environment that belongs here is kept; one from another place, or half made, is not.
if ! grep -qs "$PWD/.venv/" .venv/bin/pip || ! .venv/bin/python -c '' 2>/dev/null; then
    echo "setup: making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
echo "$PWD" >.venv/.home
