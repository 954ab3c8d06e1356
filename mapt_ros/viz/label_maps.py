"""Pictures of label maps that no tracker stands behind, such as ground truth: over the image, or as plain colours."""

from dataclasses import replace

import cv2
import numpy as np

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR, ClassSet
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState
from mapt_ros.viz.overlay import draw_overlay, track_color

_WRONG = (255, 40, 40)  # RGB
_WRONG_SHARE = 0.75


def draw_labels(
    labels: np.ndarray, classes: ClassSet, image: np.ndarray | None = None, scale: float = 1.0
) -> np.ndarray:
    """A label map with the colours, contours and ids of ``draw_overlay``.

    Args:
        labels: HxW int32 or int64, class_id * LABEL_DIVISOR + track_id, -1 = unlabelled.
        classes: names and colours.
        image: HxWx3 uint8 RGB below the colours; without, they are plain, and black where unlabelled.
        scale: size of the result relative to the map.

    Returns:
        (H * scale) x (W * scale) x 3 uint8 RGB.

    Raises:
        InputError: the image has another size or is not HxWx3 uint8.
    """
    instances = _instances(labels, classes)
    if image is None:
        image = _plain(labels, classes, instances)
    return draw_overlay(image, PanopticFrame(labels, instances), classes, scale=scale)


def draw_wrong(
    truth: np.ndarray, predicted: np.ndarray, image: np.ndarray | None = None, scale: float = 1.0
) -> np.ndarray:
    """Red where the predicted class is not the true one; void of the ground truth is black.

    Args:
        truth, predicted: HxW label maps.
        image, scale: as for ``draw_labels``; the image is shown grey and dark.
    """
    canvas = np.full((*truth.shape, 3), 70, np.uint8)
    if image is not None:
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        canvas = cv2.cvtColor((0.25 * grey + 25).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    wrong = wrong_class(truth, predicted)
    canvas[wrong] = (_WRONG_SHARE * np.array(_WRONG) + (1 - _WRONG_SHARE) * canvas[wrong]).astype(np.uint8)
    canvas[truth < 0] = 0
    size = tuple(max(1, round(side * scale)) for side in truth.shape[::-1])
    return cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)


def wrong_class(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """HxW bool: where two label maps differ in class, the ground truth's void left out."""
    classes = (np.where(labels < 0, -1, labels // LABEL_DIVISOR) for labels in (truth, predicted))
    return (truth >= 0) & np.not_equal(*classes)


def with_colors(classes: ClassSet) -> ClassSet:
    """The class set with a colour for each class that has none (black): KITTI-STEP's by name, or one of its own."""
    known = {info.name: info.color for info in KITTI_STEP.classes}
    coloured = (
        info if any(info.color) else replace(info, color=known.get(info.name, _muted(info.id)))
        for info in classes.classes
    )
    return ClassSet(classes.name, tuple(coloured))


def _muted(class_id: int) -> tuple[int, int, int]:
    """Calmer than the colour of any track."""
    return tuple(round(0.5 * channel + 50) for channel in track_color(class_id))


def _plain(labels: np.ndarray, classes: ClassSet, instances: list[TrackedInstance]) -> np.ndarray:
    """The colours themselves, HxWx3."""
    table = np.full((256, 3), 160, np.uint8)
    for info in classes.classes:
        table[info.id] = info.color
    canvas = np.where(labels[..., None] < 0, np.uint8(0), table[np.maximum(labels, 0) // LABEL_DIVISOR])
    for instance in instances:
        canvas[labels == instance.class_id * LABEL_DIVISOR + instance.track_id] = track_color(instance.track_id)
    return canvas


def _instances(labels: np.ndarray, classes: ClassSet) -> list[TrackedInstance]:
    """What ``draw_overlay`` wants to know of the things with an id."""
    things = {info.id for info in classes.things}
    found = np.unique(labels[(labels >= 0) & (labels % LABEL_DIVISOR != 0)]).tolist()
    instances = []
    for label in found:
        class_id, track_id = divmod(label, LABEL_DIVISOR)
        if class_id not in things:
            continue
        mask = (labels == label).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        area = int(np.count_nonzero(mask))
        instances.append(
            TrackedInstance(
                track_id=track_id,
                class_id=class_id,
                score=1.0,
                box=(x, y, x + width, y + height),
                area=area,
                x=x + (width - 1) / 2,
                y=y + (height - 1) / 2,
                vx=0.0,
                vy=0.0,
                age=1,
                frames_since_seen=0,
                state=TrackState.CONFIRMED,
                association=Association.NEW,
                association_score=1.0,
            )
        )
    return instances
