"""The training loop: from a recipe to weights, in one process or many, resumable at every checkpoint."""

import copy
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from mapt_ros.errors import InputError, first_line
from mapt_ros.model.checkpoint import find_weights, flatten, grow_checkpoint, load_checkpoint, save_checkpoint
from mapt_ros.model.inference import warn_of_emulation
from mapt_ros.model.mapt import MAPT
from mapt_ros.replay.files import write_beside, writing
from mapt_ros.tracking.config import load_config
from mapt_ros.training import checkpoints
from mapt_ros.training.biases import fit_biases
from mapt_ros.training.curves import CurveFile, plot_curves, read_curves
from mapt_ros.training.distributed import Processes
from mapt_ros.training.loader import TrainingBatch, batches
from mapt_ros.training.losses import LossWeights, PairBatch, Shares, alone, image_losses, mapt_losses
from mapt_ros.training.optimiser import make_average, make_optimiser
from mapt_ros.training.preview import preview
from mapt_ros.training.recipe import Recipe
from mapt_ros.training.schedule import learning_rate_share
from mapt_ros.training.sources import WorldWriter, described, licence
from mapt_ros.training.stages import StageSamples

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class LossModule(nn.Module):
    """The network with its losses as one module, which is what DDP can wrap."""

    def __init__(self, model: MAPT, weights: LossWeights, shares: Shares = alone):
        super().__init__()
        self.model = model
        self.weights = weights
        self.shares = shares

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The weighted losses by name: of pairs all four, of single frames those of the instance and semantic heads."""
        frames = batch.frames
        if isinstance(frames, PairBatch):
            return mapt_losses(self.model, frames, self.weights, batch.seeds, self.shares)
        return image_losses(
            self.model, frames.images, frames.classes, frames.things, self.weights, batch.seeds, self.shares
        )[0]


class Trainer:
    """One run: the network, what trains it, and the folder it writes to.

    Args:
        recipe: what to do.
        name: of the recipe, for the record.
        out: the run's folder; process 0 writes ``checkpoints/``, ``curves.csv``, ``curves.png``, ``samples/``,
            ``recipe.yaml`` and ``weights.safetensors`` there.
        processes: this one among those that train.
        init: weights to start from instead of random ones.
        grow: the recipe's network may have parts that ``init`` lacks; they begin as they do untrained.
        resume: go on from the folder's last whole checkpoint.
        writer: writes, in process 0, what of the data is not there yet.

    Raises:
        InputError: data, weights or folder are not as the recipe needs them.
    """

    def __init__(
        self,
        recipe: Recipe,
        name: str,
        out: Path,
        processes: Processes,
        *,
        init: str | None = None,
        grow: bool = False,
        resume: bool = False,
        writer: WorldWriter | None = None,
    ):
        self.recipe, self.name, self.out, self.processes = recipe, name, out, processes
        self.config = load_config(recipe.config)
        self._check()
        self.stages = StageSamples(recipe, self.config.model, processes, writer)
        checkpoint = self._checkpoint(resume)

        checkpoints.seed_random(recipe.seed)
        self.model = self._network(init, grow, random=checkpoint is not None)
        self.model = self.model.to(processes.device, memory_format=torch.channels_last)  # faster on CPUs and GPUs
        if recipe.batch_norm == "synced":
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        self.optimiser = make_optimiser(self.model, recipe.optimiser)
        self.average = make_average(self.model, recipe.weight_average) if recipe.weight_average else None
        automatic = "bf16" if processes.device.type == "cuda" else "fp32"
        self.precision = automatic if recipe.precision == "auto" else recipe.precision
        if processes.first:
            warn_of_emulation(self.precision, processes.device)
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=self.precision == "fp16")
        self.step = 0
        if checkpoint is not None:
            self._restore(checkpoint)
        self.losses: nn.Module = LossModule(self.model, recipe.losses, processes.shares)
        if processes.world > 1:
            # A stage of single frames leaves two heads unused, and so does a pair without things.
            self.losses = DistributedDataParallel(self.losses, find_unused_parameters=True)

    def run(self, show_progress: bool = True) -> dict:
        """Trains to the end of the recipe; returns a summary.

        Raises:
            InputError: a file cannot be read, or a loss is no number. The last checkpoint is kept.
        """
        first = self.processes.first
        curves = None
        if first:
            with writing(self.out):
                self.out.mkdir(parents=True, exist_ok=True)
            write_beside(self.out / "recipe.yaml", yaml.safe_dump(self.recipe.model_dump(mode="json")).encode())
            curves = CurveFile(self.out / "curves.csv", self.step)
        progress = tqdm(
            total=self.recipe.steps,
            initial=self.step,
            desc="training",
            unit="step",
            dynamic_ncols=True,
            disable=not (first and show_progress),
        )
        saved_at, total, stopped = time.monotonic(), None, False
        try:
            with _stop_signals() as asked:
                self._train_mode()
                for stage, batch in self._batches():
                    due = first and time.monotonic() - saved_at > 60 * self.recipe.checkpoint_minutes
                    row, stopped, save = self._one_step(batch, bool(asked), due)
                    total = row["total"]
                    if curves is not None:
                        curves.add({"step": self.step, "stage": self.recipe.stages[stage].kind} | row)
                    self.step += 1
                    progress.update()
                    progress.set_postfix(loss=f"{total:.3f}", lr=f"{row['learning_rate']:.1e}")
                    if save or stopped:
                        self._save()
                        saved_at = time.monotonic()
                    if first and self.recipe.preview_steps and self.step % self.recipe.preview_steps == 0:
                        self._preview()
                    if stopped:
                        break
            if not stopped:
                self._save(final=True)
                if first and self.recipe.preview_steps:
                    self._preview()
        finally:
            progress.close()
            if curves is not None:
                curves.close()
        return {
            "steps": self.step,
            "of": self.recipe.steps,
            "loss": total,
            "weights": str(self.out / "weights.safetensors"),
            "curves": str(self.out / "curves.png"),
        }

    def _one_step(self, batch: TrainingBatch, asked: bool, due: bool) -> tuple[dict[str, float], bool, bool]:
        """Descends once.

        Args:
            asked, due: whether this process was asked to stop, and whether it wants a checkpoint.

        Returns:
            What the curves tell of the step; whether any process was asked to stop, or wants a checkpoint.
        """
        recipe, processes = self.recipe, self.processes
        dtype = _DTYPES[self.precision]
        with torch.autocast(processes.device.type, dtype, enabled=dtype is not None):
            parts = self.losses(batch)
            total = sum(parts.values())
        own = [value.item() for value in parts.values()]
        *sums, stops, saves = processes.sum([*own, float(asked), float(due)])
        row = {name: value / processes.world for name, value in zip(parts, sums)}
        row["total"] = sum(row.values())
        if not math.isfinite(row["total"]):
            self._give_up("the loss", row, batch, broken=not all(map(math.isfinite, own)))

        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.optimiser.clip_norm).item()
        if not math.isfinite(norm) and not self.scaler.is_enabled():  # the loss scaler skips such steps by itself
            self._give_up("the gradient", row, batch, broken=True)
        rate = recipe.optimiser.learning_rate * learning_rate_share(self.step, recipe.steps, recipe.schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average is not None and processes.first:
            self.average.update_parameters(self.model)
        return row | {"learning_rate": rate, "gradient_norm": norm}, stops > 0, saves > 0

    def _batches(self) -> Iterator[tuple[int, TrainingBatch]]:
        """Stage and batch of every step to come; what one process cannot read stops all of them."""
        done = 0
        for index, stage in enumerate(self.recipe.stages):
            start = max(0, self.step - done)
            done += stage.steps
            if start >= stage.steps:
                continue
            processes = self.processes
            samples, device = self.stages.samples(index), processes.device
            source = batches(samples, stage, start, processes.rank, processes.world, self.recipe.workers, device)
            for _ in range(start, stage.steps):
                failure = None
                try:
                    batch = next(source)
                except InputError as error:
                    failure = str(error)
                processes.agree(failure)
                yield index, batch

    def _give_up(self, what: str, row: dict[str, float], batch: TrainingBatch, broken: bool) -> None:
        """Stops because something is no number, naming the batches of the processes where it broke."""
        names = [name for part in self.processes.gather(batch.names if broken else []) for name in part]
        values = ", ".join(f"{name} {value:.3g}" for name, value in row.items())
        raise InputError(
            f"step {self.step}: {what} is not finite ({values}); batch {', '.join(names)}; the last checkpoint is kept"
        )

    def _save(self, final: bool = False) -> None:
        """A checkpoint, weights to use, and the plot; a full disk costs this checkpoint, not the run.

        Args:
            final: the weights to use get the biases that the recipe asks for; the checkpoint stays as trained.
        """
        tensors, rest = checkpoints.random_state()
        states = self.processes.gather((tensors, rest))
        if not self.processes.first:
            return
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        state |= checkpoints.optimiser_tensors(self.optimiser, self.model)
        if self.average is not None:
            state |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for rank, (tensors, _) in enumerate(states):
            state |= {f"random.{rank}.{name}": value for name, value in tensors.items()}
        rest = {
            "recipe": self.recipe.model_dump(mode="json"),
            "random": [words for _, words in states],
            "scaler": self.scaler.state_dict(),
        }
        try:
            checkpoints.save(self.out / "checkpoints", self.step, state, rest)
            save_checkpoint(
                self.out / "weights.safetensors",
                self._finished() if final else self._best(),
                tracker=self.config.tracker.model_dump(),
                facts=self._facts(),
                half=True,
            )
            write_beside(self.out / "curves.png", plot_curves(read_curves(self.out / "curves.csv")))
        except Exception as error:  # noqa: BLE001 - safetensors has a type of its own for a full disk
            tqdm.write(f"checkpoint not saved, training goes on: {first_line(error)}")

    def _restore(self, checkpoint: checkpoints.Checkpoint) -> None:
        rank, rest = self.processes.rank, checkpoint.rest
        self._tell_changes(rest["recipe"])
        try:
            self.model.load_state_dict(checkpoint.part("model"))
            if self.average is not None and (average := checkpoint.part("average")):
                self.average.load_state_dict(average)
        except RuntimeError:
            raise InputError(
                f"{checkpoint.folder}: is of another network than the recipe's {self.config.model.name}"
            ) from None
        checkpoints.restore_optimiser(self.optimiser, self.model, checkpoint)
        self.scaler.load_state_dict(rest["scaler"])
        if rank < len(rest["random"]):  # a process that was not there before begins with the seed
            checkpoints.restore_random(checkpoint.part(f"random.{rank}"), rest["random"][rank])
        self.step = checkpoint.step

    def _tell_changes(self, before: dict) -> None:
        """A resumed run may go on under a changed recipe; it is no longer the run that it was, so that is said."""
        old, new = flatten(before), flatten(self.recipe.model_dump(mode="json"))
        changed = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
        if changed and self.processes.first:
            tqdm.write(f"the recipe has changed since the checkpoint: {', '.join(changed)}")

    def _checkpoint(self, resume: bool) -> checkpoints.Checkpoint | None:
        folder = self.out / "checkpoints"
        if not resume:
            if any(folder.glob("step_*")):
                raise InputError(f"{self.out}: holds a run; --resume goes on with it, another --out begins anew")
            return None
        checkpoint, refused = checkpoints.load_latest(folder)
        if self.processes.first:
            for line in refused:
                tqdm.write(f"checkpoint refused: {line}")
            where = f"goes on after step {checkpoint.step}" if checkpoint else "has no checkpoint yet, begins anew"
            tqdm.write(f"{self.out}: {where}")
        return checkpoint

    def _network(self, init: str | None, grow: bool, random: bool) -> MAPT:
        """The network to begin with; random weights where a checkpoint replaces them anyway."""
        if random:
            return MAPT(self.config.model)
        if init is not None and grow:
            model, differences = grow_checkpoint(find_weights(init), self.config.model)
            if self.processes.first:
                tqdm.write(f"{init}: begins with these weights; {'; '.join(differences) or 'of the same config'}")
            return model
        if init is not None:
            return load_checkpoint(find_weights(init), self.config.model)[0]
        try:
            return MAPT(self.config.model, pretrained_backbone=self.recipe.pretrained_backbone)
        except InputError as error:
            raise InputError(f"{error}: pretrained_backbone: false in the recipe, or weights by --init") from None

    def _check(self) -> None:
        """What of the recipe does not fit this machine or number of processes."""
        world, device = self.processes.world, self.processes.device
        for index, stage in enumerate(self.recipe.stages):
            if stage.batch % world:
                raise InputError(
                    f"{self.name}: stages.{index}.batch: {stage.batch} cannot be shared evenly by {world} processes"
                )
        for key, value, unless in (("precision", "fp16", "bf16 or fp32"), ("batch_norm", "synced", "trained")):
            if device.type != "cuda" and getattr(self.recipe, key) == value:
                raise InputError(f"{self.name}: {key}: {value} needs CUDA, this is a {device.type}; use {unless}")

    def _train_mode(self) -> None:
        """Training mode, save for norms whose statistics are frozen."""
        self.losses.train()
        if self.recipe.batch_norm == "frozen":
            for module in self.model.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def _best(self) -> MAPT:
        """The network to use: the averaged one where there is one."""
        return self.average.module if self.average is not None else self.model

    def _finished(self) -> MAPT:
        """A copy of the network to use, its class biases fitted to training frames if the recipe says so."""
        network = copy.deepcopy(self._best())
        if self.recipe.bias_frames:
            network.semantic.add_biases(fit_biases(network, self.stages.datasets, self.recipe.bias_frames))
        return network

    def _preview(self) -> None:
        try:
            picture = preview(self._best(), self.stages.datasets, self.config.tracker)
            (self.out / "samples").mkdir(exist_ok=True)
            write_beside(self.out / "samples" / f"step_{self.step:08d}.png", picture)
        except InputError as error:
            tqdm.write(f"no sample drawn: {error}")
        self._train_mode()  # the preview leaves the network in evaluation mode

    def _facts(self) -> dict:
        return {
            "recipe": self.name,
            "steps": self.step,
            "of": self.recipe.steps,
            "data": described(self.recipe.data),
            "licence": licence(self.recipe.data),
        }


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them: the step is finished and a checkpoint written."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals are the main thread's
        return
    before = {number: signal.signal(number, lambda n, _: asked.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
