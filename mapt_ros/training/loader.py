"""Training samples by number: what sample n of a stage is hangs on the seed alone, not on processes, workers or resuming."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mapt_ros.data.augment import AugmentConfig, augment_frames
from mapt_ros.data.frames import Dataset, Frame
from mapt_ros.data.labels import ClassSet
from mapt_ros.data.pairs import FramePairs
from mapt_ros.data.targets import LabelledThings, class_indices, labelled_things
from mapt_ros.errors import InputError
from mapt_ros.training.interval import IntervalPolicy, choose_interval
from mapt_ros.training.losses import ImageBatch, PairBatch
from mapt_ros.training.rare import Place, every_frame, some_pixel
from mapt_ros.training.recipe import Stage


@dataclass(frozen=True)
class TrainingBatch:
    """This process's part of a step.

    Attributes:
        names: which frames, one text a sample.
        seeds: one an image, for the choice of its anchors and RoIs; of pairs, those of the previous frames first.
        frames: single frames or pairs.
    """

    names: list[str]
    seeds: list[int]
    frames: ImageBatch | PairBatch


@dataclass(frozen=True)
class Readings:
    """Samples as a reader hands them over: one column a frame of the samples, so one of single frames, two of pairs.

    Attributes:
        names, seeds: as in ``TrainingBatch``.
        images: BxHxWx3 uint8 a column.
        things: label maps and what stands in them, one a column.
    """

    names: list[str]
    seeds: list[int]
    images: list[Tensor]
    things: list[LabelledThings]

    def on(self, device: torch.device | str, classes: ClassSet) -> TrainingBatch:
        """The batch, its masks made on the device that trains."""
        images = [column.to(device) for column in self.images]
        things = [column.to(device) for column in self.things]
        kinds = [class_indices(column.labels, classes) for column in things]
        instances = [column.instances(classes) for column in things]
        kind = ImageBatch if len(images) == 1 else PairBatch
        return TrainingBatch(self.names, self.seeds, kind(*images, *kinds, *instances))


class Samples(TorchDataset):
    """The samples of one stage, endlessly: every pass over the data has an order of its own.

    Args:
        datasets: all in the network's classes.
        stage: single frames or pairs, and the crop.
        augment: its crop is the stage's.
        interval: chooses tau for each pair.
        reach: of the motion head, in pixels.
        seed: decides everything.
        rare: class index -> frames that show it, as ``rare_frames`` tells; may name frames that begin no pair.
        rare_share: of the samples, each drawn for one of those classes, all alike, with a crop that shows some of it.

    Raises:
        InputError: a sequence of one frame, or all too short for the interval.
    """

    def __init__(
        self,
        datasets: list[Dataset],
        stage: Stage,
        classes: ClassSet,
        augment: AugmentConfig,
        interval: IntervalPolicy,
        reach: float,
        seed: tuple[int, ...],
        rare: dict[int, list[Place]] | None = None,
        rare_share: float = 0.0,
    ):
        self.datasets = datasets
        self.paired = stage.kind == "pairs"
        self.classes = classes
        self.augment = augment.model_copy(update={"crop": stage.crop})
        self.interval = interval
        self.reach = reach
        self.seed = seed
        if self.paired:
            self.pairs = [FramePairs(dataset, interval.least) for dataset in datasets]
            self.anchors = [(d, s, t) for d, pairs in enumerate(self.pairs) for s, t in pairs.anchors]
        else:
            self.anchors = every_frame(datasets)
        self.rare_places = rare or {}
        anchors = set(self.anchors)
        shown = {kind: [place for place in places if place in anchors] for kind, places in self.rare_places.items()}
        self.rare = {kind: places for kind, places in shown.items() if places}
        self.rare_share = rare_share if self.rare else 0.0
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def anchor(self, number: int) -> tuple[int, int, int]:
        """Dataset, sequence and frame of sample n; n may be of any size."""
        turn, place = divmod(number, len(self.anchors))
        if self._order[0] != turn:
            self._order = turn, np.random.default_rng([*self.seed, turn]).permutation(len(self.anchors))
        return self.anchors[self._order[1][place]]

    def __getitem__(self, number: int) -> "tuple[str, list[int], list[Frame]] | InputError":
        """Name, one seed a frame, and one frame or two; an unreadable file comes as the error, which workers garble."""
        place, kind = self.anchor(number), None
        random = np.random.default_rng([*self.seed, number, 1])
        if self.rare_share and random.random() < self.rare_share:
            kind = int(random.choice(list(self.rare)))
            place = self.rare[kind][random.integers(len(self.rare[kind]))]
        try:
            frames, name = self._read(*place, random)
            focus = None if kind is None else some_pixel(frames[-1][1], self.classes, kind, random)
            frames = augment_frames(frames, self.augment, random, focus)
        except InputError as error:
            return error
        return name, random.integers(2**62, size=len(frames)).tolist(), frames

    def _read(self, dataset: int, sequence: int, t: int, random: np.random.Generator) -> tuple[list[Frame], str]:
        frames = self.datasets[dataset].sequences[sequence]
        file = frames.image_files[t]
        if not self.paired:
            return [frames.frame(t)], str(file)
        pairs = self.pairs[dataset]

        def displacements(tau: int) -> np.ndarray:
            return np.array(list(pairs.displacements(sequence, t, tau).values()))

        tau = choose_interval(self.interval, t, displacements, self.reach, random)
        pair = pairs.read(sequence, t, tau)
        return [pair.previous, pair.current], f"{file} (tau {tau})"


def collate(samples: list, classes: ClassSet) -> "Readings | InputError":
    """Samples to one batch; the first error among them in its place.

    Sizes that do not agree are an error too: frames of several sizes need a crop.
    """
    for sample in samples:
        if isinstance(sample, InputError):
            return sample
    names, seeds, frames = (list(part) for part in zip(*samples))
    sizes = {frame[1].shape: name for group, name in zip(frames, names) for frame in group}
    if len(sizes) > 1:
        (one, first), (other, second), *_ = sizes.items()
        return InputError(
            f"{second}: is {other[1]}x{other[0]} pixels, {first} is {one[1]}x{one[0]}; frames of several sizes need a"
            " crop in every stage of the recipe"
        )
    columns = list(zip(*frames))
    return Readings(
        names,
        [seed for column in zip(*seeds) for seed in column],
        [torch.from_numpy(np.stack([image for image, _ in column])) for column in columns],
        [labelled_things([labels for _, labels in column], classes) for column in columns],
    )


def batches(
    samples: Samples,
    stage: Stage,
    first: int,
    rank: int,
    world: int,
    workers: int,
    device: torch.device | str = "cpu",
) -> Iterator[TrainingBatch]:
    """This process's part of the stage's steps from ``first`` on, on the device that trains.

    Step k takes the samples k * batch up to (k + 1) * batch, of which process r takes the r-th equal part.

    Raises:
        InputError: while iterating: a file cannot be read.
    """
    part = stage.batch // world
    numbers = [
        list(range(step * stage.batch + rank * part, step * stage.batch + (rank + 1) * part))
        for step in range(first, stage.steps)
    ]
    if workers:
        _prepare_for_workers()
    loader = DataLoader(
        samples,
        batch_sampler=numbers,
        num_workers=workers,
        collate_fn=_Collate(samples.classes),
        generator=torch.Generator(),  # or beginning to read would draw from the global one, in resumed runs once more
    )
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch.on(device, samples.classes)


def _prepare_for_workers() -> None:
    """What forked readers need of their parent: no threads of OpenCV's, which they would wait for in vain, and open files.

    Every tensor that comes from a reader is an open file until it has been used.
    """
    cv2.setNumThreads(0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a system that does not let itself be asked for so many
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@dataclass(frozen=True)
class _Collate:
    """``collate`` for one class set, as something that can be sent to worker processes."""

    classes: ClassSet

    def __call__(self, samples: list) -> "Readings | InputError":
        return collate(samples, self.classes)
