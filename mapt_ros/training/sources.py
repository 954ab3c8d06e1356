"""From a recipe's data section to open datasets; the procedural world is written when it is first asked for."""

import threading
from pathlib import Path

from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.frames import Dataset
from mapt_ros.data.labels import ClassSet
from mapt_ros.data.mappings import mapped
from mapt_ros.errors import InputError, first_line
from mapt_ros.resources import cache_dir
from mapt_ros.training.recipe import DataSource, SyntheticSource


def open_sources(sources: tuple[DataSource, ...], classes: ClassSet) -> list[Dataset]:
    """Every source's dataset, its labels expressed in the network's classes.

    Args:
        classes: the network's.

    Raises:
        InputError: a folder that is no dataset, or has no class that the network has.
    """
    datasets = []
    for source in sources:
        folder = source.folder if source.synthetic is None else synthetic_folder(source.synthetic)
        dataset = open_dataset(folder, source.split if source.synthetic is None else "train")
        try:
            datasets.append(mapped(dataset, classes))
        except InputError as error:
            raise InputError(f"{folder}: {error}") from None
    return datasets


def are_there(sources: tuple[DataSource, ...]) -> bool:
    """Whether nothing of the procedural world that the sources name has still to be written."""
    return all(source.synthetic is None or synthetic_folder(source.synthetic).is_dir() for source in sources)


class WorldWriter:
    """Writes parts of the procedural world in their order, beside a training that begins before the last is there.

    Args:
        sources: of a recipe.
        processes: that write at the same time; they yield to the training.
    """

    def __init__(self, sources: tuple[DataSource, ...], processes: int):
        self._sources = sources
        self._processes = processes
        self._failure: str | None = None
        # A daemon, as its processes are: they end with the training.
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def wait(self, sources: tuple[DataSource, ...]) -> None:
        """Returns when these are there.

        Raises:
            InputError: they cannot be written.
        """
        while not are_there(sources):
            self._thread.join(timeout=0.5)
            if not self._thread.is_alive() and not are_there(sources):
                raise InputError(self._failure or "the procedural world was not written: its writer has ended")

    def _write(self) -> None:
        try:
            write_synthetic(self._sources, self._processes, background=True)
        except InputError as error:
            self._failure = str(error)
        except Exception as error:
            self._failure = f"the procedural world was not written: {first_line(error)}"
            raise  # the thread ends with the whole story


def write_synthetic(sources: tuple[DataSource, ...], processes: int, background: bool = False) -> None:
    """Writes what of the procedural world the sources name and the cache lacks.

    Args:
        processes: that write at the same time.
        background: whether they yield to everything else on the machine, and no progress is shown.

    Raises:
        InputError: it cannot be written.
    """
    for source in sources:
        if source.synthetic is not None and not (folder := synthetic_folder(source.synthetic)).is_dir():
            from mapt_ros.synthetic.write import synthesise

            wanted = source.synthetic
            beside = folder.with_name(f"{folder.name}.part")  # resumed by the writer, which keeps what is whole
            synthesise(
                beside,
                seed=wanted.seed,
                sequences=wanted.sequences,
                frames=wanted.frames,
                scenario=wanted.scenario,
                height=wanted.height,
                width=wanted.width,
                drive=wanted.drive,
                split="train",
                processes=processes,
                background=background,
            )
            beside.replace(folder)


def synthetic_folder(wanted: SyntheticSource) -> Path:
    """Where the cache keeps these sequences."""
    stretch = f"_of{wanted.drive}" if wanted.drive else ""
    size = f"{wanted.sequences}x{wanted.frames}{stretch}_{wanted.height}x{wanted.width}"
    return cache_dir() / "synthetic" / f"{wanted.scenario}_seed{wanted.seed}_{size}"


def described(sources: tuple[DataSource, ...]) -> list[str]:
    """One text a source, for the record that travels with the weights."""
    texts = []
    for source in sources:
        if (world := source.synthetic) is not None:
            stretch = f" from drives of {world.drive}" if world.drive else ""
            size = f"{world.sequences} sequences of {world.frames} frames{stretch}, {world.height}x{world.width}"
            texts.append(f"procedural world, {world.scenario}, seeds from {world.seed}: {size}")
        else:
            texts.append(f"{source.folder.name}{f' ({source.split})' if source.split else ''}")
    return texts


def licence(sources: tuple[DataSource, ...]) -> str:
    """What the weights may be used for, as far as the data decides it."""
    if all(source.synthetic is not None for source in sources):
        return "Apache-2.0; trained on the procedural world of mapt_ros alone, no real images"
    return "trained on the datasets named; their licences bind the use of these weights"
