"""Weights in minutes: overfits ``compact`` to drawn street scenes and keeps the result in the user's cache."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mapt_ros.data.targets import instance_targets, semantic_target
from mapt_ros.errors import InputError, validated
from mapt_ros.model.checkpoint import cached_weights, read_header, save_checkpoint
from mapt_ros.model.mapt import MAPT
from mapt_ros.resources import resource
from mapt_ros.synthetic.scene import DrivingScene
from mapt_ros.tracking.config import load_config
from mapt_ros.training.losses import LossWeights, image_losses, mapt_losses
from mapt_ros.training.trainer import Frame, fit, make_batch

_MAKERS = ("data", "model", "synthetic", "training")  # the rooms that decide what the weights become


class QuickRecipe(BaseModel):
    """The settings of ``config/train/demo.yaml``, explained there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: str
    height: int = Field(ge=64)
    width: int = Field(ge=64)
    scenes: int = Field(ge=1)
    first_seed: int = Field(ge=0)
    max_interval: int = Field(ge=1)
    image_steps: int = Field(ge=0)
    pair_steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    seed: int


def quick_weights() -> Path:
    """The cached checkpoint of the quick recipe, under the name of its config.

    It is made first, in minutes on two cores, if there is none of this recipe.

    Raises:
        InputError: the cache folder cannot be written.
    """
    recipe = read_recipe()
    path = cached_weights(recipe.config)
    facts = {"made by": "quick recipe on drawn street scenes", "recipe": recipe_hash(recipe)}
    try:
        if read_header(path).facts == facts:
            return path
    except InputError:
        pass  # none yet, or not readable: make it anew
    _check_writable(path)
    model, tracker = train(recipe)
    save_checkpoint(path, model, tracker=tracker, facts=facts, half=True)
    return path


def read_recipe() -> QuickRecipe:
    """The bundled recipe."""
    path = resource("config/train/demo.yaml")
    return validated(QuickRecipe, yaml.safe_load(path.read_text()), str(path))


def recipe_hash(recipe: QuickRecipe) -> str:
    """Changes whenever the recipe, the network's config or the code that makes weights does."""
    config = load_config(recipe.config)
    text = json.dumps([recipe.model_dump(), config.model_dump(mode="json")], sort_keys=True)
    package = Path(__file__).parents[1]
    sources = sorted(path for room in _MAKERS for path in (package / room).glob("*.py"))
    return hashlib.sha256(b"\0".join([text.encode(), *(path.read_bytes() for path in sources)])).hexdigest()[:12]


def train(recipe: QuickRecipe) -> tuple[MAPT, dict]:
    """Trains from random weights; returns the network, in evaluation mode, and its tracker settings."""
    torch.manual_seed(recipe.seed)
    config = load_config(recipe.config)
    model = MAPT(config.model.model_copy(update={"input_height": recipe.height}))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for maps this small a second thread gains nothing and only suffers from neighbours
    try:
        fit(
            model,
            scene_losses(model, recipe),
            recipe.image_steps + recipe.pair_steps,
            learning_rate=recipe.learning_rate,
        )
    finally:
        torch.set_num_threads(threads)
    return model, config.tracker.model_dump()


def scene_losses(model: MAPT, recipe: QuickRecipe) -> Iterator[dict[str, Tensor]]:
    """The losses of random frames, then of random pairs, from the recipe's scenes, half of them mirrored.

    Seeing comes first because it takes most of the steps, and a step on one frame costs less than half of one on a
    pair.
    """
    random = np.random.default_rng(recipe.seed)
    seeds = range(recipe.first_seed, recipe.first_seed + recipe.scenes)
    scenes = [DrivingScene(seed, height=recipe.height, width=recipe.width) for seed in seeds]
    classes = model.config.classes
    # The logits live at stride 4: looking at every pixel in between costs a tenth of a step and teaches little.
    weights = LossWeights(semantic_stride=4)

    def frames(count: int) -> list[Frame]:
        scene = scenes[random.integers(len(scenes))]
        interval = int(random.integers(1, recipe.max_interval + 1))
        first = int(random.integers(len(scene) - interval))
        step = -1 if random.random() < 0.5 else 1
        drawn = [scene[first + i * interval] for i in range(count)]
        return [(mirror(f.image, step), mirror(f.labels, step)) for f in drawn]

    for _ in range(recipe.image_steps):
        image, labels = frames(1)[0]
        losses, _ = image_losses(
            model,
            torch.from_numpy(image)[None].to(model.device),
            semantic_target(labels, classes)[None].to(model.device),
            [instance_targets(labels, classes).to(model.device)],
            weights,
        )
        yield losses
    for _ in range(recipe.pair_steps):
        yield mapt_losses(model, make_batch([tuple(frames(2))], classes, model.device), weights)


def mirror(pixels: np.ndarray, step: int) -> np.ndarray:
    """HxW[xC] pixels, left and right exchanged where ``step`` is -1."""
    return np.ascontiguousarray(pixels[:, ::step])


def _check_writable(path: Path) -> None:
    """Better before three minutes of training than after."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path.parent}: cannot be made ({error.strerror}); set MAPT_CACHE to a writable folder"
        ) from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path.parent}: not writable; set MAPT_CACHE to a writable folder")
