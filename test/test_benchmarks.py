"""What benchmarks say of bad input, each as the process that a user starts."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exactness", "--data", "{empty}"], "{empty}"),
        (["real_frames", "{empty}"], "{empty}"),
        (["real_frames", "{empty}", "--cars", "{empty}/none.json"], "none.json: cannot be read"),
        (["weights", "--weights", "{empty}/none.safetensors"], "none.safetensors"),
        (["weights", "--set", "score_threshold=high"], "score_threshold=high"),
    ],
)
def test_bad_input_is_one_line(arguments, said, tmp_path):
    name, *rest = (part.format(empty=tmp_path) for part in arguments)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *rest], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("benchmark: ") and said.format(empty=tmp_path) in last
