"""The weights that a study compares: the ones given, or one short training for each interval, from one beginning."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments.maps import slug
from mapt_ros.evaluation.experiments.studies import INTERVALS
from mapt_ros.model.checkpoint import find_weights
from mapt_ros.replay.files import write_beside, writing
from mapt_ros.training.command import TrainingOptions, train
from mapt_ros.training.recipe import Recipe, load_recipe

STEPS = 200  # of each training, unless said


@dataclass(frozen=True)
class Trainings:
    """How the checkpoints of ``interval`` are made where none are given.

    Attributes:
        recipe: a bundled name or a YAML file; its last stage is what is trained, and its interval is replaced.
        init: weights to start all of them from.
        data: dataset folder to train on; None = the recipe's data.
        steps: of each.
        device: auto, cpu, cuda or cuda:N.
    """

    recipe: str
    init: str
    data: Path | None
    steps: int
    device: str


def given(texts: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=FILE`` texts as weights by name.

    Raises:
        InputError: one is not written like that, a name is there twice, or a file is missing.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise InputError(f"checkpoint {text!r}: expected NAME=FILE, such as 'tau 1=out/tau1/weights.safetensors'")
        if name in found:
            raise InputError(f"checkpoint {name!r}: is given twice")
        found[name] = find_weights(file)
        if not found[name].is_file():
            raise InputError(f"{found[name]}: no such weights file; expected a .safetensors checkpoint")
    return found


def recipes(trainings: Trainings) -> dict[str, Recipe]:
    """The recipe of each training by the interval's name.

    Raises:
        InputError: there is no such recipe, or its last stage does not train on pairs.
    """
    recipe = load_recipe(trainings.recipe)
    last = recipe.stages[-1]
    if last.kind != "pairs":
        raise InputError(f"recipe {trainings.recipe}: its last stage trains on {last.kind}; an interval needs pairs")
    stages = (last.model_copy(update={"steps": trainings.steps}),)
    return {
        name: recipe.model_copy(update={"stages": stages, "interval": policy, "preview_steps": 0})
        for name, policy in INTERVALS.items()
    }


def trained(folder: Path, trainings: Trainings) -> dict[str, Path]:
    """Trains with each interval in ``folder/<interval>``; goes on where it was interrupted, keeps what is done.

    Raises:
        InputError: as ``mapt train``.
    """
    weights = {}
    for name, recipe in recipes(trainings).items():
        place, file = folder / slug(name), folder / f"{slug(name)}.yaml"
        weights[name] = place / "weights.safetensors"
        if _is_done(place):
            continue
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_beside(file, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False).encode())
        options = TrainingOptions(
            str(file), place, trainings.data, init=trainings.init, resume=True, device=trainings.device
        )
        summary = train(options)
        if summary["steps"] < summary["of"]:
            raise InputError(f"{place}: stopped after step {summary['steps']} of {summary['of']}; run again to go on")
    return weights


def _is_done(place: Path) -> bool:
    try:
        summary = json.loads((place / "summary.json").read_text())
        return summary["steps"] >= summary["of"] and (place / "weights.safetensors").is_file()
    except (OSError, ValueError, KeyError):
        return False
