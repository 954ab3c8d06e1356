"""Hard copies of small instances: pasted to another place of their own row band, alike in all frames of a pair."""

from dataclasses import dataclass

import cv2
import numpy as np

from mapt_ros.data.frames import Frame
from mapt_ros.data.labels import LABEL_DIVISOR, instance_areas, is_instance

_TRIES = 8  # places drawn for one copy before it is given up
_LEAST_LEFT = 0.5  # of every instance, the copy included, at least this share of its pixels stays visible


@dataclass(frozen=True)
class _Cutout:
    """An instance's pixels: a bool mask and the rows and columns of its box in the frame."""

    mask: np.ndarray
    rows: slice
    columns: slice

    def shifted(self, offset: int) -> tuple[slice, slice]:
        """Rows and columns of the box after a shift along x."""
        return self.rows, slice(self.columns.start + offset, self.columns.stop + offset)


@dataclass
class _Canvas:
    """A frame that copies are pasted into, and how many pixels each instance had when it was whole."""

    image: np.ndarray
    labels: np.ndarray
    areas: dict[int, int]


def copy_small_instances(
    frames: list[Frame], count: int, area: tuple[int, int], rng: np.random.Generator
) -> list[Frame]:
    """Copies up to ``count`` small instances, each under a track id that no frame has yet.

    A copy is shifted along x only, for on level ground the row tells the distance and so the size; by one offset in all
    frames, so that it moves as its original does. It stands on the same class as the original. Nearer instances, those
    whose lowest row is below its own, stay in front of it.

    Args:
        frames: one or more of one size; they stay as they are.
        area: least and most visible pixels of an instance that counts as small in the last frame.

    Returns:
        New frames where there was something to copy, else those given.
    """
    if count == 0:
        return frames
    areas = [instance_areas(labels) for _, labels in frames]
    small = [label for label, pixels in areas[-1].items() if area[0] <= pixels <= area[1]]
    if not small:
        return frames
    canvases = [_Canvas(image.copy(), labels.copy(), a) for (image, labels), a in zip(frames, areas, strict=True)]
    fresh_id = 1 + max(label % LABEL_DIVISOR for a in areas for label in a)
    copied = 0
    for label in rng.permutation(small).tolist():
        copied += _copy(canvases, label, label - label % LABEL_DIVISOR + fresh_id + copied, rng)
        if copied == count:
            break
    return [(canvas.image, canvas.labels) for canvas in canvases]


def _copy(canvases: list[_Canvas], label: int, new_label: int, rng: np.random.Generator) -> bool:
    """Pastes one instance into all frames that have it, if a place is found."""
    having = [canvas for canvas in canvases if label in canvas.areas]
    cutouts = [_cut_out(canvas.labels, label) for canvas in having]
    if not _is_whole(having[-1].labels, cutouts[-1]):
        return False
    offsets = _offsets(having[-1].labels, cutouts[-1])
    leftmost, past = min(c.columns.start for c in cutouts), max(c.columns.stop for c in cutouts)
    offsets = offsets[(offsets >= -leftmost) & (offsets <= having[-1].labels.shape[1] - past)]
    for offset in rng.permutation(offsets)[:_TRIES].tolist():
        masks = [_visible(canvas, cutout, offset) for canvas, cutout in zip(having, cutouts, strict=True)]
        if all(mask is not None for mask in masks):
            for canvas, cutout, mask in zip(having, cutouts, masks, strict=True):
                _paste(canvas, cutout, mask, offset, new_label)
            return True
    return False


def _cut_out(labels: np.ndarray, label: int) -> _Cutout:
    mask = labels == label
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows, columns = slice(y, y + height), slice(x, x + width)
    return _Cutout(mask[rows, columns], rows, columns)


def _is_whole(labels: np.ndarray, cutout: _Cutout) -> bool:
    """Neither cut by the frame's edge nor next to a nearer instance, which may hide a part of it."""
    rows, columns = cutout.rows, cutout.columns
    if min(rows.start, columns.start) == 0 or rows.stop == labels.shape[0] or columns.stop == labels.shape[1]:
        return False
    around = labels[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1]
    mask = np.pad(cutout.mask, 1)
    ring = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~mask
    beside = np.unique(around[ring & is_instance(around)]).tolist()
    return not any(_is_nearer(labels, other, cutout) for other in beside)


def _is_nearer(labels: np.ndarray, other: int, cutout: _Cutout) -> bool:
    """On level ground, what reaches further down is nearer."""
    return _cut_out(labels, other).rows.stop > cutout.rows.stop


def _offsets(labels: np.ndarray, cutout: _Cutout) -> np.ndarray:
    """Shifts along x that put the box above the stuff that it stands on, by more than half of its width; may be none."""
    beneath = labels[cutout.rows.stop]
    found, counts = np.unique(beneath[cutout.columns], return_counts=True)
    ground = found[counts.argmax()]
    if ground < 0 or is_instance(ground):
        return np.empty(0, np.int64)
    width = cutout.columns.stop - cutout.columns.start
    before = np.concatenate([[0], np.cumsum(beneath == ground)])  # columns of that ground left of each column
    return np.flatnonzero(before[width:] - before[:-width] > width / 2) - cutout.columns.start


def _visible(canvas: _Canvas, cutout: _Cutout, offset: int) -> np.ndarray | None:
    """The copy's pixels that nothing nearer hides; None if it or anything it covers would lose too much."""
    place = cutout.shifted(offset)
    there = canvas.labels[place]
    mask = cutout.mask.copy()
    covered = []
    for other in np.unique(there[mask & is_instance(there)]).tolist():
        if _is_nearer(canvas.labels, other, cutout):
            mask &= there != other
        else:
            covered.append(other)
    if mask.sum() < _LEAST_LEFT * cutout.mask.sum():
        return None
    for other in covered:
        left = np.count_nonzero(canvas.labels == other) - np.count_nonzero(mask & (there == other))
        if left < _LEAST_LEFT * canvas.areas[other]:
            return None
    return mask


def _paste(canvas: _Canvas, cutout: _Cutout, mask: np.ndarray, offset: int, new_label: int) -> None:
    place = cutout.shifted(offset)
    source = canvas.image[cutout.rows, cutout.columns].copy()  # the two boxes may overlap
    # Softer at the edge, where a camera mixes an object with what is behind it.
    opacity = cv2.blur(mask.astype(np.float32), (3, 3))[..., None] * mask[..., None]
    behind = canvas.image[place]
    canvas.image[place] = np.rint(behind + opacity * (source.astype(np.float32) - behind)).astype(np.uint8)
    canvas.labels[place][mask] = new_label
    canvas.areas[new_label] = int(cutout.mask.sum())
