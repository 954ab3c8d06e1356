"""A whole training: what it leaves behind, and how it ends when something is wrong."""

import errno
from pathlib import Path

import cv2
import pytest
import torch
import yaml

from mapt_ros.errors import InputError
from mapt_ros.model.checkpoint import load_checkpoint
from mapt_ros.training import checkpoints
from mapt_ros.training.command import TrainingOptions, train
from mapt_ros.training.curves import read_curves
from mapt_ros.training.loop import Trainer

ONE_OF_EACH = [{"kind": "images", "steps": 1, "batch": 1}, {"kind": "pairs", "steps": 1, "batch": 1}]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """This process is a training of its own."""
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "1")


def options(recipe, out, **more):
    return TrainingOptions(str(recipe), out, device="cpu", **more)


@pytest.fixture
def run(recipe_file, tmp_path):
    """Trains two steps, with changes to the recipe; returns the run's folder."""

    def train_here(name="run", more=None, **changed):
        train(options(recipe_file(**{"stages": ONE_OF_EACH} | changed), tmp_path / name, **(more or {})))
        return tmp_path / name

    return train_here


def test_a_run_leaves_weights_curves_samples_and_the_recipe(run):
    out = run(preview_steps=1)
    model, header = load_checkpoint(out / "weights.safetensors")
    assert model.config.name == "tiny" and header.facts["steps"] == 2 and header.facts["recipe"] == "tiny_recipe"
    assert "licences bind" in header.facts["licence"]
    assert header.tracker["max_age"] == 10
    rows = read_curves(out / "curves.csv")
    assert [row["stage"] for row in rows] == ["images", "pairs"]
    assert rows[0]["motion"] == "" and float(rows[1]["motion"]) > 0 and float(rows[1]["appearance"]) >= 0
    sample = cv2.imread(str(out / "samples" / "step_00000002.png"))
    assert sample.shape[1] >= 3 * 128
    assert cv2.imread(str(out / "curves.png")).shape[1] == 960
    assert (out / "recipe.yaml").is_file()


def test_half_precision_descends_as_single_precision_does(run):
    losses = {
        precision: [float(row["total"]) for row in read_curves(run(precision, precision=precision) / "curves.csv")]
        for precision in ("fp32", "bf16")
    }
    first, second = zip(losses["bf16"], losses["fp32"])
    assert first[0] == pytest.approx(first[1], rel=0.05) and first[0] != first[1]
    assert second[0] == pytest.approx(second[1], rel=0.1)  # after a step: other proposals for other last digits


def test_the_weights_are_the_moving_average(run):
    out = run(weight_average=0.9, schedule={"last": 1})
    checkpoint = checkpoints.load_latest(out / "checkpoints")[0]
    name = "semantic.classifier.weight"
    averaged = checkpoint.part("average")[f"module.{name}"]
    assert not torch.equal(averaged, checkpoint.part("model")[name])
    torch.testing.assert_close(
        load_checkpoint(out / "weights.safetensors")[0].state_dict()[name], averaged, atol=1e-3, rtol=1e-3
    )


def test_norms_and_biases_do_not_decay(run):
    out = run(weight_average=0, optimiser={"kind": "sgd", "learning_rate": 1e-9, "momentum": 0, "weight_decay": 1e5})
    model = checkpoints.load_latest(out / "checkpoints")[0].part("model")
    assert model["backbone.stem.1.weight"].min() > 0.99  # as it begins
    fresh = run("fresh", weight_average=0, optimiser={"kind": "sgd", "learning_rate": 1e-9, "weight_decay": 0})
    before = checkpoints.load_latest(fresh / "checkpoints")[0].part("model")
    decayed = model["backbone.stem.0.weight"] / before["backbone.stem.0.weight"]
    assert decayed.max() < 1 - 5e-5


def test_frozen_norms_keep_their_statistics(run):
    out = run(batch_norm="frozen")
    model = checkpoints.load_latest(out / "checkpoints")[0].part("model")
    assert (model["backbone.stem.1.running_mean"] == 0).all() and model["backbone.stem.1.num_batches_tracked"] == 0


def test_training_goes_on_from_given_weights(run, tmp_path):
    first = run("first")
    second = run(
        "second", {"init": str(first / "weights.safetensors")}, optimiser={"kind": "sgd", "learning_rate": 1e-12}
    )
    name = "instance.mask_predictor.6.weight"
    given = load_checkpoint(first / "weights.safetensors")[0].state_dict()[name]
    torch.testing.assert_close(load_checkpoint(second / "weights.safetensors")[0].state_dict()[name], given)


def test_a_larger_network_goes_on_from_a_smaller_ones_weights_only_where_asked(run, recipe_values, tmp_path, capsys):
    small = run("small")
    config = yaml.safe_load(Path(recipe_values["config"]).read_text())
    config["model"]["fpn_blocks"] = [1, 0, 0, 0]
    (tmp_path / "larger.yaml").write_text(yaml.safe_dump(config))
    how = {"config": str(tmp_path / "larger.yaml"), "optimiser": {"kind": "sgd", "learning_rate": 1e-12}}
    init = {"init": str(small / "weights.safetensors")}
    with pytest.raises(InputError, match=r"fpn_blocks is .*0.* in the file, .*1.* in the config"):
        run("refused", init, **how)
    with pytest.raises(InputError, match="--grow: needs .* --init"):
        run("alone", {"grow": True}, **how)
    grown = run("grown", init | {"grow": True}, **how)
    line = next(line for line in capsys.readouterr().out.splitlines() if "begins with these weights" in line)
    assert line.endswith("; fpn_blocks is (0, 0, 0, 0) in the file, (1, 0, 0, 0) in the config")
    given = load_checkpoint(small / "weights.safetensors")[0].state_dict()["instance.mask_predictor.6.weight"]
    state = load_checkpoint(grown / "weights.safetensors")[0].state_dict()
    torch.testing.assert_close(state["instance.mask_predictor.6.weight"], given)
    assert "fpn.blocks.0.0.narrow.weight" in state


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_no_number_stops_with_the_batch_named_and_the_checkpoint_kept(recipe_file, tmp_path, monkeypatch, what):
    recipe = recipe_file(stages=[{"kind": "images", "steps": 4, "batch": 1}], checkpoint_minutes=1e-6)
    descend = Trainer._one_step

    def poisoned(self, batch, *flags):
        if self.step == 2:
            bias = self.model.semantic.classifier.bias
            if what == "loss":
                bias.data.fill_(float("nan"))
            else:
                bias.register_hook(lambda gradient: gradient * float("nan"))
        return descend(self, batch, *flags)

    monkeypatch.setattr(Trainer, "_one_step", poisoned)
    with pytest.raises(
        InputError, match=rf"step 2: the {what} is not finite .*/images/train/000\d/00000\d\.png"
    ) as caught:
        train(options(recipe, tmp_path / "run"))
    assert "\n" not in str(caught.value)
    kept = checkpoints.load_latest(tmp_path / "run" / "checkpoints")[0]
    assert kept.step == 2 and all(value.isfinite().all() for value in kept.part("model").values())
    assert load_checkpoint(tmp_path / "run" / "weights.safetensors")[1].facts["steps"] == 2


def test_a_full_disk_costs_a_checkpoint_but_not_the_run(recipe_file, tmp_path, monkeypatch, capsys):
    recipe = recipe_file(stages=[{"kind": "images", "steps": 3, "batch": 1}], checkpoint_minutes=1e-6)
    save_file = checkpoints.save_file

    def full(tensors, path, **more):
        if path.parent.name.startswith((".step_00000002", ".step_00000003")):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save_file(tensors, path, **more)

    monkeypatch.setattr(checkpoints, "save_file", full)
    assert train(options(recipe, tmp_path / "run"))["steps"] == 3
    printed = capsys.readouterr().out
    assert "step_00000002: cannot be written (No space left on device)" in printed
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step_00000001"]


def test_an_unreadable_frame_ends_the_run_in_one_line(recipe_file, make_dataset, tmp_path):
    folder = make_dataset(sequences=1, frames=2)
    (folder / "panoptic_maps/train/0000/000001.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"panoptic_maps/train/0000/000001\.png"):
        train(options(recipe_file(stages=ONE_OF_EACH), tmp_path / "run", data=folder))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"precision": "fp16"}, "precision: fp16 needs CUDA"),
        ({"batch_norm": "synced"}, "batch_norm: synced needs CUDA"),
        ({"config": "unheard-of"}, "no such bundled config"),
        ({"data": [{"folder": "/nowhere"}]}, "/nowhere: is not a folder"),
    ],
)
def test_what_does_not_fit_is_one_line_before_the_first_step(recipe_file, tmp_path, changed, complaint):
    with pytest.raises(InputError, match=complaint):
        train(options(recipe_file(**changed), tmp_path / "run"))
    assert not (tmp_path / "run" / "curves.csv").exists()


def test_the_weights_to_use_get_fitted_biases_and_the_checkpoint_does_not(run):
    out = run(bias_frames=3, weight_average=0.0)
    trained = checkpoints.load_latest(out / "checkpoints")[0].part("model")
    used = load_checkpoint(out / "weights.safetensors")[0].state_dict()
    halves = {name: value.half().float() for name, value in trained.items() if value.is_floating_point()}
    assert [name for name in halves if not torch.equal(halves[name], used[name])] == ["semantic.classifier.bias"]
