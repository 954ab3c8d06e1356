"""Label maps without a tracker are drawn like its frames, over an image or in plain colours."""

import numpy as np
import pytest

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, ClassInfo, ClassSet
from mapt_ros.errors import InputError
from mapt_ros.viz.label_maps import draw_labels, draw_wrong, with_colors
from mapt_ros.viz.overlay import track_color

ROAD, CAR, SKY = 0, 13 * LABEL_DIVISOR, 10 * LABEL_DIVISOR


@pytest.fixture
def labels() -> np.ndarray:
    """120x200: void above, road below with a car of id 7 and a crowd of cars."""
    labels = np.full((120, 200), ROAD, np.int32)
    labels[:40] = -1
    labels[80:110, 20:60] = CAR + 7
    labels[80:110, 120:160] = CAR
    return labels


def test_without_an_image_colours_are_plain(labels):
    drawn = draw_labels(labels, KITTI_STEP)
    assert drawn[95, 40].tolist() == list(track_color(7))
    assert drawn[70, 180].tolist() == list(KITTI_STEP.by_id[0].color)
    assert drawn[95, 140].tolist() == list(KITTI_STEP.by_id[13].color)  # crowd has no id
    assert drawn[30, 100].tolist() == [0, 0, 0]
    assert draw_labels(labels, KITTI_STEP, scale=2).shape == (240, 400, 3)


def test_over_an_image_void_shows_it_and_things_are_tinted(labels):
    image = np.full((120, 200, 3), 100, np.uint8)
    drawn = draw_labels(labels.astype(np.int64), KITTI_STEP, image)
    assert drawn[35, 100].tolist() == [100, 100, 100]
    assert drawn[95, 40].tolist() == pytest.approx([(100 + c) / 2 for c in track_color(7)], abs=1)
    with pytest.raises(InputError, match="both must come from the same frame"):
        draw_labels(labels, KITTI_STEP, image[:60])


def test_wrong_classes_are_red_and_a_wrong_id_is_not(labels):
    predicted = labels.copy()
    predicted[:40] = SKY  # on void
    predicted[80:110, 20:60] = CAR + 9
    predicted[80:110, 120:160] = -1
    drawn = draw_wrong(labels, predicted, np.full((120, 200, 3), 100, np.uint8)).astype(int)
    red = drawn[..., 0] > drawn[..., 1] + 100
    assert red[80:110, 120:160].all()
    assert red.sum() == 30 * 40
    assert (drawn[:40] == 0).all()


def test_classes_without_a_colour_get_one_each():
    classes = ClassSet(
        "own", tuple(ClassInfo(i, name, False, (0, 0, 0)) for i, name in enumerate(("tram", "road", "moss")))
    )
    tram, road, moss = (info.color for info in with_colors(classes).classes)
    assert road == KITTI_STEP.by_id[0].color
    assert len({tram, road, moss}) == 3
    assert with_colors(KITTI_STEP) == KITTI_STEP
