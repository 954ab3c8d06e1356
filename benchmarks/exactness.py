"""What the fast path costs in quality: PAT and STQ of shipped weights beside those of the plain fp32 network.

    python -m benchmarks.exactness --data FOLDER [--weights compact] [--precision fp32] [--device auto]
                                   [--sequences N] [--frames N]

The plain network has its batch norms unfolded and torchvision's RoIAlign. FOLDER is in KITTI-STEP's layout.
"""

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np
from torchvision.ops import MultiScaleRoIAlign
from tqdm import tqdm

from benchmarks.command import start
from mapt_ros.data.dataset import open_dataset
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.model.checkpoint import find_weights, load_checkpoint
from mapt_ros.model.roi import PyramidRoIAlign
from mapt_ros.tracking.tracker import PanopticTracker, pick_device

LIMIT = 0.005


def main() -> None:
    """Prints both and their difference; exit code 1 if one exceeds the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--frames", type=int, default=40)
    options = parser.parse_args()
    dataset = open_dataset(options.data, options.split)
    fast = PanopticTracker.load(options.weights, device=options.device, precision=options.precision)
    plain_model, _ = load_checkpoint(find_weights(options.weights))
    plain = PanopticTracker(plain_model.to(pick_device(options.device)), fast.settings)
    evaluators = [Evaluator(dataset.classes) for _ in range(2)]
    same, pixels = 0, 0
    for sequence in dataset.sequences[: options.sequences]:
        for tracker in (fast, plain):
            tracker.reset()
        for i in tqdm(range(min(len(sequence), options.frames)), desc=sequence.name, leave=False):
            image, truth = sequence.frame(i)
            ours = fast(image, i * 100_000_000).labels
            with patch.object(PyramidRoIAlign, "forward", MultiScaleRoIAlign.forward):
                theirs = plain(image, i * 100_000_000).labels
            same, pixels = same + int(np.sum(ours == theirs)), pixels + ours.size
            for evaluator, labels in zip(evaluators, (ours, theirs), strict=True):
                evaluator.add(sequence.name, truth, labels)
    scores = [evaluator.scores() for evaluator in evaluators]
    print(f"| {options.weights} | plain fp32 | fast {options.precision} | difference |\n| --- | ---: | ---: | ---: |")
    differences = {name: scores[0][name] - scores[1][name] for name in ("PAT", "STQ")}
    for name, difference in differences.items():
        print(f"| {name} | {scores[1][name]:.4f} | {scores[0][name]:.4f} | {difference:+.4f} |")
    print(f"\n{same / pixels:.5%} of {pixels:,} pixels have the same label.")
    raise SystemExit(any(abs(difference) > LIMIT for difference in differences.values()))


if __name__ == "__main__":
    start(main)
