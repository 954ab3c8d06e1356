"""How far apart the two frames of a training pair are: policies for the interval tau."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mapt_ros.model.config import MotionConfig

Displacements = Callable[[int], np.ndarray]  # tau -> pixels that each shared instance moves over tau frames


class _Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixedInterval(_Policy):
    """Always the same tau."""

    policy: Literal["fixed"] = "fixed"
    frames: int = Field(1, ge=1)

    @property
    def least(self) -> int:
        return self.frames


class UniformInterval(_Policy):
    """Every tau in a range equally often."""

    policy: Literal["uniform"] = "uniform"
    least: int = Field(1, ge=1)
    most: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> "UniformInterval":
        if self.least > self.most:
            raise ValueError(f"least {self.least} is more than most {self.most}")
        return self


class AdaptiveInterval(_Policy):
    """The tau under which the pair's instances move as far as drawn (the paper's future work; the rule is ours).

    A displacement is drawn evenly between 0 and what the motion head reaches, then the tau whose instances move
    closest to it is taken. Fast scenes thus get short intervals and slow ones long ones, and displacements of every
    length that the head can follow occur about equally often.
    """

    policy: Literal["adaptive"] = "adaptive"
    most: int = Field(6, ge=1)
    reach: float | None = Field(None, gt=0, description="In pixels; none = what the motion head can reach.")
    quantile: float = Field(0.75, ge=0, le=1, description="Of the instances' displacements, which speaks for a pair.")

    @property
    def least(self) -> int:
        return 1


IntervalPolicy = Annotated[FixedInterval | UniformInterval | AdaptiveInterval, Field(discriminator="policy")]


def motion_reach(config: MotionConfig, typical_offset: float = 4.0) -> float:
    """How far the motion head can fetch a mask from, in pixels.

    Its outermost tap lies the largest dilation away, and offsets of a few cells come on top.
    """
    return config.stride * (max(config.dilations) + typical_offset)


def choose_interval(
    policy: FixedInterval | UniformInterval | AdaptiveInterval,
    longest: int,
    displacements: Displacements,
    reach: float,
    random: np.random.Generator,
) -> int:
    """The tau of one pair.

    Args:
        longest: the longest tau for which the other frame exists, at least the policy's least; wishes beyond are cut.
        displacements: asked by the adaptive policy only.
        reach: the motion head's, in pixels; a policy's own goes before.
    """
    if isinstance(policy, FixedInterval):
        return min(policy.frames, longest)
    if isinstance(policy, UniformInterval):
        return min(int(random.integers(policy.least, policy.most + 1)), longest)
    wanted = random.uniform(0, policy.reach or reach)
    moved = {tau: displacements(tau) for tau in range(1, min(policy.most, longest) + 1)}
    telling = {tau: float(np.quantile(d, policy.quantile)) for tau, d in moved.items() if len(d)}
    if not telling:
        return int(random.choice(list(moved)))
    return min(telling, key=lambda tau: abs(telling[tau] - wanted))
