"""Class sets and the two panoptic encodings (int32 label maps, KITTI-STEP PNGs): the ground every room may stand on.

Sources: KITTI-STEP dataset page and STEP, arXiv 2102.11859 (class ids, PNG encoding), doc.bdd100k.com/format.html (its
categories), Cityscapes palette (colours).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mapt_ros.errors import InputError

LABEL_BITS = 24  # ids never run into the class in days of driving
LABEL_DIVISOR = 1 << LABEL_BITS  # label = class_id * LABEL_DIVISOR + track_id
UNLABELLED = -1  # the label of a pixel that belongs to no segment
VOID_CLASS = 255  # the class id that stands for "no class" in PNGs
MAX_PNG_ID = 0xFFFF  # KITTI-STEP keeps a track id in two bytes


@dataclass(frozen=True)
class ClassInfo:
    """One semantic class: its id in the data set, its name, whether it is countable, and its RGB colour (0-255)."""

    id: int
    name: str
    is_thing: bool
    color: tuple[int, int, int]


@dataclass(frozen=True)
class ClassSet:
    """An ordered set of classes; the order is the channel order of the semantic logits."""

    name: str
    classes: tuple[ClassInfo, ...]

    @cached_property
    def things(self) -> tuple[ClassInfo, ...]:
        return tuple(c for c in self.classes if c.is_thing)

    @cached_property
    def stuff(self) -> tuple[ClassInfo, ...]:
        return tuple(c for c in self.classes if not c.is_thing)

    @cached_property
    def by_id(self) -> dict[int, ClassInfo]:
        return {c.id: c for c in self.classes}


_KITTI_STEP = (
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic-light", (250, 170, 30)),
    ("traffic-sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)
KITTI_STEP = ClassSet(
    "kitti-step",
    tuple(ClassInfo(i, name, name in ("person", "car"), color) for i, (name, color) in enumerate(_KITTI_STEP)),
)
_MOTCHALLENGE_STEP = ("sidewalk", "building", "vegetation", "sky", "person", "rider", "bicycle")
MOTCHALLENGE_STEP = ClassSet(
    "motchallenge-step",
    tuple(ClassInfo(i, name, name == "person", dict(_KITTI_STEP)[name]) for i, name in enumerate(_MOTCHALLENGE_STEP)),
)
_BDD100K = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")  # its ids begin at 1
BDD100K = ClassSet(
    "bdd100k",
    tuple(
        ClassInfo(1 + i, name, True, dict(_KITTI_STEP)["person" if name == "pedestrian" else name])
        for i, name in enumerate(_BDD100K)
    ),
)
CLASS_SETS = {classes.name: classes for classes in (KITTI_STEP, MOTCHALLENGE_STEP, BDD100K)}


def encode_labels(class_ids: np.ndarray, track_ids: np.ndarray) -> np.ndarray:
    """Joins HxW class ids and track ids into an HxW int32 label map; class 255 becomes UNLABELLED."""
    labels = class_ids.astype(np.int32) * np.int32(LABEL_DIVISOR) + track_ids.astype(np.int32)
    return np.where(class_ids == VOID_CLASS, np.int32(UNLABELLED), labels)


def decode_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits an HxW int32 label map into HxW class ids (255 where unlabelled) and track ids, both int32."""
    known = labels >= 0
    return np.where(known, labels // LABEL_DIVISOR, VOID_CLASS), np.where(known, labels % LABEL_DIVISOR, 0)


def is_instance(labels: np.ndarray) -> np.ndarray:
    """Bool array of a label map's shape: where there is a track id, as stuff and crowd have none."""
    return (labels >= 0) & ((labels & (LABEL_DIVISOR - 1)) != 0)


def instance_areas(labels: np.ndarray) -> dict[int, int]:
    """Label -> pixels of every instance of an HxW label map."""
    found, counts = np.unique(labels[is_instance(labels)], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def labels_to_step_png(labels: np.ndarray) -> np.ndarray:
    """KITTI-STEP's encoding of a label map as HxWx3 uint8 RGB: R = class, G * 256 + B = track id.

    Raises:
        InputError: a track id does not fit into 16 bits.
    """
    class_ids, track_ids = decode_labels(labels)
    if track_ids.size and track_ids.max() > MAX_PNG_ID:
        raise InputError(
            f"track id {track_ids.max()} does not fit a KITTI-STEP PNG (16 bits, at most {MAX_PNG_ID}); reset the"
            " tracker between sequences"
        )
    return np.stack([class_ids, track_ids >> 8, track_ids & 0xFF], axis=-1).astype(np.uint8)


def step_png_to_labels(png: np.ndarray) -> np.ndarray:
    """The HxW int32 label map of a KITTI-STEP PNG given as HxWx3 uint8 RGB."""
    red, green, blue = (png[..., i].astype(np.int32) for i in range(3))
    return encode_labels(red, green * 256 + blue)
