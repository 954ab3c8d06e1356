"""What ``mapt train`` and ``python -m mapt_ros.training`` do: settle the recipe, start the processes, train."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mapt_ros.errors import InputError
from mapt_ros.replay.files import write_beside, writing
from mapt_ros.training.recipe import DataSource, Recipe, load_recipe

_SUMMARY = "summary.json"


@dataclass(frozen=True)
class TrainingOptions:
    """The command's options; what is None the recipe decides.

    Attributes:
        config: a recipe: YAML file or bundled name.
        out: the run's folder; None = ``out/train/<recipe>``.
        data: a dataset folder instead of the recipe's data.
        steps: in all; the stages keep their shares.
        init: weights to start from.
        grow: the recipe's network may have parts that ``init`` lacks.
        resume: go on from the last checkpoint in ``out``, if there is one.
        processes: that train together; None = one a GPU, or one a core as far as they divide the batches.
        device: auto, cpu, cuda or cuda:N.
    """

    config: str
    out: Path | None = None
    data: Path | None = None
    steps: int | None = None
    init: str | None = None
    grow: bool = False
    resume: bool = False
    processes: int | None = None
    device: str = "auto"

    @property
    def folder(self) -> Path:
        return self.out or Path("out/train") / Path(self.config).stem

    def recipe(self) -> Recipe:
        """The recipe as these options change it.

        Raises:
            InputError: it cannot be read, or an option does not fit it.
        """
        if self.grow and self.init is None and not self.resume:
            raise InputError("--grow: needs the smaller network's weights by --init")
        recipe = load_recipe(self.config)
        if self.data is not None:
            split = "train" if any(self.data.glob("*/train")) else None
            recipe = recipe.model_copy(update={"data": (DataSource(folder=self.data, split=split),)})
        return recipe if self.steps is None else recipe.cut_to(self.steps)

    def arguments(self) -> list[str]:
        """The same options for ``python -m mapt_ros.training``."""
        texts = [self.config, "--device", self.device]
        for name in ("out", "data", "steps", "init"):
            if (value := getattr(self, name)) is not None:
                texts += [f"--{name}", str(value)]
        return texts + [f"--{name}" for name in ("grow", "resume") if getattr(self, name)]


def train(options: TrainingOptions) -> dict:
    """Trains in this process, or in several that it starts; under torchrun it is one of torchrun's.

    Returns:
        The summary, as it also stands in ``summary.json`` in the run's folder.

    Raises:
        InputError: recipe, data or folder are not as needed, or the training failed.
    """
    recipe = options.recipe()
    if "WORLD_SIZE" in os.environ:
        return _train_here(options, recipe)
    count = options.processes or default_processes(recipe, options.device)
    if count == 1:
        return _train_here(options, recipe)
    run_processes(options.arguments(), count)
    return json.loads((options.folder / _SUMMARY).read_text())


def default_processes(recipe: Recipe, device: str) -> int:
    """One for each GPU, or on CPUs for each core, as many as divide every stage's batch."""
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    else:
        most = torch.cuda.device_count() if device in ("auto", "cuda") else 1
    return max(n for n in range(1, most + 1) if all(stage.batch % n == 0 for stage in recipe.stages))


def run_processes(arguments: list[str], count: int) -> None:
    """Starts the processes on this machine and waits; when one ends badly the others are ended too.

    Raises:
        SystemExit: with the exit code of the one that failed, which has told why.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    shared |= {"MAPT_PARENT": str(os.getpid())}
    # One thread each, as torchrun has it, and no warning about unused weights, of which some steps do have some.
    quiet = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "mapt_ros.training", *arguments],
            env=quiet | os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]
    with _passed_on(children):
        while any(child.poll() is None for child in children):
            if any(child.returncode for child in children):
                _end(children)
            time.sleep(0.2)
    if failed := next((child.returncode for child in children if child.returncode), 0):
        raise SystemExit(failed if failed > 0 else 1)


def _train_here(options: TrainingOptions, recipe: Recipe) -> dict:
    from mapt_ros.training.distributed import joined
    from mapt_ros.training.loop import Trainer
    from mapt_ros.training.sources import WorldWriter, are_there, write_synthetic

    with joined(options.device) as processes, ExitStack() as held:
        failure, cores, writer = None, os.cpu_count() or 1, None
        if processes.first:
            try:
                held.enter_context(_alone_in(options.folder))
                # Beside a GPU the CPU has time to write what later stages want; on a CPU it would be taken from training.
                at_once = recipe.data_of(0) if processes.device.type == "cuda" else recipe.data
                write_synthetic(at_once, cores)
                if not are_there(recipe.data):
                    writer = WorldWriter(recipe.data, max(1, cores - 2))
            except InputError as error:
                failure = str(error)
        processes.agree(failure)
        name = Path(options.config).stem
        trainer = Trainer(
            recipe,
            name,
            options.folder,
            processes,
            init=options.init,
            grow=options.grow,
            resume=options.resume,
            writer=writer,
        )
        summary = trainer.run()
        if processes.first:
            write_beside(options.folder / _SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())
        return summary


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, so that two runs never write the same files.

    Raises:
        InputError: another run holds it, or the folder cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{folder}: another training writes here; wait for it, or choose another --out") from None
        yield


@contextmanager
def _passed_on(children: list[subprocess.Popen]) -> Iterator[None]:
    """Hands SIGTERM and SIGINT on to the children, which save and end by themselves."""
    import signal

    def pass_on(number: int, _: object) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(children: list[subprocess.Popen]) -> None:
    """Ends those that still run: one of their number is gone, so they would wait for it forever."""
    deadline = time.monotonic() + 5  # the failed one's reason usually reaches the others by itself
    while time.monotonic() < deadline and any(child.poll() is None for child in children):
        time.sleep(0.1)
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()
