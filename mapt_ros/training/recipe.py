"""The typed description of a training run: ``config/train/*.yaml``."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mapt_ros.data.augment import AugmentConfig
from mapt_ros.errors import InputError
from mapt_ros.resources import read_settings
from mapt_ros.training.interval import AdaptiveInterval, IntervalPolicy
from mapt_ros.training.losses import LossWeights


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SyntheticSource(_Section):
    """Sequences of the procedural world, written into the user's cache before the first training with them."""

    scenario: str = "mixed"
    seed: int = Field(ge=0, description="Of the first sequence; evaluation uses seeds from 100000.")
    sequences: int = Field(ge=1)
    frames: int = Field(ge=2, description="A sequence.")
    drive: int | None = Field(
        None, description="Frames of the drives that the sequences are stretches of; none = their own."
    )
    height: int = Field(192, ge=64)
    width: int = Field(640, ge=64)


class DataSource(_Section):
    """One dataset: a folder in a known layout, or a part of the procedural world."""

    folder: Path | None = None
    split: str | None = None
    synthetic: SyntheticSource | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "DataSource":
        if (self.folder is None) == (self.synthetic is None):
            raise ValueError("needs either a folder or a synthetic section")
        return self

    @property
    def frames(self) -> float:
        """How many there are; of a folder as many as one likes, for nothing is gained by leaving it out."""
        return self.synthetic.sequences * self.synthetic.frames if self.synthetic else float("inf")


class Stage(_Section):
    """Steps that see the same kind of batch."""

    kind: Literal["images", "pairs"] = Field(description="Single frames (instance + semantic loss), or all four.")
    steps: int = Field(ge=1)
    batch: int = Field(ge=1, description="Frames or pairs a step, all processes together.")
    crop: tuple[int, int] | None = Field(None, description="Height and width of what the network sees; none = all.")
    sources: int | None = Field(None, ge=1, description="Of the recipe's data, only the first so many; none = all.")
    augment: AugmentConfig | None = Field(None, description="Of this stage; none = the recipe's.")


class OptimiserConfig(_Section):
    """What follows the gradient."""

    kind: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(gt=0, description="At the peak of the schedule.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of SGD; beta 1 of AdamW.")
    weight_decay: float = Field(1e-4, ge=0, description="Of the weights; never of norms and biases.")
    clip_norm: float = Field(5.0, gt=0, description="The gradient's norm is cut to this.")


class ScheduleConfig(_Section):
    """The learning rate over the whole run, all stages together."""

    shape: Literal["cosine", "poly"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps in which the rate climbs to its peak.")
    first: float = Field(0.04, ge=0, le=1, description="Rate at the first step, as a share of the peak.")
    last: float = Field(0.0, ge=0, le=1, description="Rate at the last step, as a share of the peak.")
    power: float = Field(0.9, gt=0, description="Of the poly shape.")


class Recipe(_Section):
    """A whole training run."""

    config: str = Field(description="A bundled config's name, or a YAML file.")
    data: tuple[DataSource, ...] = Field(min_length=1)
    stages: tuple[Stage, ...] = Field(min_length=1)
    optimiser: OptimiserConfig
    schedule: ScheduleConfig = ScheduleConfig()
    losses: LossWeights = LossWeights()
    augment: AugmentConfig = AugmentConfig()
    interval: IntervalPolicy = Field(AdaptiveInterval(), discriminator="policy")
    pretrained_backbone: bool = Field(False, description="Start from torchvision's ImageNet weights.")
    batch_norm: Literal["trained", "synced", "frozen"] = Field(
        "trained", description="Statistics of each process's batch, of all processes' (CUDA only), or those it has."
    )
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="Of the forward pass; fp16 on CUDA only; auto = bf16 there, else fp32."
    )
    bias_frames: int = Field(0, ge=0, description="Training frames to fit the class biases to at the end; 0 = not.")
    rare_share: float = Field(
        0.0, ge=0, le=1, description="Of the samples, drawn for a class that less than half of the frames show."
    )
    weight_average: float = Field(0.0, ge=0, lt=1, description="Decay of the moving average; 0 = none.")
    checkpoint_minutes: float = Field(5.0, gt=0)
    preview_steps: int = Field(500, ge=0, description="Steps between pictures of what the network sees; 0 = none.")
    workers: int = Field(0, ge=0, description="Processes that read data, for each that trains; 0 = itself.")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _known_sources(self) -> "Recipe":
        if (most := max(stage.sources or 0 for stage in self.stages)) > len(self.data):
            raise ValueError(f"stages: one asks for {most} sources, data lists {len(self.data)}")
        return self

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def data_of(self, stage: int) -> tuple[DataSource, ...]:
        """The sources that a stage trains on."""
        return self.data[: self.stages[stage].sources]

    def cut_to(self, steps: int) -> "Recipe":
        """The same with so many steps in all; every stage keeps its share, and at least one.

        Of the data it keeps the first sources that have a frame for every sample, so that a short trial does not wait
        for more to be rendered than it can see.
        """
        if steps < len(self.stages):
            raise InputError(f"steps: {steps} for {len(self.stages)} stages; each needs at least one")
        ends, done = [], 0
        for i, stage in enumerate(self.stages):
            done += stage.steps
            least, most = (ends[-1] if ends else 0) + 1, steps - (len(self.stages) - 1 - i)
            ends.append(min(max(round(steps * done / self.steps), least), most))
        lengths = [end - start for start, end in zip([0, *ends], ends)]
        stages = [s.model_copy(update={"steps": n}) for s, n in zip(self.stages, lengths)]
        samples, sources, frames = sum(stage.steps * stage.batch for stage in stages), 0, 0.0
        while sources < len(self.data) and frames < samples:
            frames += self.data[sources].frames
            sources += 1
        stages = [s.model_copy(update={"sources": min(s.sources or sources, sources)}) for s in stages]
        return self.model_copy(update={"stages": tuple(stages), "data": self.data[:sources]})


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Reads a recipe: a YAML file, or the name of a bundled one.

    Raises:
        InputError: no such file, not YAML, an unknown key or a value out of range.
    """
    return read_settings(Recipe, name_or_path, "config/train", "recipe")
