"""Pictures of what a network in training sees: tracked frames of its own data, as overlays on one sheet."""

from mapt_ros.data.frames import Dataset
from mapt_ros.model.mapt import MAPT
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.tracker import PanopticTracker
from mapt_ros.viz.overlay import contact_sheet, draw_overlay, png_bytes

_SEQUENCES, _FRAMES = 4, 3


def preview(model: MAPT, datasets: list[Dataset], settings: TrackerConfig) -> bytes:
    """A PNG: a row a sequence, consecutive frames from left to right. Leaves the model in evaluation mode."""
    overlays = []
    sequences = [sequence for dataset in datasets for sequence in dataset.sequences]
    for sequence in sequences[:: max(1, len(sequences) // _SEQUENCES)][:_SEQUENCES]:
        tracker = PanopticTracker(model, settings, graphs=False)  # the weights change from picture to picture
        middle = max(0, (len(sequence) - _FRAMES) // 2)
        for i in range(middle, min(middle + _FRAMES, len(sequence))):
            image, _ = sequence.frame(i)
            overlays.append(draw_overlay(image, tracker(image), model.config.classes))
    sheet = contact_sheet(overlays, columns=_FRAMES)
    return png_bytes(sheet)
