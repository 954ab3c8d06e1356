"""How many near cars weights find in real camera frames, and whether they keep one identity.

    python -m benchmarks.real_frames FOLDER [--cars FILE] [--weights compact] [--overlays PNG]

FOLDER holds the images, in order; the file of cars says where they stand (boxes drawn by hand at some frames,
interpolated between them). A car counts as found in a frame where an instance of its class has a box of IoU >= 0.45
with it: hand-drawn boxes of half-hidden cars are no better than that. KITTI's images are not shipped.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_iou

from benchmarks.command import start, tracker_settings
from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.errors import InputError, first_line
from mapt_ros.replay.files import write_beside
from mapt_ros.replay.kitti import find_sequences
from mapt_ros.replay.sources import read_image
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.tracker import PanopticTracker
from mapt_ros.viz.overlay import Trails, contact_sheet, draw_overlay, png_bytes

FOUND_IOU = 0.45
CARS = Path(__file__).with_name("real_cars.json")


def main() -> None:
    """Prints one row a car, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cars", type=Path, default=CARS)
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a tracker setting")
    parser.add_argument("--overlays", type=Path, help="a sheet of eight of the tracked frames")
    options = parser.parse_args()
    settings = tracker_settings(options.set)
    try:
        cars = json.loads(options.cars.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{options.cars}: cannot be read as JSON: {first_line(error)}") from None
    (sequence,) = find_sequences(options.folder)
    tracker = PanopticTracker.load(options.weights, **settings)
    ids: dict[str, list[int]] = {name: [] for name in cars["cars"]}
    trails, overlays = Trails(), []
    for index, (file, stamp_ns) in enumerate(zip(sequence.frames, sequence.stamps_or_10_hz())):
        image = read_image(file)
        frame = tracker(image, stamp_ns)
        trails.update(frame)
        overlays.append(draw_overlay(image, frame, KITTI_STEP, trails=trails))
        for name, boxes in cars["cars"].items():
            ids[name].append(found(frame, box_at(index, cars["frames"], boxes)))
    print(table(ids))
    if options.overlays:
        chosen = np.linspace(0, len(overlays) - 1, min(8, len(overlays))).round().astype(int)
        write_beside(options.overlays, png_bytes(contact_sheet([overlays[i] for i in chosen], 2)))


def box_at(index: int, frames: list[int], boxes: list[list[float]]) -> list[float]:
    """The box at a frame, on straight lines between those drawn."""
    return [float(np.interp(index, frames, side)) for side in zip(*boxes)]


def found(frame: PanopticFrame, box: list[float]) -> int:
    """The track id of the car instance whose box fits best, 0 if none fits well enough."""
    car = next(info.id for info in KITTI_STEP.classes if info.name == "car")
    seen = [instance for instance in frame.instances if instance.class_id == car and not instance.frames_since_seen]
    if not seen:
        return 0
    overlap = box_iou(torch.tensor([box]), torch.tensor([list(instance.box) for instance in seen]).float())[0]
    best = int(overlap.argmax())
    return seen[best].track_id if overlap[best] >= FOUND_IOU else 0


def table(ids: dict[str, list[int]]) -> str:
    """In how many frames each car was found, and in how many of those under its most frequent id."""
    lines = ["| car | frames | found | under one id |", "| --- | ---: | ---: | ---: |"]
    rows = []
    for name, seen in ids.items():
        named = Counter(i for i in seen if i)
        rows.append((name, len(seen), named.total(), max(named.values(), default=0)))
    rows.append(("**all**", *(sum(row[i] for row in rows) for i in (1, 2, 3))))
    return "\n".join([*lines, *(f"| {name} | {frames} | {hit} | {one} |" for name, frames, hit, one in rows)])


if __name__ == "__main__":
    start(main)
