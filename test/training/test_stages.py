"""Data of later stages may still be written while the first ones train; what cannot serve is found as soon as it is there."""

import cv2
import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR, labels_to_step_png
from mapt_ros.errors import InputError
from mapt_ros.tracking.config import load_config
from mapt_ros.training.distributed import joined
from mapt_ros.training.recipe import DataSource, load_recipe
from mapt_ros.training.sources import WorldWriter, are_there, synthetic_folder
from mapt_ros.training.stages import StageSamples

WORLD = {"synthetic": {"scenario": "mixed", "seed": 7, "sequences": 1, "frames": 2, "height": 64, "width": 128}}
STAGES = [{"kind": "images", "steps": 1, "batch": 1, "sources": 1}, {"kind": "pairs", "steps": 1, "batch": 1}]


@pytest.fixture
def two_sources(recipe_file, recipe_values, tmp_path, monkeypatch):
    """A recipe whose second stage also wants a part of the procedural world that nobody has written yet."""
    monkeypatch.setenv("MAPT_CACHE", str(tmp_path / "cache"))
    return load_recipe(recipe_file(data=[*recipe_values["data"], WORLD], stages=STAGES))


def opened(recipe, writer):
    with joined("cpu") as processes:
        return StageSamples(recipe, load_config(recipe.config).model, processes, writer)


def test_a_stage_waits_for_what_is_still_being_written(two_sources):
    pytest.importorskip("embreex")
    writer = WorldWriter(two_sources.data, 1)
    stages = opened(two_sources, writer)
    assert len(stages.samples(0).datasets) == 1
    late = stages.samples(1)
    assert are_there(two_sources.data) and len(late.datasets) == 2
    assert len(late.datasets[1].sequences[0]) == 2
    assert stages.datasets == late.datasets


def test_a_stage_has_the_recipes_augmentation_or_its_own(recipe_file):
    stages = [{"kind": "images", "steps": 1, "batch": 1, "crop": [64, 64]}, {"kind": "images", "steps": 1, "batch": 1}]
    stages[1]["augment"] = {"scale": [1, 1.5]}
    samples = opened(load_recipe(recipe_file(stages=stages, augment={"scale": [0.5, 1], "flip": 0.25})), None)
    first, second = (samples.samples(i).augment for i in range(2))
    assert (first.scale, first.flip, first.crop) == ((0.5, 1), 0.25, (64, 64))
    assert (second.scale, second.flip, second.crop) == ((1, 1.5), 0.5, None)


def test_a_world_that_cannot_be_written_is_told_to_the_stage_that_waits_for_it(two_sources, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    writer = WorldWriter(two_sources.data, 1)
    stages = opened(two_sources, writer)
    assert len(stages.samples(0).datasets) == 1
    with pytest.raises(InputError, match="cache"):
        stages.samples(1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it also tells its whole story
def test_a_writer_that_breaks_is_told_with_what_broke_it(two_sources, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a road of no width")

    monkeypatch.setattr("mapt_ros.training.sources.write_synthetic", broken)
    with pytest.raises(InputError, match="was not written: a road of no width"):
        opened(two_sources, WorldWriter(two_sources.data, 1)).samples(1)


def test_data_that_is_there_and_cannot_serve_a_late_stage_is_found_at_once(recipe_file, make_dataset):
    single = make_dataset("single", sequences=1, frames=1)
    recipe = load_recipe(recipe_file(data=[{"folder": str(single), "split": "train"}]))
    with pytest.raises(InputError, match="single frame"):
        opened(recipe, None)


def test_a_stage_cannot_ask_for_more_sources_than_there_are(recipe_file):
    path = recipe_file(stages=[STAGES[1] | {"sources": 2}])
    with pytest.raises(InputError, match="asks for 2 sources, data lists 1"):
        load_recipe(path)


def test_where_the_world_is_kept_tells_what_it_is():
    folder = synthetic_folder(DataSource(**WORLD).synthetic)
    assert folder.name == "mixed_seed7_1x2_64x128"


def test_labels_of_another_class_set_are_mapped_by_name(recipe_file, tmp_path, drawn):
    """MOTChallenge-STEP's layout: its persons are the network's, its other classes stuff of the same names."""
    image, _ = drawn(0, 0)
    labels = np.full(image.shape[:2], 3 * LABEL_DIVISOR, np.int32)  # sky
    labels[30:] = 0  # sidewalk
    labels[20:50, 40:60] = 4 * LABEL_DIVISOR + 7  # a person
    for t in range(3):
        for kind, pixels in (("images", image), ("panoptic_maps", labels_to_step_png(labels))):
            path = tmp_path / "mot" / kind / "train" / "0002" / f"{t:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels[..., ::-1])
    recipe = load_recipe(recipe_file(data=[{"folder": str(tmp_path / "mot"), "split": "train"}]))
    (dataset,) = opened(recipe, None).samples(0).datasets
    classes = load_config(recipe.config).model.classes
    assert dataset.classes == classes
    ids = {info.name: info.id for info in classes.classes}
    found = set(np.unique(dataset.sequences[0].labels(1)).tolist())
    assert found == {ids["sky"] * LABEL_DIVISOR, ids["sidewalk"] * LABEL_DIVISOR, ids["person"] * LABEL_DIVISOR + 7}
