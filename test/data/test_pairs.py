"""Pairs are two frames of one sequence at the interval asked for, and motion is measured between them."""

import numpy as np
import pytest
from PIL import Image

from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.data.pairs import FramePairs, displacements
from mapt_ros.errors import InputError

CAR, PERSON = 13 * LABEL_DIVISOR + 1, 11 * LABEL_DIVISOR + 2


def test_every_frame_with_a_partner_is_there_and_no_pair_crosses_sequences(step_folder):
    dataset = open_dataset(step_folder, "train")
    assert FramePairs(dataset).anchors == ((0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2))
    assert FramePairs(dataset, 3).anchors == ((0, 3), (0, 4))  # the shorter sequence has none


def test_a_pair_is_the_frames_as_stored(step_folder, street, image):
    pair = FramePairs(open_dataset(step_folder, "train")).read(0, 4, 3)
    assert (pair.sequence, pair.previous_index, pair.index) == ("0000", 1, 4)
    assert (pair.previous[1] == street(1)).all() and (pair.current[1] == street(4)).all()
    assert (pair.previous[0] == image(street(1), 1)).all() and (pair.current[0] == image(street(4), 4)).all()


def test_displacements_are_of_centroids_of_instances_in_both_frames(street):
    before, after = street(0), street(3)
    after[after == PERSON] = -1
    after[18:20, 5:9] = CAR + 5
    assert displacements(before, after) == {CAR: pytest.approx(6.0)}
    shifted = np.roll(before, (3, 4), axis=(0, 1))
    assert displacements(before, shifted) == {CAR: pytest.approx(5.0), PERSON: pytest.approx(5.0)}
    assert displacements(np.full((4, 4), -1, np.int32), np.zeros((4, 4), np.int32)) == {}


def test_displacements_of_a_pair_read_each_label_map_once(step_folder):
    pairs = FramePairs(open_dataset(step_folder, "train"))
    assert [pairs.displacements(0, 4, tau)[CAR] for tau in (1, 2, 3)] == pytest.approx([2, 4, 6])
    for path in (step_folder / "panoptic_maps" / "train" / "0000").iterdir():
        path.unlink()
    assert pairs.displacements(0, 3, 1) == {CAR: pytest.approx(2.0), PERSON: 0.0}


def test_an_interval_longer_than_every_sequence_is_told(step_folder):
    with pytest.raises(InputError, match="interval 5 is longer than every sequence; the longest has 5 frames"):
        FramePairs(open_dataset(step_folder), 5)


def test_a_sequence_of_one_frame_is_told(tmp_path, street, write_frame):
    write_frame(tmp_path / "{}" / "0000", 0, street(0))
    with pytest.raises(InputError, match="panoptic_maps/0000: has a single frame; a pair needs two"):
        FramePairs(open_dataset(tmp_path))


def test_a_sequence_that_changes_its_size_is_told(step_folder):
    for kind in ("images", "panoptic_maps"):
        path = step_folder / kind / "train" / "0000" / "000001.png"
        Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(path)
    with pytest.raises(InputError, match="000001.png: is 40x20 pixels, 000000.png is 40x24"):
        FramePairs(open_dataset(step_folder, "train")).read(0, 1, 1)
