"""The learning rate at every step, as a pure function: resuming needs no more than the step."""

from math import cos, pi

from mapt_ros.training.recipe import ScheduleConfig


def learning_rate_share(step: int, steps: int, config: ScheduleConfig) -> float:
    """The rate at a step as a share of its peak.

    Up from ``first`` along half a cosine while warming up, then down to ``last`` along another half (with these two
    it is one-cycle, Smith 2018, without the cycle of the momentum), or along ``(1 - progress) ** power``.

    Args:
        step: from 0.
        steps: of the whole run.
    """
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.first + (1 - config.first) * (1 - cos(pi * step / warmup)) / 2
    progress = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    left = (1 + cos(pi * progress)) / 2 if config.shape == "cosine" else (1 - progress) ** config.power
    return config.last + (1 - config.last) * left
