"""From what is seen in a frame to who it is: matching, memory, and what is published of it."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.tracking.association import associate
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import TrackedInstance, TrackState
from mapt_ros.tracking.memory import Observation, Track, Update, update


@dataclass(frozen=True)
class Identified:
    """Outcome of one frame.

    Attributes:
        update: the memory's.
        labels: of every observation, in order, for the label map.
        instances: what is published.
    """

    update: Update
    labels: list[int]
    instances: list[TrackedInstance]


def identify(
    tracks: list[Track],
    observations: list[Observation],
    overlap: np.ndarray | None,
    next_id: int,
    stamp_ns: int | None,
    settings: TrackerConfig,
    similarity: np.ndarray | None = None,
) -> Identified:
    """Gives every observation an identity.

    Args:
        overlap: TxN soft IoU of propagated masks and observations; may be None where either is none.
        similarity: TxN cosines of their embeddings, where they are known already.
    """
    matches = []
    if tracks and observations:
        kinds = [np.array(k) for k in ([t.instance.class_id for t in tracks], [o.class_id for o in observations])]
        same_class = kinds[0][:, None] == kinds[1]
        if similarity is None:
            similarity = np.stack([t.embedding for t in tracks]) @ np.stack([o.embedding for o in observations]).T
        matches = associate(overlap, similarity, same_class, settings)
    outcome = update(tracks, observations, matches, next_id, stamp_ns, settings)
    labels = [0] * len(observations)
    for track, (kind, position) in zip(outcome.tracks, outcome.source):
        if kind == "seen":
            labels[position] = track.instance.class_id * LABEL_DIVISOR + track.instance.track_id
    instances = [t.instance for t in outcome.tracks if t.instance.state != TrackState.LOST]
    if settings.publish_lost:
        instances += [t.instance for t in outcome.tracks if t.instance.state == TrackState.LOST]
    return Identified(outcome, labels, instances)
