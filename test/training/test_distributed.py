"""Two processes train as one: the same gradients on the same batch, and the same end when one of them fails."""

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("gradients.py")


def run_two(*arguments):
    """The return codes and error outputs of two processes that train together."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [process.returncode for process in processes], errors


def test_gradients_of_two_processes_equal_those_of_one_on_the_joint_batch(recipe_file, tmp_path, monkeypatch):
    stages = [{"kind": kind, "steps": 1, "batch": 4} for kind in ("images", "pairs")]
    recipe = recipe_file(stages=stages, batch_norm="frozen", losses={"semantic_overlap": 1.0, "mask_overlap": 1.0})
    codes, errors = run_two(SCRIPT, recipe, tmp_path / "two.safetensors")
    assert codes == [0, 0], errors
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(recipe), str(tmp_path / "one.safetensors")])
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    runpy.run_path(str(SCRIPT))
    one, two = (load_file(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and any(name.startswith("1.appearance") for name in one)
    for stage, losses in (("0", "0.losses"), ("1", "1.losses")):
        torch.testing.assert_close(two[losses], one[losses], rtol=1e-5, atol=0)
        names = [name for name in one if name.startswith(stage) and name != losses]
        joint, split = (torch.cat([part[name].double().flatten() for name in names]) for part in (one, two))
        assert (joint - split).norm() < 1e-5 * joint.norm(), stage
        # What single precision rounds off a single parameter's gradient differs from CPU to CPU.
        largest = max(float(one[name].abs().max()) for name in names)
        for name in names:
            scale = max(float(one[name].abs().max()), 1e-3 * largest)
            assert float((one[name] - two[name]).abs().max()) < 2e-5 * scale, name


def test_a_file_that_one_process_cannot_read_ends_both_with_one_line(recipe_file, make_dataset, tmp_path):
    folder = make_dataset(sequences=1, frames=2)
    (folder / "images/train/0000/000001.png").write_bytes(b"no picture")
    recipe = recipe_file(stages=[{"kind": "images", "steps": 2, "batch": 2}])
    where = ("--out", tmp_path / "run", "--data", folder, "--device", "cpu")
    codes, errors = run_two("-m", "mapt_ros.training", recipe, *where)
    assert codes == [2, 2], (codes, errors)
    assert "000001.png: is not a whole image file" in errors[0].splitlines()[-1]
    assert not any("Traceback" in text for text in errors)


def test_mapt_train_starts_the_processes_itself_and_tells_what_came_out(recipe_file, tmp_path):
    recipe = recipe_file(stages=[{"kind": "images", "steps": 1, "batch": 2}])
    command = ["-m", "mapt_ros.cli", "train", recipe, "--out", tmp_path / "run", "--device", "cpu", "--json"]
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    done = subprocess.run(
        [sys.executable, *map(str, command), "--processes", "2"],
        env={key: value for key, value in os.environ.items() if key not in names},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 1
    assert (tmp_path / "run" / "weights.safetensors").is_file()
