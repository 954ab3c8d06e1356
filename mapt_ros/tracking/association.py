"""Two-step association of tracks with detections: propagated masks first, embeddings for what is left."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association


@dataclass(frozen=True)
class Match:
    """Track ``track`` is seen as detection ``detection`` (positions in the lists), found ``how`` and how surely."""

    track: int
    detection: int
    how: Association
    score: float


def associate(
    overlap: np.ndarray, similarity: np.ndarray, same_class: np.ndarray, config: TrackerConfig
) -> list[Match]:
    """Gives every detection at most one track of its own class, and every track at most one detection.

    ``combined`` is the paper's order: Hungarian matching on mask overlap, then on cosine similarity for the unmatched.
    ``appearance-first`` swaps the steps, ``motion`` and ``appearance`` leave one out, ``simultaneous`` matches once on
    the sum of both. What is maximised is the sum of overlaps, and of cosines above their threshold: never the mere
    number of pairs.

    Args:
        overlap: TxD IoU of propagated and detected masks in [0, 1]; zeros where a track has no propagated mask.
        similarity: TxD cosines in [-1, 1].
        same_class: TxD bool.
    """
    by_motion = same_class & (overlap >= max(config.motion_threshold, 1e-6))
    by_appearance = same_class & (similarity >= config.appearance_threshold)
    likeness = (similarity - config.appearance_threshold + 1e-6) / (1 - config.appearance_threshold + 1e-6)
    motion = (Association.MOTION, overlap, overlap, by_motion)
    appearance = (Association.APPEARANCE, similarity, likeness, by_appearance)
    if config.association == "simultaneous":
        pairs = _assign(overlap * by_motion + likeness * by_appearance, by_motion | by_appearance)
        return [Match(t, d, *_cue(overlap, similarity, by_motion, t, d)) for t, d in pairs]
    steps = {
        "combined": (motion, appearance),
        "appearance-first": (appearance, motion),
        "motion": (motion,),
        "appearance": (appearance,),
    }[config.association]
    matches: list[Match] = []
    for how, scores, worths, allowed in steps:
        allowed = allowed.copy()
        allowed[[m.track for m in matches]] = False
        allowed[:, [m.detection for m in matches]] = False
        matches += [Match(t, d, how, float(scores[t, d])) for t, d in _assign(worths, allowed)]
    return matches


def mask_overlap(propagated: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """Soft IoU of TxP and DxP masks in [0, 1] (P cells): sum of minima over sum of maxima; TxD.

    It is 1 for equal masks, however soft, which the form with products is not: small things are mostly soft edge.
    """
    # Where a mask is zero so is the minimum, and a mask is zero nearly everywhere.
    held = [np.flatnonzero(mask) for mask in propagated]
    both = np.stack([np.minimum(mask[at], detected[:, at]).sum(axis=1) for mask, at in zip(propagated, held)])
    either = propagated.sum(axis=1)[:, None] + detected.sum(axis=1)[None] - both
    return both / np.maximum(either, 1e-6)


def _assign(worths: np.ndarray, allowed: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of the assignment that maximises the sum of (positive) worths over allowed pairs."""
    if not allowed.any():
        return []
    rows, columns = linear_sum_assignment(np.where(allowed, worths, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns) if allowed[r, c]]


def _cue(
    overlap: np.ndarray, similarity: np.ndarray, by_motion: np.ndarray, track: int, detection: int
) -> tuple[Association, float]:
    if by_motion[track, detection]:
        return Association.MOTION, float(overlap[track, detection])
    return Association.APPEARANCE, float(similarity[track, detection])
