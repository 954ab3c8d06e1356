"""The work of ``mapt experiment``: runs one study and leaves its results, its table and its plot in a folder."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mapt_ros.data.labels import ClassSet
from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments import inputs
from mapt_ros.evaluation.experiments.checkpoints import STEPS, Trainings, given, recipes, trained
from mapt_ros.evaluation.experiments.flow import cost_outcome
from mapt_ros.evaluation.experiments.inputs import Limits, Source
from mapt_ros.evaluation.experiments.maps import measure, slug, write_maps
from mapt_ros.evaluation.experiments.results import Outcome, claim, publish, tracking_outcome
from mapt_ros.evaluation.experiments.studies import STUDIES
from mapt_ros.evaluation.experiments.study import CostStudy, Row, TrackingStudy
from mapt_ros.evaluation.variants import variant_settings
from mapt_ros.model.checkpoint import file_hash
from mapt_ros.tracking.tracker import PanopticTracker

_OWN_OPTIONS = {  # options that not every study takes
    "seed": "failure-cases",
    "checkpoints": "interval",
    "train_data": "interval",
    "recipe": "interval",
    "steps": "interval",
}


@dataclass(frozen=True)
class ExperimentOptions:
    """The command's options.

    Attributes:
        name: of the study.
        data: dataset folders; how many and what they hold is the study's to say.
        out: the folder for results; one that holds the same study's is gone on with.
        weights: a bundled checkpoint's name or a file; for ``interval`` what its trainings start from.
        device: auto, cpu, cuda or cuda:N.
        limits: how much of the data.
        seed: of the scenarios that ``failure-cases`` draws.
        checkpoints: ``NAME=FILE`` texts, for ``interval``; without, it trains.
        train_data, recipe, steps: what ``interval`` trains on, by which recipe, and how long; None = the recipe's data,
            ``compact_synthetic``, 200.
    """

    name: str
    data: tuple[Path, ...]
    out: Path
    weights: str = "compact"
    device: str = "auto"
    limits: Limits = field(default_factory=Limits)
    seed: int | None = None
    checkpoints: tuple[str, ...] = ()
    train_data: Path | None = None
    recipe: str | None = None
    steps: int | None = None

    def trainings(self) -> Trainings:
        recipe, steps = self.recipe or "compact_synthetic", self.steps or STEPS
        return Trainings(recipe, self.weights, self.train_data, steps, self.device)


def run_experiment(options: ExperimentOptions) -> dict[str, Any]:
    """Runs a study, or goes on with one that was interrupted, and writes ``results.json``, ``table.md``, ``plot.png``.

    Returns:
        What ``results.json`` holds.

    Raises:
        InputError: no such study, an option that it does not take, data or weights that are not as it needs them, or a
            folder that holds something else. What was done before is kept.
    """
    study = _study(options)
    tracker = PanopticTracker.load(options.weights, device=options.device)
    checkpoints = given(options.checkpoints)
    training = None
    if isinstance(study, TrackingStudy) and study.weights == "intervals" and not checkpoints:
        training = recipes(options.trainings())
    sources = _sources(options, study, tracker.classes)
    trackers = {name: PanopticTracker.load(path, device=options.device) for name, path in checkpoints.items()}
    for name, other in trackers.items():
        if other.classes != tracker.classes:
            raise InputError(
                f"checkpoint {name!r}: has the classes of {other.classes.name}, {options.weights} those of"
                f" {tracker.classes.name}; expected the same"
            )
    made_from = {
        "study": options.name,
        "weights": {"name": tracker.weights_name, "hash": tracker.weights_hash},
        "settings": tracker.settings.model_dump(),
        "data": {source.name: str(source.dataset.folder.resolve()) for source in sources},
        "split": options.limits.split,
        "frames": options.limits.frames,
    }
    if checkpoints:
        made_from["checkpoints"] = {name: file_hash(path) for name, path in checkpoints.items()}
    if training is not None:
        made_from["training"] = {
            "data": str(options.train_data.resolve()) if options.train_data else "the recipe's",
            "recipes": {name: recipe.model_dump(mode="json") for name, recipe in training.items()},
        }
    if isinstance(study, TrackingStudy):
        made_from["variants"] = {variant.name: asdict(variant) for variant in study.variants}
        for variant in study.variants:
            variant_settings(tracker, variant)
    claim(options.out, made_from)
    facts = {"device": str(tracker.device), "data": {source.name: source.facts() for source in sources}}
    if isinstance(study, CostStudy):
        outcome = cost_outcome(study, tracker, sources[0])
    else:
        if training is not None:
            made = trained(options.out / "training", options.trainings())
            trackers = {name: PanopticTracker.load(path, device=options.device) for name, path in made.items()}
        outcome = _track(options.out, study, trackers or {"": tracker}, sources)
    return publish(options.out, made_from | facts, study.question, outcome)


def _study(options: ExperimentOptions) -> TrackingStudy | CostStudy:
    """The study asked for.

    Raises:
        InputError: there is none of that name, or an option is not for it.
    """
    if options.name not in STUDIES:
        raise InputError(f"experiment {options.name!r}: there are {', '.join(STUDIES)}")
    for option, study in _OWN_OPTIONS.items():
        if getattr(options, option) not in (None, ()) and options.name != study:
            raise InputError(f"{option.replace('_', '-')}: only the study {study} takes it, not {options.name}")
    if options.checkpoints and any(getattr(options, name) is not None for name in ("train_data", "recipe", "steps")):
        raise InputError(
            "checkpoint: with checkpoints given nothing is trained; leave train-data, recipe and steps out"
        )
    return STUDIES[options.name]


def _sources(options: ExperimentOptions, study: TrackingStudy | CostStudy, classes: ClassSet) -> list[Source]:
    folders, limits = options.data, options.limits
    kind = study.data if isinstance(study, TrackingStudy) else "one"
    if kind == "scenarios":
        return inputs.open_scenarios(folders, classes, limits, options.seed)
    opens = {"one": inputs.open_one, "most occluded": inputs.open_most_occluded, "several": inputs.open_several}
    return opens[kind](folders, classes, limits)


def _track(out: Path, study: TrackingStudy, trackers: dict[str, PanopticTracker], sources: list[Source]) -> Outcome:
    rows: list[Row] = []
    for name, tracker in trackers.items():
        for source in sources:
            place = out / "maps" / slug(f"{name} {source.name}")
            write_maps(place, tracker, source.dataset, study.variants)
            measured = measure(place, source, study.variants)
            rows += [Row(name, source.name, v, measured[v.name], measured[v.name].scores()) for v in study.variants]
    return tracking_outcome(study, rows)
