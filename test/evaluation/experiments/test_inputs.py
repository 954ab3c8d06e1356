"""What --data may be: one dataset, its most occluded sequences, scenarios, several datasets; and what is cut away."""

import numpy as np
import pytest

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, MOTCHALLENGE_STEP
from mapt_ros.data.mappings import map_labels
from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments import inputs
from mapt_ros.evaluation.experiments.inputs import Limits


def test_limits_cut_sequences_and_frames(street):
    source = inputs.open_one((street,), KITTI_STEP, Limits("val", 1, 3))[0]
    assert source.facts()["sequences"] == {"0000": 3}


def test_the_most_occluded_sequences_come_first(street):
    for limits, expected in ((Limits(), ["0001"]), (Limits(sequences=2), ["0001", "0000"])):
        source = inputs.open_most_occluded((street,), KITTI_STEP, limits)[0]
        assert [sequence.name for sequence in source.dataset.sequences] == expected


def test_a_folder_of_datasets_stands_for_them(tmp_path, street, tiny_drive, write_street):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "street").symlink_to(street)
    mots = [(image, map_labels(labels, KITTI_STEP, MOTCHALLENGE_STEP)) for image, labels in tiny_drive]
    write_street(tmp_path / "all" / "mots", mots, "0002")
    sources = inputs.open_several((tmp_path / "all",), KITTI_STEP, Limits())
    assert [source.name for source in sources] == ["mots", "street"]
    assert all(source.dataset.classes == KITTI_STEP for source in sources)
    assert inputs.open_several((street, street), KITTI_STEP, Limits())[0].name == str(street)


def test_predicted_classes_that_a_dataset_cannot_have_are_left_out(tmp_path, tiny_drive, write_street):
    mots = [(image, map_labels(labels, KITTI_STEP, MOTCHALLENGE_STEP)) for image, labels in tiny_drive]
    write_street(tmp_path / "mots", mots, "0002")
    source = inputs.open_several((tmp_path / "mots",), KITTI_STEP, Limits())[0]
    road, sidewalk, person, car = (class_id * LABEL_DIVISOR for class_id in (0, 1, 11, 13))
    seen = source.expressible(np.array([[road, sidewalk, person + 3, car + 4, -1]], np.int32))
    assert seen.tolist() == [[-1, sidewalk, person + 3, -1, -1]]


def test_a_missing_scenario_is_drawn_and_the_others_are_taken_as_they_are(tmp_path, street):
    for scenario in inputs.SCENARIOS[1:]:
        (tmp_path / scenario).symlink_to(street)
    limits = Limits(sequences=1, frames=2)
    sources = inputs.open_scenarios((tmp_path,), KITTI_STEP, limits, seed=7)
    assert [source.name for source in sources] == list(inputs.SCENARIOS)
    drawn = sources[0].dataset.sequences[0]
    assert '"seed": 7' in (drawn.image_files[0].parent / "scenario.json").read_text()
    before = drawn.image_files[0].stat().st_mtime_ns
    inputs.open_scenarios((tmp_path,), KITTI_STEP, limits, seed=7)
    assert drawn.image_files[0].stat().st_mtime_ns == before


def test_scenarios_are_not_drawn_into_a_dataset(street):
    with pytest.raises(InputError, match="is one dataset; expected a folder with one for each of rapid-motion"):
        inputs.open_scenarios((street,), KITTI_STEP, Limits(), None)
    assert not (street / "crowd").exists()


@pytest.mark.parametrize(
    ("opens", "count", "complaint"),
    [
        (inputs.open_one, 2, "data: 2 folders; this study takes one"),
        (inputs.open_most_occluded, 2, "data: 2 folders; this study takes one"),
        (inputs.open_several, 1, "has neither panoptic_maps/"),
    ],
)
def test_wrong_folders_are_told(tmp_path, opens, count, complaint):
    with pytest.raises(InputError, match=complaint):
        opens((tmp_path,) * count, KITTI_STEP, Limits())
