#!/usr/bin/env bash
# Trains compact on the procedural world, on one GPU, in pieces of a given length, each of which goes on where the last one stopped:
#   scripts/train_weights.sh [FOLDER [SECONDS_A_PIECE]]
# Needs a Python with mapt_ros's dependencies (PYTHON=..., .venv's without). The CPU cores render the procedural world
# into FOLDER/cache meanwhile. Ends with exit code 3 when a piece is over and more are to come, 0 when the weights are done.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=${1:-out/train/compact}
piece=${2:-0}
python=${PYTHON:-.venv/bin/python}
mkdir -p "$folder"
export MAPT_CACHE=${MAPT_CACHE:-$(realpath "$folder")/cache}
# Asked to stop, a training finishes its step and saves.
timeout --signal=INT --kill-after=120 "$piece" \
  "$python" -m mapt_ros.training "${RECIPE:-compact_synthetic_gpu}" --out "$folder" --resume "${@:3}"
code=$?
if [ $code -eq 124 ]; then exit 3; fi
exit $code
