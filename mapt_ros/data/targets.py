"""Turns panoptic label maps into what the losses compare with: class indices, boxes, masks and track ids."""

import cv2
import numpy as np
import torch
from torch import Tensor

from mapt_ros.data.labels import LABEL_BITS, LABEL_DIVISOR, ClassSet, is_instance
from mapt_ros.model.instance import InstanceTargets

IGNORED = 255  # class index of pixels that no loss looks at


def semantic_target(labels: np.ndarray, classes: ClassSet) -> Tensor:
    """HxW int32 label map -> HxW int64 indices into the class set, 255 where unlabelled or of an unknown class."""
    lookup = np.full(129, IGNORED, dtype=np.int64)  # the last entry is that of -1, unlabelled
    for index, info in enumerate(classes.classes):
        lookup[info.id] = index
    return torch.from_numpy(lookup[_class_ids(labels)])


def instance_targets(labels: np.ndarray, classes: ClassSet) -> InstanceTargets:
    """The things of an HxW int32 label map; crowd (a thing class with id 0) is left out, see ``crowd_mask``.

    Track ids are whole labels, class included, because a set may number the tracks of each class from 1.
    """
    thing_label = {info.id: 1 + index for index, info in enumerate(classes.things)}
    found = [x for x in np.unique(labels[is_instance(labels)]).tolist() if x // LABEL_DIVISOR in thing_label]
    masks = np.empty((len(found), *labels.shape), dtype=np.uint8)
    boxes = np.empty((len(found), 4), dtype=np.float32)
    for i, label in enumerate(found):
        masks[i] = labels == label
        x, y, width, height = cv2.boundingRect(masks[i])
        boxes[i] = x, y, x + width, y + height
    return InstanceTargets(
        torch.from_numpy(boxes),
        torch.tensor([thing_label[label // LABEL_DIVISOR] for label in found], dtype=torch.int64),
        torch.from_numpy(masks),
        torch.tensor(found, dtype=torch.int64),
    )


def crowd_mask(labels: np.ndarray, classes: ClassSet) -> Tensor:
    """HxW bool: pixels of things that nobody told apart, which the detector may take for instances or not."""
    is_thing = np.zeros(129, dtype=bool)
    is_thing[[info.id for info in classes.things]] = True
    return torch.from_numpy(is_thing[_class_ids(labels)] & ~is_instance(labels))


def _class_ids(labels: np.ndarray) -> np.ndarray:
    """Class id of each pixel, -1 where unlabelled; far quicker than ``decode_labels``, which also tells the track ids."""
    return labels >> LABEL_BITS
