"""Whether memory or latency grow over many frames: the whole tracker with a narrow network on small images.

    python -m benchmarks.endurance [--frames 20000] [--size 64x128] [--device auto]

Tracks are born, lost and buried all the time: the picture is a random one, another one every few frames.
"""

import argparse
import gc
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.command import start
from mapt_ros.evaluation.costs import device_name
from mapt_ros.model.config import AppearanceConfig, InstanceConfig, ModelConfig, MotionConfig, SemanticConfig
from mapt_ros.model.inference import fold_batch_norm
from mapt_ros.model.mapt import MAPT
from mapt_ros.threads import keep_memory
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.tracker import PanopticTracker, pick_device

NARROW = ModelConfig(
    name="narrow",
    backbone="regnet_y_400mf",
    fpn_channels=16,
    separable=True,
    semantic=SemanticConfig(channels=16, dpc_channels=16),
    instance=InstanceConfig(
        anchor_sizes=(16, 32, 64, 128), proposals=20, detections=8, box_channels=16, mask_channels=16, score_floor=0.0
    ),
    motion=MotionConfig(channels=8, feature_channels=8),
    appearance=AppearanceConfig(channels=8, hidden=16, embedding=8),
)
PICTURES, HELD = 50, 4


def main() -> None:
    """Prints memory and latency at the beginning and at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", default="64x128")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    keep_memory()  # as the node and the command line do
    device = pick_device(options.device)
    height, width = map(int, options.size.split("x"))
    torch.manual_seed(0)
    model = MAPT(NARROW).eval()
    torch.nn.init.constant_(model.instance.mask_predictor[-1].bias, 5.0)
    tracker = PanopticTracker(fold_batch_norm(model).to(device), TrackerConfig(score_threshold=0.0, confirm_after=1))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (PICTURES, height, width, 3), dtype=np.uint8)
    spent, memory, born = [], [], 0
    part = max(1, options.frames // 20)
    for i in tqdm(range(options.frames), leave=False):
        begun = time.process_time()
        frame = tracker(pictures[i // HELD % PICTURES], i * 100_000_000)
        spent.append((time.process_time() - begun) * 1e3)
        born = max([born, *(instance.track_id for instance in frame.instances)])
        if (i + 1) % part == 0:
            gc.collect()
            memory.append(
                (resident_mb(), torch.cuda.memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0)
            )
    # The first twentieth fills caches and pools.
    first, last = (np.percentile(piece, 95) for piece in (spent[part : 2 * part], spent[-part:]))
    print(
        f"{device_name(device)}, {options.frames} frames of {options.size}, {born} tracks born, {len(tracker.state.tracks)} alive"
    )
    print(f"resident MB after each twentieth: {', '.join(f'{rss:.1f}' for rss, _ in memory)}")
    if device.type == "cuda":
        print(f"allocated CUDA MB: {', '.join(f'{cuda:.1f}' for _, cuda in memory)}")
    print(f"CPU ms a frame, p95: {first:.2f} in the second twentieth, {last:.2f} in the last")


def resident_mb() -> float:
    """Memory of this process that is in RAM, on Linux."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


if __name__ == "__main__":
    start(main)
