"""The panoptic encodings are exact in both directions and refuse what does not fit."""

import numpy as np
import pytest

from mapt_ros.data.labels import (
    KITTI_STEP,
    LABEL_DIVISOR,
    decode_labels,
    encode_labels,
    labels_to_step_png,
    step_png_to_labels,
)
from mapt_ros.errors import InputError


def test_labels_survive_encoding_up_to_days_of_ids():
    classes = np.array([[0, 13, 11, 255]])
    ids = np.array([[0, LABEL_DIVISOR - 1, 1, 0]])
    labels = encode_labels(classes, ids)
    assert labels.dtype == np.int32 and labels[0, 3] == -1
    back_classes, back_ids = decode_labels(labels)
    assert (back_classes == classes).all() and (back_ids == ids).all()


def test_a_step_png_is_class_then_high_then_low_byte():
    labels = np.array([[13 * LABEL_DIVISOR + 0x1234, -1, 0]], dtype=np.int32)
    png = labels_to_step_png(labels)
    assert png.dtype == np.uint8
    assert png[0].tolist() == [[13, 0x12, 0x34], [255, 0, 0], [0, 0, 0]]
    assert (step_png_to_labels(png) == labels).all()


def test_an_id_beyond_16_bits_is_refused():
    labels = np.array([[11 * LABEL_DIVISOR + 65536]], dtype=np.int32)
    with pytest.raises(InputError, match="65536 does not fit"):
        labels_to_step_png(labels)
    labels_to_step_png(labels - 1)


def test_kitti_step_has_nineteen_classes_two_of_them_things():
    assert [c.id for c in KITTI_STEP.classes] == list(range(19))
    assert [(c.id, c.name) for c in KITTI_STEP.things] == [(11, "person"), (13, "car")]
