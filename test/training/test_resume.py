"""A run that was killed goes on to the same curve and the same weights; broken checkpoints are refused."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from mapt_ros.errors import InputError
from mapt_ros.training import checkpoints
from mapt_ros.training.command import TrainingOptions, train


def command(recipe, out, *more):
    return [sys.executable, "-m", "mapt_ros.training", str(recipe), "--out", str(out), "--device", "cpu", *more]


@pytest.fixture
def alone(monkeypatch):
    """This process is a training of its own."""
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "1")


def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(recipe_file, tmp_path, alone):
    recipe = recipe_file(checkpoint_minutes=1e-6)  # after every step
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(TrainingOptions(str(recipe), whole, device="cpu"))
    process = subprocess.Popen(command(recipe, killed), stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not any((killed / "checkpoints").glob("step_00000002")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = checkpoints.load_latest(killed / "checkpoints")[0].step
    assert 2 <= done < 6  # it was killed in the middle

    train(TrainingOptions(str(recipe), killed, resume=True, device="cpu"))
    assert (killed / "curves.csv").read_bytes() == (whole / "curves.csv").read_bytes()
    one, other = (checkpoints.load_latest(folder / "checkpoints")[0] for folder in (whole, killed))
    assert one.step == other.step == 6
    assert one.tensors.keys() == other.tensors.keys()
    different = [name for name, value in one.tensors.items() if not torch.equal(value, other.tensors[name])]
    assert different == []


def test_a_run_asked_to_stop_saves_first(recipe_file, tmp_path, alone):
    recipe = recipe_file(stages=[{"kind": "images", "steps": 10000, "batch": 1}])
    out = tmp_path / "run"
    process = subprocess.Popen(command(recipe, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    curves = out / "curves.csv"
    while not (curves.is_file() and curves.read_text().count("\n") > 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    steps = curves.read_text().count("\n") - 1
    assert checkpoints.load_latest(out / "checkpoints")[0].step == steps < 10000


@pytest.fixture
def two_checkpoints(tmp_path):
    for step in (5, 9, 12):
        checkpoints.save(tmp_path, step, {"model.w": torch.full((3,), float(step))}, {"recipe": {}})
    return tmp_path


def test_the_last_two_are_kept(two_checkpoints):
    assert sorted(p.name for p in two_checkpoints.iterdir()) == ["step_00000009", "step_00000012"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("harm", [cut, flip, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_broken_checkpoint_is_refused_and_the_one_before_used(two_checkpoints, file, harm):
    harm(two_checkpoints / "step_00000012" / file)
    checkpoint, refused = checkpoints.load_latest(two_checkpoints)
    assert checkpoint.step == 9 and checkpoint.tensors["model.w"].tolist() == [9, 9, 9]
    assert len(refused) == 1 and "step_00000012" in refused[0] and "\n" not in refused[0]


def test_remnants_of_a_killed_save_are_no_checkpoint_and_go_away(two_checkpoints):
    remnant = two_checkpoints / ".step_00000013.4711.part"
    remnant.mkdir()
    assert checkpoints.load_latest(two_checkpoints)[0].step == 12
    checkpoints.save(two_checkpoints, 14, {"model.w": torch.ones(3)}, {})
    assert not remnant.exists()


def test_random_states_come_back():
    import random

    import numpy as np

    tensors, rest = checkpoints.random_state()
    drawn = torch.rand(3), np.random.rand(3), random.random()
    checkpoints.restore_random(tensors, rest)
    assert (
        torch.equal(drawn[0], torch.rand(3)) and (drawn[1] == np.random.rand(3)).all() and drawn[2] == random.random()
    )


def test_a_folder_with_a_run_needs_resume_and_a_new_one_does_not_mind_it(recipe_file, tmp_path, alone):
    recipe = recipe_file(stages=[{"kind": "images", "steps": 1, "batch": 1}])
    out = tmp_path / "run"
    train(TrainingOptions(str(recipe), out, resume=True, device="cpu"))
    with pytest.raises(InputError, match="--resume goes on with it"):
        train(TrainingOptions(str(recipe), out, device="cpu"))


def test_two_runs_never_share_a_folder(recipe_file, tmp_path, alone):
    import fcntl

    recipe = recipe_file()
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another training writes here"):
            train(TrainingOptions(str(recipe), tmp_path / "run", device="cpu"))
