"""Recipes: the bundled ones are sound, wrong ones get one line, and --steps keeps the stages' shares."""

import pytest
import yaml

from mapt_ros.errors import InputError
from mapt_ros.tracking.config import load_config
from mapt_ros.training.command import TrainingOptions, default_processes
from mapt_ros.training.interval import motion_reach
from mapt_ros.training.recipe import Recipe, ScheduleConfig, load_recipe
from mapt_ros.training.schedule import learning_rate_share


@pytest.mark.parametrize("name", ["compact_synthetic", "compact_synthetic_gpu", "kitti_step_8gf"])
def test_bundled_recipes_are_sound(name):
    recipe = load_recipe(name)
    assert motion_reach(load_config(recipe.config).model.motion) > 32
    assert recipe.stages[-1].kind == "pairs"


@pytest.mark.parametrize("name", ["compact_synthetic", "compact_synthetic_gpu"])
def test_the_shipped_weights_see_the_procedural_world_alone(name):
    data = load_recipe(name).data
    assert all(source.synthetic is not None for source in data)
    assert all(source.synthetic.seed < 100_000 for source in data)  # from there on seeds are for evaluation


def test_the_papers_optimiser():
    recipe = load_recipe("kitti_step_8gf")
    assert (recipe.optimiser.kind, recipe.optimiser.momentum) == ("sgd", 0.9) and recipe.pretrained_backbone


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"stages": [{"kind": "pairs", "steps": 0, "batch": 2}]}, "stages.0.steps"),
        ({"stages": []}, "stages"),
        ({"data": [{"split": "train"}]}, "either a folder or a synthetic section"),
        ({"learning_rate": 1}, "unknown key 'learning_rate'"),
        ({"interval": {"policy": "random"}}, "interval"),
        ({"losses": {"motoin": 1}}, "motoin"),
    ],
)
def test_a_wrong_recipe_is_one_line(recipe_file, changed, complaint):
    path = recipe_file(**changed)
    with pytest.raises(InputError, match=complaint) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_fewer_steps_keep_the_shares_of_the_stages(recipe_values):
    stages = [{"kind": kind, "steps": n, "batch": 1} for kind, n in (("images", 600), ("pairs", 390), ("pairs", 10))]
    recipe = Recipe(**recipe_values | {"stages": stages})
    assert [stage.steps for stage in recipe.cut_to(100).stages] == [60, 39, 1]
    assert [stage.steps for stage in recipe.cut_to(3).stages] == [1, 1, 1]
    with pytest.raises(InputError, match="2 for 3 stages"):
        recipe.cut_to(2)


def test_a_short_trial_takes_no_more_data_than_it_can_see(recipe_values):
    worlds = [{"synthetic": {"seed": seed, "sequences": 10, "frames": 8}} for seed in range(4)]
    stages = [
        {"kind": "images", "steps": 500, "batch": 4, "sources": 2},
        {"kind": "pairs", "steps": 500, "batch": 4},
    ]
    recipe = Recipe(**recipe_values | {"data": worlds, "stages": stages})
    short, shorter = recipe.cut_to(30), recipe.cut_to(2)
    assert len(short.data) == 2 and [stage.sources for stage in short.stages] == [2, 2]  # 120 samples, 80 frames each
    assert len(shorter.data) == 1 and [stage.sources for stage in shorter.stages] == [1, 1]
    assert recipe.cut_to(1000).data == recipe.data
    of_a_folder = Recipe(**recipe_values).cut_to(6)
    assert len(of_a_folder.data) == 1


def test_warm_up_peak_and_end_of_the_schedule():
    for config in (ScheduleConfig(), ScheduleConfig(shape="poly", last=0.1)):
        rates = [learning_rate_share(step, 100, config) for step in range(100)]
        assert rates[0] == config.first and rates[10] == max(rates) == 1
        assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)
        assert rates[-1] == pytest.approx(config.last)


def test_data_folder_takes_its_training_split_where_it_has_one(recipe_file, dataset_folder):
    options = TrainingOptions(str(recipe_file()), data=dataset_folder, steps=4)
    assert options.recipe().data[0].split == "train" and options.recipe().steps == 4
    assert TrainingOptions(str(recipe_file()), data=dataset_folder / "images").recipe().data[0].split is None


def test_every_option_reaches_the_processes_that_train_together(recipe_file, tmp_path):
    options = TrainingOptions(str(recipe_file()), tmp_path, tmp_path, 4, "w.safetensors", grow=True, resume=True)
    given = "--device auto --out OUT --data OUT --steps 4 --init w.safetensors --grow --resume".replace(
        "OUT", str(tmp_path)
    )
    assert options.arguments() == [str(recipe_file()), *given.split()]


def test_as_many_processes_as_share_every_batch(recipe_values, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(5), raising=False)
    batches = [{"kind": "images", "steps": 1, "batch": n} for n in (12, 4)]
    assert default_processes(Recipe(**recipe_values | {"stages": batches}), "cpu") == 4


def test_a_recipe_survives_the_way_through_yaml(recipe_values):
    recipe = Recipe(**recipe_values)
    assert Recipe(**yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json")))) == recipe
