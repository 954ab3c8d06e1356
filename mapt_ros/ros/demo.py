"""The main job from end to end: a procedural drive as a bag, played over DDS to the node, its output recorded and shown."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import yaml

from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.frames import Frame
from mapt_ros.data.labels import KITTI_STEP, is_instance
from mapt_ros.errors import InputError
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.identity import Identities
from mapt_ros.model.checkpoint import file_hash, find_weights, read_header
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.bags import FIRST_STAMP_NS, write_bag
from mapt_ros.replay.files import write_beside
from mapt_ros.replay.sinks import VideoSink
from mapt_ros.replay.sources import SourceFrame
from mapt_ros.ros.conversions import decode_panoptic
from mapt_ros.ros.domain import use_own_domain
from mapt_ros.ros.player import play_bag
from mapt_ros.ros.recorder import Recorder
from mapt_ros.synthetic.write import synthesise
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.tracker import pick_device
from mapt_ros.viz.overlay import Trails, contact_sheet, draw_overlay, png_bytes

PERIOD_NS = 100_000_000  # 10 Hz, like KITTI
FRAMES = 40
WORLD_SEED = 600_000  # none of the training's, of those that settings were chosen on, nor of the evaluation's
PANOPTIC, CLASSES = "/mapt/panoptic", "/mapt/classes"
_RESULTS = ("world", "scene", "panoptic", "overlay.mp4", "overlay.png", "summary.json")
_MARKER = ".mapt_demo"
_COME_UP_S = 300.0  # torch on a busy machine; a node that ends is seen at once
_LAST_FRAME_S = 60.0
_SHEET = (2, 4)  # columns, rows


def run_demo(out: Path, *, weights: str | Path = "compact") -> dict:
    """The results of one drive through the procedural world.

    Writes to ``out``: ``world/`` (the drive in the KITTI-STEP layout, with its ground truth), ``scene/`` and
    ``panoptic/`` (rosbag2), ``overlay.mp4``, ``overlay.png`` and ``summary.json``.

    Args:
        out: made if needed; what an earlier demo left there is replaced, nothing else.
        weights: a checkpoint, or the name of a bundled one.

    Returns:
        What ``summary.json`` holds.

    Raises:
        InputError: no usable weights, a ``ROS_DOMAIN_ID`` that is no number, ``out`` holds something else's results or
            cannot be written, or the node did not come up, ended early, or lost a frame.
    """
    checkpoint = find_weights(weights)
    read_header(checkpoint)  # sooner told here than by a node that waits to be configured again
    use_own_domain()
    claim(out)
    synthesise(out / "world", seed=WORLD_SEED, sequences=1, frames=FRAMES, split="val")
    write_bag(out / "world", out / "scene")
    log = track_over_dds(out / "scene", out / "panoptic", checkpoint, log=out / "node.log")
    messages = [message for _, message in BagReader(out / "panoptic").messages(PANOPTIC)]
    tracked = [decode_panoptic(message) for message in messages]
    stamps = [frame.stamp_ns for frame in tracked]
    if stamps != [FIRST_STAMP_NS + i * PERIOD_NS for i in range(FRAMES)]:
        raise InputError(f"the node answered {len(stamps)} of {FRAMES} frames, or out of order; its log is {log}")
    drive = read_drive(out)
    draw(drive, tracked, out)
    summary = summarise(drive, messages, tracked) | {
        "weights": f"{checkpoint.stem} {file_hash(checkpoint)}",
        "device": str(pick_device("auto")),
        "overlay": str(out / "overlay.png"),
        "video": str(out / "overlay.mp4"),
    }
    write_beside(out / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    return summary


def read_drive(out: Path) -> list[Frame]:
    """The images of a demo's drive with their true label maps."""
    (sequence,) = open_dataset(out / "world", "val").sequences
    return [sequence.frame(i) for i in range(len(sequence))]


def track_over_dds(bag: Path, out: Path, weights: Path, *, log: Path) -> Path:
    """Starts the node as a process of its own, plays a bag to it and records ``~/panoptic`` and ``~/classes``.

    Returns:
        The file with what the node printed.
    """
    images = BagReader(bag).topics["/image"].count
    topics = {PANOPTIC: "mapt_ros/msg/PanopticFrame", CLASSES: "mapt_ros/msg/ClassMap"}
    with node_process(weights, log) as node, Recorder(out, topics, latched=[CLASSES]) as recorder:
        deadline = time.monotonic() + _COME_UP_S
        while not recorder.wait_for_publishers(1.0):
            if node.poll() is not None or time.monotonic() > deadline:
                raise InputError(f"the node did not come up; its log is {log}")
        play_bag(bag, rate=0)
        recorder.wait_for(PANOPTIC, images, _LAST_FRAME_S)
    return log


@contextmanager
def node_process(weights: Path, log: Path) -> Iterator[subprocess.Popen]:
    """The real node, on no-drop terms, from here to the end of the context; interrupted as Ctrl-C would.

    Raises:
        InputError: it did not end cleanly.
    """
    parameters = {"weights": str(weights), "drop_policy": "none"}
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={yaml_string(value)}")]
    command = [sys.executable, "-m", "mapt_ros.cli", "node", "--ros-args", *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
    if code != 0:
        raise InputError(f"the node ended with exit code {code}; its log is {log}")


def yaml_string(value: str) -> str:
    """A string as ROS arguments want it, whatever characters it holds."""
    return yaml.safe_dump(value, default_style='"').strip()


def draw(drive: list[Frame], tracked: list[PanopticFrame], out: Path) -> None:
    """``overlay.mp4`` and the contact sheet ``overlay.png``."""
    video = VideoSink(out / "overlay.mp4", KITTI_STEP)
    trails = Trails()
    columns, rows = _SHEET
    shown = set(np.linspace(0, len(tracked) - 1, columns * rows).astype(int).tolist())
    sheet = []
    for index, ((image, _), frame) in enumerate(zip(drive, tracked, strict=True)):
        video.write("scene", SourceFrame(image, frame.stamp_ns, index, f"{index}"), frame, 0.0)
        trails.update(frame)
        if index in shown:
            sheet.append(draw_overlay(image, frame, KITTI_STEP, trails=trails, scale=2))
    video.close()
    write_beside(out / "overlay.png", png_bytes(contact_sheet(sheet, columns)))


def summarise(drive: list[Frame], messages: list, tracked: list[PanopticFrame]) -> dict:
    """The figures of the run, measured against the drive's ground truth."""
    identities, evaluator = Identities(), Evaluator(KITTI_STEP)
    for (_, truth), frame in zip(drive, tracked, strict=True):
        identities.add(truth, frame.labels)
        evaluator.add("scene", truth, frame.labels)
    scores = evaluator.scores()
    latencies = [message.processing_ms for message in messages]
    return {
        "frames_in": len(drive),
        "frames_out": len(tracked),
        "tracks": len({i.track_id for frame in tracked for i in frame.instances}),
        "ground_truth_tracks": len({label for _, truth in drive for label in np.unique(truth[is_instance(truth)])}),
        "tracks_kept_10_frames": len(identities.persistent(10)),
        "id_switches": identities.switches,
        "things_found": round(identities.matched / max(1, identities.things), 3),
        **{name: round(scores[name], 3) for name in ("PAT", "PQ", "TQ", "STQ")},
        "latency_ms_p50": round(float(np.percentile(latencies, 50)), 1),
        "latency_ms_p95": round(float(np.percentile(latencies, 95)), 1),
    }


def claim(out: Path) -> None:
    """Makes the output folder and clears it of an earlier demo's results, which a marker file tells from others.

    Raises:
        InputError: something of the name of a result is there without the marker, or the folder cannot be written.
    """
    marker = out / _MARKER
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = [out / name for name in _RESULTS if (out / name).exists()]
        if found and not marker.exists():
            raise InputError(f"{found[0]}: is there already and not from a demo; choose another --out")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        marker.touch()
    except OSError as error:
        raise InputError(f"{out}: cannot be used for the results ({error.strerror}); choose another --out") from None
