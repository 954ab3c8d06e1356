"""Benchmarks as the processes that a user starts: what they say of bad input, and how scores of many drives add up."""

import json
import os
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


def test_scores_of_several_seeds_are_pooled_and_told_by_group(tmp_path):
    options = [f"--{name}={value}" for name, value in (("sequences", 1), ("frames", 2), ("groups", 1))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.weights", "--scenario=mixed", *options, "--seed=7", "--seed=8"]
        + [f"--json={tmp_path / 'scores.json'}"],
        env=os.environ | {"MAPT_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "scores.json").read_text())
    assert list(results) == ["mixed", "mixed 7, 1 to 1", "mixed 8, 1 to 1"]
    scores = [result["variants"]["combined"] for result in results.values()]
    pooled, *groups = (score["AQ"] for score in scores)
    assert min(groups) < pooled < max(groups)  # a mean over both seeds' tracks
    for name in ("PAT", "STQ"):
        values = [100 * score[name] for score in scores[1:]]
        told = f"{name} of the 2 groups: {sum(values) / 2:.1f} on average, {min(values):.1f} to {max(values):.1f}"
        assert told in done.stdout.splitlines()
