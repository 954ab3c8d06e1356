#!/usr/bin/env bash
# Scores random cases with the referees of our metrics, each in an environment of its own (their pins clash), and
# compares; the values that the tests hold are written to test/evaluation/referees.json.
set -euo pipefail
cd "$(dirname "$0")/.."

# PyPI's packages, at the versions whose values the tests hold.
declare -A packages=(
    [nuscenes]=nuscenes-devkit==1.2.0
    [trackeval]=trackeval==1.3.0
    [torchmetrics]="--no-deps torchmetrics==1.9.0 lightning-utilities==0.15.3"
)
folder=$PWD/.referees
referees=(nuscenes trackeval torchmetrics)
mkdir -p "$folder"

for name in "${referees[@]}"; do
    environment=$folder/$name
    if [ "$(cat "$environment/.packages" 2>/dev/null)" != "${packages[$name]}" ]; then
        echo "referees: making .referees/$name with ${packages[$name]}"
        .venv/bin/python -m venv --clear "$environment"
        if [ "$name" = torchmetrics ]; then
            # The rest of what it needs, torch above all, is in .venv: one copy is enough.
            .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
                >"$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/venv.pth"
        fi
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check ${packages[$name]} || {
            echo "referees: ${packages[$name]} does not install here; nuscenes-devkit needs Python 3.12 or older" >&2
            exit 1
        }
        echo "${packages[$name]}" >"$environment/.packages"
    fi
done

.venv/bin/python -m benchmarks.referees.compare write "$folder/cases.npz"
for name in "${referees[@]}"; do
    if ! "$folder/$name/bin/python" "benchmarks/referees/score_$name.py" "$folder/cases.npz" "$folder/$name.json" \
        >"$folder/$name.log" 2>&1; then
        tail -n 20 "$folder/$name.log" >&2
        echo "referees: $name failed, see .referees/$name.log" >&2
        exit 1
    fi
done
.venv/bin/python -m benchmarks.referees.compare check "$folder/cases.npz" "$folder"
