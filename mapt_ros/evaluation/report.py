"""Writes what ``mapt evaluate`` found as one HTML page that opens without a server: tables, timelines, the worst frames."""

from html import escape
from pathlib import Path

from tqdm import tqdm

from mapt_ros.errors import InputError
from mapt_ros.evaluation import report_page
from mapt_ros.evaluation.evaluate import Scored
from mapt_ros.evaluation.report_frames import lowest_pq_frame, switching_frame
from mapt_ros.evaluation.report_story import APART, worst_of
from mapt_ros.evaluation.report_timeline import LEGEND, timeline
from mapt_ros.replay.files import write_beside, writing
from mapt_ros.viz.label_maps import with_colors

PAGE = "index.html"
_LOWEST, _SWITCHING = 6, 4  # frames shown
_OPEN = 12  # sequences whose timelines are unfolded at first


def check_report(folder: Path, images: Path | None = None) -> None:
    """Whether a report may go there; to be asked before the long work.

    Raises:
        InputError: the folder holds something else than a report, or is none; ``images`` is no folder.
    """
    if images is not None and not images.is_dir():
        raise InputError(f"{images}: is not a folder; images are expected in SEQUENCE/000000.png below it")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; a report needs a folder")
    page = folder / PAGE
    with writing(folder):
        if page.exists():
            if not (page.is_file() and report_page.GENERATOR.encode() in page.read_bytes()[:1000]):
                raise InputError(f"{page}: is not a report of mapt evaluate and is not replaced; name another folder")
        elif folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise InputError(f"{folder}: holds other files and no report; name a new or an empty folder")


def write_report(folder: Path, scored: Scored, *, truth: Path, predicted: Path, images: Path | None = None) -> Path:
    """Writes ``index.html`` into the folder; one of an earlier run is replaced, other files stay.

    Args:
        folder: made if it is missing.
        scored: with stories.
        truth, predicted: the folders scored, for the heading.
        images: where the frames' images are; without, they are looked for beside the ground truth, see ``find_image``.

    Returns:
        The page's path.

    Raises:
        InputError: see ``check_report``; or a file cannot be read or written.
    """
    check_report(folder, images)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_beside(folder / PAGE, _page(scored, truth, predicted, images).encode())
    return folder / PAGE


def _page(scored: Scored, truth: Path, predicted: Path, images: Path | None) -> str:
    result, stories = scored.result, scored.stories
    colors = with_colors(scored.classes.classes)
    anchors = {name: f"s{number}" for number, name in enumerate(stories)}
    matrix = sum(story.confusion for story in stories.values())
    parts = [
        report_page.heading(result, str(truth), str(predicted)),
        report_page.headline(result),
        report_page.sequences(result, anchors),
        report_page.classes(result, colors),
        _timelines(scored, anchors),
        report_page.confusion(matrix, colors),
        _worst_frames(scored, images),
        report_page.terms(),
    ]
    return report_page.page(f"Panoptic tracking, {predicted.absolute().name}", parts)


def _worst_frames(scored: Scored, images: Path | None) -> str:
    pairs = {pair.name: pair for pair in scored.pairs}
    void, colors = scored.classes.void, with_colors(scored.classes.classes)
    min_area = scored.result["conventions"]["min_area"]
    lowest = worst_of(scored.stories, lambda story: story.lowest_pq, _LOWEST)
    switching = worst_of(scored.stories, lambda story: story.most_switches, _SWITCHING)
    bar = tqdm(total=len(lowest) + len(switching), desc="report", unit="frame", disable=None)
    intro = (
        "<h2 id=worst>Worst frames</h2><p>The frames with the lowest PQ of their own, and those with most identity"
        f" switches, {APART} frames from each other at least within a sequence; frames without a prediction left out.</p>"
    )
    html = [intro]
    with bar:
        for name, moment in lowest:
            html.append(lowest_pq_frame(pairs[name], moment, void, colors, images, min_area))
            bar.update()
        for name, moment in switching:
            html.append(switching_frame(pairs[name], moment, void, colors, images))
            bar.update()
    if not lowest and not switching:
        html.append(
            "<p class=soft>None: PQ finds nothing wrong in any frame with a prediction, and no identity switches.</p>"
        )
    return "".join(html)


def _timelines(scored: Scored, anchors: dict[str, str]) -> str:
    unfolded = " open" if len(scored.pairs) <= _OPEN else ""
    intro = (
        "<h2 id=timelines>Timelines</h2><p>A row a thing of the ground truth, from left to right its frames, matched as"
        f" for <a href=#IDS>IDS</a>.</p>{LEGEND}"
    )
    html = [intro]
    for pair in scored.pairs:
        story, scores = scored.stories[pair.name], scored.result["per_sequence"][pair.name]
        facts = (
            f"{story.frames} frame{'s' * (story.frames != 1)}, {len(story.tracks)} thing{'s' * (len(story.tracks) != 1)},"
            f" {story.switches} switch{'es' * (story.switches != 1)}, PAT {report_page.percent(scores['PAT'])}"
        )
        numbers = [number for number, _, _ in pair.frames]
        qualities = dict(scored.evaluator.pat.track_qualities(pair.name))
        html.append(
            f"<details id={anchors[pair.name]}{unfolded}><summary><h3>{escape(pair.name)}</h3>"
            f" <span class=soft>{facts}</span></summary>{timeline(story, numbers, qualities)}</details>"
        )
    return "".join(html)
