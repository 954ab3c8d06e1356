#!/usr/bin/env bash
# Generates and compiles the ROS messages into .venv, which is the install prefix of the ROS wheels too.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$PWD/.venv
# Not in site-packages: the generated mapt_ros/__init__.py is empty and would hide the source tree's.
messages=lib/mapt_ros_python

echo "setup: building the messages"
mkdir -p "$venv/messages"
rm -rf "${venv:?}/$messages"
if ! PATH="$venv/bin:$PATH" CMAKE_PREFIX_PATH="$venv" AMENT_PREFIX_PATH="$venv" "$venv/bin/colcon" \
    --log-base "$venv/messages/log" build --base-paths . --packages-select mapt_ros \
    --merge-install --install-base "$venv" --build-base "$venv/messages/build" --event-handlers console_direct+ \
    --cmake-args -DMAPT_MESSAGES_ONLY=ON -DBUILD_TESTING=OFF \
    "-DPython3_EXECUTABLE=$venv/bin/python" "-DPYTHON_INSTALL_DIR=$messages" >"$venv/messages/build.log" 2>&1; then
    cat "$venv/messages/build.log" >&2
    echo "setup: the messages did not build; the output above is also in .venv/messages/build.log" >&2
    exit 1
fi
# pip would take the generated metadata for an earlier installation of this project, and remove the messages with it.
rm -rf "$venv/$messages"/*.egg-info
site_packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$venv/$messages" >"$site_packages/mapt_ros_messages.pth"
"$venv/bin/python" -c 'from mapt_ros.msg import PanopticFrame'
