"""The paper's studies, each a table of settings: what ``mapt experiment`` knows."""

from itertools import product

from mapt_ros.evaluation.experiments.findings import front_chart, motion_charts, motion_findings, pat_stq_front
from mapt_ros.evaluation.experiments.study import CostStudy, TrackingStudy, bars, grouped_bars
from mapt_ros.evaluation.variants import Variant
from mapt_ros.training.interval import AdaptiveInterval, FixedInterval

IOU_TRACKER = Variant("plain IoU tracker", "motion", "copied")
# The training intervals that `interval` compares, by the names that its table and its checkpoints go by.
INTERVALS = {
    **{f"tau {frames}": FixedInterval(frames=frames) for frames in (1, 2, 3, 5)},
    "adaptive": AdaptiveInterval(),
}
CHOSEN = "chosen"
_STRIDES = range(1, 9)
_FUSIONS = product((0.3, 0.5, 0.7), (0.3, 0.5, 0.7), (0, 256, 1024))

STUDIES: dict[str, TrackingStudy | CostStudy] = {
    "ablation": TrackingStudy(
        question="What does each head add, and motion to the embedding?",
        labels={"association": lambda row: row.variant.name},
        variants=(
            Variant("motion only", "motion"),
            Variant("appearance only", "appearance"),
            Variant("combined", "combined"),
            Variant("appearance, propagated features off", "appearance", settings={"use_propagated_features": False}),
        ),
        columns=("PAT", "PQ", "TQ", "IDS", "IDF1", "correct"),
        charts=bars(
            lambda row: row.variant.name.replace("propagated features", "propag."), ("PAT", "PQ", "TQ"), ("IDS",)
        ),
    ),
    "fusion-order": TrackingStudy(
        question="Which cue should decide first where things hide each other?",
        labels={"order": lambda row: row.variant.name},
        variants=(
            Variant("motion first", "combined"),
            Variant("appearance first", "appearance-first"),
            Variant("simultaneous", "simultaneous"),
        ),
        columns=("PAT", "TQ", "IDS", "fragmentations", "hidden", "kept"),
        data="most occluded",
        charts=bars(lambda row: row.variant.name, ("PAT", "TQ", "kept"), ("IDS", "fragmentations")),
    ),
    "rapid-motion": TrackingStudy(
        question="How fast may things move before association breaks?",
        labels={"association": lambda row: row.variant.name.split(",")[0], "n": lambda row: str(row.variant.every)},
        variants=tuple(
            Variant(f"{name}, n = {n}", association, masks, every=n)
            for name, association, masks in (
                ("combined", "combined", "propagated"),
                ("motion", "motion", "propagated"),
                (IOU_TRACKER.name, IOU_TRACKER.association, IOU_TRACKER.masks),
            )
            for n in _STRIDES
        ),
        columns=("displacement", "PAT", "TQ", "IDS", "correct", "associations"),
        charts=motion_charts,
        findings=motion_findings,
    ),
    "interval": TrackingStudy(
        question="How far apart should the frames of a training pair be?",
        labels={"trained with": lambda row: row.weights, "association": lambda row: row.variant.name},
        variants=(Variant("combined", "combined"), Variant("motion only", "motion")),
        columns=("PAT", "PQ", "TQ", "STQ", "IDS", "carried IoU", "copied IoU"),
        weights="intervals",
        charts=grouped_bars(lambda row: row.weights, lambda row: row.variant.name, "PAT", "TQ"),
    ),
    "failure-cases": TrackingStudy(
        question="What does the method add to a plain IoU tracker where tracking is known to fail?",
        labels={"scenario": lambda row: row.data, "tracker": lambda row: row.variant.name},
        variants=(Variant("MAPT", "combined"), IOU_TRACKER),
        columns=("IDS / 100", "fragmentations / 100", "PAT", "TQ", "IDS", "fragmentations", "track-frames"),
        data="scenarios",
        charts=grouped_bars(
            lambda row: row.data, lambda row: row.variant.name, "IDS / 100", "fragmentations / 100", "TQ"
        ),
    ),
    "cross-dataset": TrackingStudy(
        question="What is left of it on other datasets, without fine-tuning?",
        labels={"data": lambda row: row.data},
        variants=(Variant("combined", "combined"),),
        columns=("PAT", "PQ", "TQ", "STQ", "SQ", "AQ", "HOTA", "IDS", "track-frames"),
        data="several",
        charts=bars(lambda row: row.data, ("PAT", "PQ", "TQ", "STQ")),
    ),
    "flow-baseline": CostStudy(
        question="What does the motion head cost and carry, beside optical flow?",
        columns={
            "GMACs": "gmacs",
            "GMACs at 1024x1920": "gmacs_paper_size",
            "times the motion head's": "gmacs_ratio_paper_size",
            "ms": "ms",
            "IoU": "iou",
            "IoU, moved > 8 px": "iou_moved",
        },
        repeats=5,
    ),
    "stq-vs-pat": TrackingStudy(
        question="What do the fusion's thresholds trade between PAT and STQ?",
        labels={"fusion": lambda row: row.variant.name},
        variants=(
            Variant(CHOSEN, "combined"),
            *(
                Variant(
                    f"score {score}, overlap {taken}, area {area}",
                    "combined",
                    settings={"score_threshold": score, "max_taken": taken, "min_stuff_area": area},
                )
                for score, taken, area in _FUSIONS
            ),
        ),
        columns=("PAT", "STQ", "PQ", "TQ", "SQ", "AQ", "IDS"),
        charts=front_chart,
        findings=pat_stq_front,
    ),
}
