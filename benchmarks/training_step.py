"""What a step of training takes in single and in half precision, and RoIAlign with its gradients beside torchvision's.

python -m benchmarks.training_step [--threads 1] [--steps 9]

One process; losses are of the same batches, so that the two precisions can be compared by them too. On a CPU the allocator
matters as well: LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always before the command.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean, median

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from benchmarks.command import start
from benchmarks.warp import median_ms
from mapt_ros.model.backbone import LEVELS, STRIDES
from mapt_ros.model.checkpoint import find_weights, load_checkpoint
from mapt_ros.model.roi import PyramidRoIAlign
from mapt_ros.synthetic.write import synthesise
from mapt_ros.threads import keep_memory
from mapt_ros.tracking.config import load_config
from mapt_ros.training.distributed import Processes
from mapt_ros.training.loader import batches
from mapt_ros.training.loop import LossModule
from mapt_ros.training.recipe import DataSource, Recipe, Stage, load_recipe
from mapt_ros.training.stages import StageSamples

CROP = (192, 416)
WARM = 3


def main() -> None:
    """Prints both tables, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=9, help="a stage, after three to warm up")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_memory()
    print(f"{options.threads} threads, PyTorch {torch.__version__}, four crops of {CROP[0]}x{CROP[1]}\n")
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        synthesise(data, seed=90000, sequences=8, frames=4, drive=40, processes=os.cpu_count() or 1)
        measured = {precision: steps(precision, options.steps, data) for precision in ("fp32", "bf16")}
    print("| step | fp32 s | bf16 s | ratio | loss fp32 | loss bf16 |\n| --- | --- | --- | --- | --- | --- |")
    for kind, (single, single_loss) in measured["fp32"].items():
        half, half_loss = measured["bf16"][kind]
        print(f"| {kind} | {single:.2f} | {half:.2f} | {half / single:.2f} | {single_loss:.3f} | {half_loss:.3f} |")
    theirs, ours = (median_ms(run, "cpu") for run in roi_aligns())
    print(
        f"\nRoIAlign of 400 boxes with gradients: torchvision {theirs:.0f} ms, ours {ours:.0f} ms ({ours / theirs:.2f})"
    )


def steps(precision: str, count: int, data: Path) -> dict[str, tuple[float, float]]:
    """Kind of stage -> median seconds of a loss with its gradients, and the mean loss. No weight is changed."""
    recipe = _recipe(data, WARM + count)
    model = load_checkpoint(find_weights("compact"), load_config(recipe.config).model)[0]
    model = model.to(memory_format=torch.channels_last).train()
    losses, dtype = LossModule(model, recipe.losses), {"fp32": None, "bf16": torch.bfloat16}[precision]
    alone = Processes(0, 1, torch.device("cpu"))
    stages = StageSamples(recipe, model.config, alone, None)
    measured = {}
    for i, stage in enumerate(recipe.stages):
        times, values = [], []
        for batch in islice(batches(stages.samples(i), stage, 0, 0, 1, 0, alone.device), stage.steps):
            begun = time.perf_counter()
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                total = sum(losses(batch).values())
            total.backward()
            times.append(time.perf_counter() - begun)
            values.append(total.item())
        measured[stage.kind] = median(times[WARM:]), mean(values)
    return measured


def _recipe(data: Path, count: int) -> Recipe:
    stages = tuple(Stage(kind=kind, steps=count, batch=4, crop=CROP) for kind in ("images", "pairs"))
    source = DataSource(folder=data, split="train")
    return load_recipe("compact_synthetic").model_copy(update={"data": (source,), "stages": stages})


def roi_aligns() -> tuple[Callable[[], object], Callable[[], object]]:
    """The same pooling of boxes of all sizes with its gradients, first torchvision's, then ours."""
    torch.manual_seed(0)
    maps = {
        level: torch.randn(4, 96, CROP[0] // s, CROP[1] // s).to(memory_format=torch.channels_last).requires_grad_()
        for level, s in zip(LEVELS, STRIDES)
    }
    corners = torch.rand(100, 2) * torch.tensor(CROP[::-1]) * 0.9
    boxes = [torch.cat([corners, corners + torch.exp(0.8 * torch.randn(100, 1) + 3)], dim=1)] * 4
    poolers = (
        MultiScaleRoIAlign(list(LEVELS), 7, 2, canonical_scale=112, canonical_level=4),
        PyramidRoIAlign(7, canonical_box=112),
    )

    def gradients(pool: torch.nn.Module) -> tuple[Tensor, ...]:
        return torch.autograd.grad(pool(maps, boxes, [CROP] * 4).sum(), list(maps.values()))

    return tuple(partial(gradients, pool) for pool in poolers)


if __name__ == "__main__":
    start(main)
