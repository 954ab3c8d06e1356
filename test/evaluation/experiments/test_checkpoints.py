"""The interval's checkpoints: given by name, or trained from one beginning, and not twice."""

from pathlib import Path

import pytest
import yaml

from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments.checkpoints import Trainings, given, recipes, trained
from mapt_ros.evaluation.experiments.studies import INTERVALS


@pytest.fixture
def recipe(tmp_path, tiny_config):
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump({"model": tiny_config.model_dump(mode="json")}))
    values = {
        "config": str(config),
        "data": [{"folder": "nowhere"}],
        "stages": [{"kind": "images", "steps": 5, "batch": 4}, {"kind": "pairs", "steps": 5, "batch": 1}],
        "optimiser": {"kind": "adamw", "learning_rate": 0.001},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_given_checkpoints_keep_their_names(tiny_weights):
    assert given((f"tau 1={tiny_weights}", f"b={tiny_weights}")) == {"tau 1": tiny_weights, "b": tiny_weights}


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (("weights.safetensors",), "expected NAME=FILE"),
        (("a=missing.safetensors",), "missing.safetensors: no such weights file"),
        (("a={0}", "a={0}"), "'a': is given twice"),
    ],
)
def test_checkpoints_that_are_none_are_told(texts, complaint, tiny_weights):
    with pytest.raises(InputError, match=complaint):
        given(tuple(text.format(tiny_weights) for text in texts))


def test_every_interval_is_trained_once_from_the_same_beginning(
    tmp_path, recipe, tiny_drive, write_street, tiny_weights
):
    write_street(tmp_path / "data", [*tiny_drive, *tiny_drive[::-1]], "0000")  # long enough for tau 5
    trainings = Trainings(recipe, str(tiny_weights), tmp_path / "data", steps=1, device="cpu")
    weights = trained(tmp_path / "runs", trainings)
    assert list(weights) == list(INTERVALS)
    written = {name: path.stat().st_mtime_ns for name, path in weights.items()}
    # What an interrupted study lacks is made, the rest is left alone.
    weights["tau 3"].unlink()
    again = trained(tmp_path / "runs", trainings)
    assert again["tau 3"].is_file()
    assert all(path.stat().st_mtime_ns == written[name] for name, path in again.items() if name != "tau 3")


def test_recipes_differ_in_the_interval_alone(recipe, tmp_path):
    made = recipes(Trainings(recipe, "compact", None, steps=7, device="cpu"))
    assert {name: r.interval for name, r in made.items()} == INTERVALS
    assert len({r.model_copy(update={"interval": INTERVALS["tau 1"]}).model_dump_json() for r in made.values()}) == 1
    assert [stage.steps for stage in made["tau 5"].stages] == [7]


def test_a_recipe_without_pairs_is_told(recipe, tmp_path):
    values = yaml.safe_load(Path(recipe).read_text())
    path = tmp_path / "images.yaml"
    path.write_text(yaml.safe_dump(values | {"stages": values["stages"][:1]}))
    with pytest.raises(InputError, match="last stage trains on images"):
        recipes(Trainings(str(path), "compact", None, 1, "cpu"))
