"""What each stage of a recipe trains on, opened when it is there: later stages may see data that is still being written."""

from mapt_ros.data.frames import Dataset
from mapt_ros.errors import InputError
from mapt_ros.model.config import ModelConfig
from mapt_ros.training.distributed import Processes
from mapt_ros.training.interval import motion_reach
from mapt_ros.training.loader import Samples
from mapt_ros.training.rare import rare_frames
from mapt_ros.training.recipe import Recipe
from mapt_ros.training.sources import WorldWriter, are_there, open_sources


class StageSamples:
    """The samples of every stage of a recipe.

    What is there already is opened at once, so that data which cannot serve a late stage is found before the first.

    Args:
        recipe: whose stages.
        network: that trains.
        processes: that train together; all must ask for the same stages in the same order.
        writer: writes, in process 0, what of the data is not there yet.

    Attributes:
        datasets: of the stage last asked for.

    Raises:
        InputError: in all processes: data that is there cannot be read or used.
    """

    def __init__(self, recipe: Recipe, network: ModelConfig, processes: Processes, writer: WorldWriter | None):
        self._recipe, self._network, self._processes, self._writer = recipe, network, processes, writer
        self._opened: dict[int, Samples] = {}
        self.datasets: list[Dataset] = []
        for index in range(len(recipe.stages)):
            if not processes.sum([float(not are_there(recipe.data_of(index)))])[0]:  # for all of them alike
                self.samples(index)

    def samples(self, index: int) -> Samples:
        """The samples of a stage; waits for data that is still being written.

        Raises:
            InputError: in all processes: the data cannot be written, read or used.
        """
        failure = None
        try:
            if self._writer is not None:
                self._writer.wait(self._recipe.data_of(index))
        except InputError as error:
            failure = str(error)
        self._processes.agree(failure)
        if index not in self._opened:
            self._opened[index] = self._open(index)
        self.datasets = self._opened[index].datasets
        return self._opened[index]

    def _open(self, index: int) -> Samples:
        recipe, classes = self._recipe, self._network.classes
        stage = recipe.stages[index]
        data = recipe.data_of(index)
        alike = next((samples for i, samples in self._opened.items() if recipe.data_of(i) == data), None)
        if alike is not None:
            datasets, rare = alike.datasets, alike.rare_places
        else:
            datasets = open_sources(data, classes)
            rare = rare_frames(datasets, classes) if recipe.rare_share else {}
        return Samples(
            datasets,
            stage,
            classes,
            stage.augment or recipe.augment,
            recipe.interval,
            motion_reach(self._network.motion),
            (recipe.seed, index),
            rare,
            recipe.rare_share,
        )
