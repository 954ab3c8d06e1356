"""Turns panoptic label maps into what the losses compare with: class indices, boxes, masks and track ids."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from mapt_ros.data.labels import LABEL_BITS, LABEL_DIVISOR, ClassSet, is_instance
from mapt_ros.model.constants import constant
from mapt_ros.model.instance import InstanceTargets

IGNORED = 255  # class index of pixels that no loss looks at


@dataclass(frozen=True)
class LabelledThings:
    """Label maps of B frames of one size and the things in them, from which any device makes the rest.

    Attributes:
        labels: BxHxW int32.
        boxes: Nx4 float, x0 y0 x1 y1 in pixels, of all frames in their order.
        kinds: N int64, 1 + index among the thing classes.
        track_ids: N int64, whole labels, class included, because a set may number the tracks of each class from 1.
        counts: how many of the things stand in each frame.
        crowded: whether a frame has crowd, a thing class with id 0.
    """

    labels: Tensor
    boxes: Tensor
    kinds: Tensor
    track_ids: Tensor
    counts: list[int]
    crowded: list[bool]

    def to(self, device: torch.device | str) -> "LabelledThings":
        """The same on another device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    def instances(self, classes: ClassSet) -> list[InstanceTargets]:
        """The things of each frame; crowd is left out of them, and of frames that have any a mask of their own."""
        device = self.labels.device
        frame = torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts)).to(device)
        masks = (self.labels[frame] == self.track_ids[:, None, None]).to(torch.uint8)
        parts = zip(*(values.split(self.counts) for values in (self.boxes, self.kinds, masks, self.track_ids)))
        return [
            InstanceTargets(*values, crowd=_crowd(labels, classes) if crowded else None)
            for values, labels, crowded in zip(parts, self.labels, self.crowded, strict=True)
        ]


def labelled_things(label_maps: list[np.ndarray], classes: ClassSet) -> LabelledThings:
    """Finds the things of HxW int32 label maps, all of one size."""
    thing_label = {info.id: 1 + index for index, info in enumerate(classes.things)}
    crowd = [info.id * LABEL_DIVISOR for info in classes.things]
    boxes, kinds, ids, counts = [], [], [], []
    for labels in label_maps:
        found = [x for x in np.unique(labels[is_instance(labels)]).tolist() if x // LABEL_DIVISOR in thing_label]
        for label in found:
            x, y, width, height = cv2.boundingRect((labels == label).view(np.uint8))
            boxes.append((x, y, x + width, y + height))
        kinds += [thing_label[label // LABEL_DIVISOR] for label in found]
        ids += found
        counts.append(len(found))
    return LabelledThings(
        torch.from_numpy(np.stack(label_maps)),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(kinds, dtype=torch.int64),
        torch.tensor(ids, dtype=torch.int64),
        counts,
        [any((labels == label).any() for label in crowd) for labels in label_maps],
    )


def instance_targets(labels: np.ndarray, classes: ClassSet) -> InstanceTargets:
    """The things of an HxW int32 label map, without ``crowd``, see ``crowd_mask``."""
    return replace(labelled_things([labels], classes).instances(classes)[0], crowd=None)


def semantic_target(labels: np.ndarray, classes: ClassSet) -> Tensor:
    """HxW int32 label map -> HxW int64 indices into the class set, 255 where unlabelled or of an unknown class."""
    return class_indices(torch.from_numpy(labels), classes)


def class_indices(labels: Tensor, classes: ClassSet) -> Tensor:
    """As ``semantic_target``, of a label map of any shape, on its device."""
    index = {info.id: index for index, info in enumerate(classes.classes)}
    lookup = tuple(index.get(i, IGNORED) for i in range(129))  # the last entry is that of -1, unlabelled
    return constant(lookup, torch.int64, labels.device)[_class_ids(labels)]


def crowd_mask(labels: np.ndarray, classes: ClassSet) -> Tensor:
    """HxW bool: pixels of things that nobody told apart, which the detector may take for instances or not."""
    return _crowd(torch.from_numpy(labels), classes)


def _crowd(labels: Tensor, classes: ClassSet) -> Tensor:
    things = {info.id for info in classes.things}
    is_thing = constant(tuple(i in things for i in range(129)), torch.bool, labels.device)
    return is_thing[_class_ids(labels)] & ~is_instance(labels)


def _class_ids(labels: Tensor) -> Tensor:
    """Class id of each pixel, -1 where unlabelled; far quicker than ``decode_labels``, which also tells the track ids."""
    return (labels >> LABEL_BITS).long()
