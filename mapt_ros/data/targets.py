"""Turns panoptic label maps into what the losses compare with: class indices, boxes, masks and track ids."""

import numpy as np
import torch
from torch import Tensor

from mapt_ros.data.labels import ClassSet, decode_labels
from mapt_ros.model.instance import InstanceTargets

IGNORED = 255  # class index of pixels that no loss looks at


def semantic_target(labels: np.ndarray, classes: ClassSet) -> Tensor:
    """HxW int32 label map -> HxW int64 indices into the class set, 255 where unlabelled or of an unknown class."""
    lookup = np.full(256, IGNORED, dtype=np.int64)
    for index, info in enumerate(classes.classes):
        lookup[info.id] = index
    return torch.from_numpy(lookup[decode_labels(labels)[0]])


def instance_targets(labels: np.ndarray, classes: ClassSet) -> InstanceTargets:
    """The things of an HxW int32 label map; crowd (a thing class with id 0) is left out."""
    class_ids, track_ids = decode_labels(labels)
    thing_label = {info.id: 1 + index for index, info in enumerate(classes.things)}
    height, width = labels.shape
    boxes, kinds, masks, ids = [], [], [], []
    for label in np.unique(labels[(track_ids > 0) & np.isin(class_ids, list(thing_label))]):
        mask = labels == label
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        class_id, track_id = (int(part) for part in decode_labels(label))
        kinds.append(thing_label[class_id])
        masks.append(mask)
        ids.append(track_id)
    return InstanceTargets(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(kinds, dtype=torch.int64),
        torch.from_numpy(np.stack(masks).astype(np.uint8))
        if masks
        else torch.zeros(0, height, width, dtype=torch.uint8),
        torch.tensor(ids, dtype=torch.int64),
    )
