"""A label map of one class set says the same in another, as far as that has words for it."""

import numpy as np
import pytest

from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import BDD100K, KITTI_STEP, LABEL_DIVISOR, MOTCHALLENGE_STEP, ClassInfo, ClassSet
from mapt_ros.data.mappings import class_mapping, map_labels, mapped
from mapt_ros.errors import InputError


def label(classes: ClassSet, name: str, track_id: int = 0) -> int:
    return next(c.id for c in classes.classes if c.name == name) * LABEL_DIVISOR + track_id


@pytest.mark.parametrize(
    ("source", "before", "target", "after"),
    [
        (KITTI_STEP, ("person", 7), MOTCHALLENGE_STEP, ("person", 7)),
        (KITTI_STEP, ("sky", 0), MOTCHALLENGE_STEP, ("sky", 0)),
        (KITTI_STEP, ("car", 7), MOTCHALLENGE_STEP, None),
        (MOTCHALLENGE_STEP, ("rider", 0), KITTI_STEP, ("rider", 0)),
        (MOTCHALLENGE_STEP, ("person", 0), KITTI_STEP, ("person", 0)),  # crowd stays crowd
        (BDD100K, ("pedestrian", 300), KITTI_STEP, ("person", 300)),
        (BDD100K, ("car", 300), KITTI_STEP, ("car", 300)),
        (BDD100K, ("truck", 300), KITTI_STEP, ("truck", 0)),  # stuff there
        (BDD100K, ("car", 3), MOTCHALLENGE_STEP, None),
        (KITTI_STEP, ("truck", 0), BDD100K, ("truck", 0)),  # a thing there: crowd
        (KITTI_STEP, ("road", 0), BDD100K, None),
    ],
)
def test_classes_go_by_name_and_lose_what_the_target_does_not_know(source, before, target, after):
    labels = np.array([[label(source, *before), -1]], np.int32)
    expected = -1 if after is None else label(target, *after)
    result = map_labels(labels, source, target)
    assert result.dtype == np.int32 and result.tolist() == [[expected, -1]]


def test_a_mapped_dataset_reads_the_same_frames_in_other_words(step_folder, street):
    dataset = open_dataset(step_folder, "val")
    other = mapped(dataset, MOTCHALLENGE_STEP)
    assert other.classes == MOTCHALLENGE_STEP
    image, labels = other.sequences[0].frame(1)
    assert (image == dataset.sequences[0].frame(1)[0]).all()
    assert (labels == map_labels(street(1), KITTI_STEP, MOTCHALLENGE_STEP)).all()
    assert label(MOTCHALLENGE_STEP, "person", 2) in labels
    assert mapped(dataset, KITTI_STEP) is dataset


def test_sets_without_a_common_class_are_told():
    boats = ClassSet("boats", (ClassInfo(0, "boat", True, (0, 0, 0)),))
    with pytest.raises(InputError, match="class sets kitti-step and boats have no class in common"):
        class_mapping(KITTI_STEP, boats)
