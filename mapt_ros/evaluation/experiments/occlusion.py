"""Occlusion told from label maps alone: things whose visible part shrinks and grows again have been hidden."""

from collections.abc import Iterable

import numpy as np

from mapt_ros.data.labels import instance_areas

_LEAST_AREA = 64  # pixels; of smaller parts the edges decide how many they have


def hidden_things(label_maps: Iterable[np.ndarray]) -> list[set[int]]:
    """For each HxW int32 label map of a sequence, the labels of the things that are hidden in it.

    A thing is hidden in a frame in which less than half of it is visible, nothing perhaps: where it has fewer pixels
    than half of what it has at some time before, and of what it has at some time after. A thing that drives away or
    leaves the image is not hidden, nor is one of which never more than 64 pixels are seen on both sides.
    """
    return _hidden([instance_areas(labels) for labels in label_maps])


def hidden_share(label_maps: Iterable[np.ndarray]) -> float:
    """How occluded a sequence is: hidden things as a share of all, frame by frame; 0 without any thing."""
    areas = [instance_areas(labels) for labels in label_maps]
    return sum(map(len, _hidden(areas))) / max(sum(map(len, areas)), 1)


def _hidden(areas: list[dict[int, int]]) -> list[set[int]]:
    hidden: list[set[int]] = [set() for _ in areas]
    for label in {label for frame in areas for label in frame}:
        visible = np.array([frame.get(label, 0) for frame in areas])
        before = np.maximum.accumulate(visible)
        after = np.maximum.accumulate(visible[::-1])[::-1]
        once = np.minimum(before, after)
        for i in np.flatnonzero((2 * visible < once) & (once >= _LEAST_AREA)).tolist():
            hidden[i].add(label)
    return hidden
