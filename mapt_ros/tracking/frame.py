"""The values that leave the tracker: one panoptic frame and the tracked instances in it."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


class TrackState(IntEnum):
    """Life of a track; the numbers are those of ``TrackedInstance.msg``."""

    TENTATIVE = 0
    CONFIRMED = 1
    LOST = 2


class Association(IntEnum):
    """How an instance got its identity in this frame; the numbers are those of ``TrackedInstance.msg``."""

    NEW = 0
    MOTION = 1
    APPEARANCE = 2


@dataclass(frozen=True)
class TrackedInstance:
    """One tracked thing in one frame.

    Attributes:
        track_id: from 1, never reused within an epoch.
        class_id: id of a thing class in the tracker's class set.
        score: detection score in [0, 1] (of the last sighting, when lost).
        box: x0, y0, x1, y1 in whole pixels around the instance's pixels in the label map, far edge exclusive.
        area: pixels in the label map; 0 when lost.
        x, y: centroid of the mask in pixels.
        vx, vy: its velocity in pixels per second, from the stamps; 0 while unknown.
        age: frames since birth, the birth frame counting 1.
        frames_since_seen: 0 when seen in this frame.
        state: tentative, confirmed or lost.
        association: how it was matched in this frame (for a lost one: when last seen).
        association_score: mask overlap for MOTION, cosine similarity for APPEARANCE, detection score for NEW.
    """

    track_id: int
    class_id: int
    score: float
    box: tuple[int, int, int, int]
    area: int
    x: float
    y: float
    vx: float
    vy: float
    age: int
    frames_since_seen: int
    state: TrackState
    association: Association
    association_score: float


@dataclass(frozen=True)
class PanopticFrame:
    """What one image turned into.

    Attributes:
        labels: HxW int32, class_id * LABEL_DIVISOR + track_id, -1 where unlabelled.
        instances: the tracked things, by track id; those with pixels in ``labels``, then lost ones if asked for.
        stamp_ns: the image's stamp in nanoseconds, or None if none was given.
        sequence: frames since the last reset, the first being 0.
        epoch: resets so far; track ids are unique within an epoch.
    """

    labels: np.ndarray
    instances: list[TrackedInstance] = field(default_factory=list)
    stamp_ns: int | None = None
    sequence: int = 0
    epoch: int = 0
