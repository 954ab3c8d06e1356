"""One training in several processes: who takes part, and what they tell each other between gradients."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from mapt_ros.errors import InputError

_PATIENCE = timedelta(hours=6)  # the first process may be writing the procedural world meanwhile


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number; 0 writes the files.
        world: how many there are.
        device: where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: list[float]) -> list[float]:
        """Element by element over all processes, which all must call it."""
        if self.world == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def shares(self, counts: list[int]) -> list[float]:
        """Factors that make means over this process's items its part of the means over all (``losses.Shares``)."""
        if self.world == 1:
            return [1.0] * len(counts)
        totals = self.sum([float(count) for count in counts])
        return [count * self.world / total if total else 1.0 for count, total in zip(counts, totals)]

    def gather(self, value: object) -> list:
        """Every process's value, by rank, in every process."""
        if self.world == 1:
            return [value]
        values: list = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def agree(self, failure: str | None) -> None:
        """Waits for all processes; what stops one of them stops all.

        Raises:
            InputError: the first failure by rank, in every process.
        """
        if self.sum([float(failure is not None)])[0]:
            raise InputError(next(line for line in self.gather(failure) if line is not None))


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Joins the processes that torchrun started (environment variables RANK, WORLD_SIZE ...); alone without it.

    Args:
        device: auto, cpu, cuda or cuda:N; with several processes each takes the GPU of its local rank.

    Raises:
        InputError: more processes than GPUs.
    """
    from mapt_ros.tracking.tracker import pick_device

    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = pick_device(device)
    if world == 1:
        yield Processes(0, 1, place)
        return
    if place.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", rank))
        if local >= torch.cuda.device_count():
            raise InputError(f"processes: {local + 1} or more here, but {torch.cuda.device_count()} GPUs; one GPU each")
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(rank, world, place)
    finally:
        dist.destroy_process_group()
