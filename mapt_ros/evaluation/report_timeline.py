"""A sequence's timeline as HTML: a row a true thing, coloured by who carried it, with its misses and identity switches."""

from collections.abc import Sequence
from html import escape

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.evaluation.report_story import MISSED, Run, SequenceStory
from mapt_ros.viz.overlay import text_on, track_color

_ROWS = 300  # things that are drawn; of more, those in most trouble
_RUNS = 8000  # that are drawn; of more, frames are drawn several at a time
_FINEST = 1500  # columns across; more than a screen has
_TEXT_SHARE = 0.035  # of the width that an id needs to be written
_TICKS = 5
_WIDEST_REM = 110

LEGEND = """<div class=legend>
<span><span class=bar><div><i class=l style="left:0;width:100%;background:#f0b429">7</i></div></span>carried by the
predicted id 7 (a colour an id)</span>
<span><span class=bar><div><i class=m style="left:0;width:100%"></i></div></span>in the ground truth, missed</span>
<span>blank: not in the ground truth</span>
<span><span class=bar><div><i class=l style="left:0;width:50%;background:#f0b429">7</i><i class=d
style="left:50%;width:50%;background:#7c3aed">9</i><b style="left:50%"></b></div></span>identity switch</span>
</div>"""


def label_name(label: int, classes: ClassSet) -> str:
    """``car 7``, not escaped; stuff has no number."""
    class_id, track_id = divmod(label, LABEL_DIVISOR)
    info = classes.by_id.get(class_id)
    name = info.name if info else f"class {class_id}"
    return f"{name} {track_id}" if track_id else name


def timeline(story: SequenceStory, numbers: Sequence[int], qualities: dict[int, float]) -> str:
    """The table of a sequence's things.

    Args:
        story: of the sequence.
        numbers: of its frames, as their files are named.
        qualities: true label -> TQ.
    """
    order = {info.id: position for position, info in enumerate(story.classes.classes)}
    labels = sorted(
        story.tracks, key=lambda label: (order[label // LABEL_DIVISOR], story.tracks[label][0].first, label)
    )
    note = ""
    if len(labels) > _ROWS:
        worst = sorted(labels, key=lambda label: _trouble(story.tracks[label]), reverse=True)
        chosen = set(worst[:_ROWS])
        note = (
            f"<p class=soft>The {_ROWS} things with most switches and missed frames; {len(labels) - _ROWS} others are not"
            " drawn.</p>"
        )
        labels = [label for label in labels if label in chosen]
    step = _frames_a_column([story.tracks[label] for label in labels], story.frames)
    rows, kind = [], None
    for label in labels:
        if label // LABEL_DIVISOR != kind:
            kind = label // LABEL_DIVISOR
            same = sum(other // LABEL_DIVISOR == kind for other in labels)
            name = escape(story.classes.by_id[kind].name)
            rows.append(f"<tr class=kind><th colspan=5>{name}: {same} thing{'s' * (same != 1)}</th></tr>")
        rows.append(_row(label, story, numbers, qualities.get(label), step))
    if not labels:
        note = "<p class=soft>No thing with an id in this sequence's ground truth.</p>"
    # Half a pixel a frame at least; where that is too wide, it scrolls.
    width = f"max(11rem,{min(_WIDEST_REM, 0.03 * story.frames):.4g}rem)"
    head = "<th scope=col title='frames in which it is carried, of those it is in'>carried</th>"
    head += "<th scope=col><a href='#IDS'>IDS</a></th><th scope=col><a href='#TQ'>TQ</a></th>"
    return (
        f"<div class='scroll timeline' style='--w:{width}'><table>"
        f"<thead><tr><th scope=col>thing</th><th class=bar>{_axis(numbers)}</th>{head if labels else ''}</tr>"
        f"{_course(story)}</thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _row(label: int, story: SequenceStory, numbers: Sequence[int], quality: float | None, step: int) -> str:
    runs = story.tracks[label]
    frames = sum(run.last - run.first + 1 for run in runs)
    carried = sum(run.last - run.first + 1 for run in runs if run.carried != MISSED)
    switches = sum(run.switch_from is not None for run in runs)
    spans = "".join(_span(run, story, numbers) for run in thinned(runs, step))
    marks = "".join(
        f"<b style='left:{_percent(run.first, story.frames)}%' title='frame {numbers[run.first]}:"
        f" {run.switch_from % LABEL_DIVISOR} → {run.carried % LABEL_DIVISOR}'></b>"
        for run in _first_a_column([run for run in runs if run.switch_from is not None], step)
    )
    score = "–" if quality is None else f"{100 * quality:.0f}"
    return (
        f"<tr><th scope=row>{escape(label_name(label, story.classes))}</th><td class=bar><div>{spans}{marks}</div></td>"
        f"<td>{carried}/{frames}</td><td>{switches or ''}</td><td>{score}</td></tr>\n"
    )


def _span(run: Run, story: SequenceStory, numbers: Sequence[int]) -> str:
    width = (run.last + 1 - run.first) / story.frames
    place = f"left:{_percent(run.first, story.frames)}%;width:{_percent(run.last + 1 - run.first, story.frames)}%"
    frames = f"{numbers[run.first]}–{numbers[run.last]}" if run.last > run.first else f"{numbers[run.first]}"
    if run.carried == MISSED:
        return f"<i class=m style='{place}' title='{frames}: missed'></i>"
    track_id = run.carried % LABEL_DIVISOR
    color = track_color(track_id)
    light = "l" if sum(text_on(color)) == 0 else "d"
    text = str(track_id) if width > _TEXT_SHARE else ""
    kind = light if text else "n"
    shade = "#{:02x}{:02x}{:02x}".format(*color)
    return f"<i class={kind} data-i={track_id} style='{place};background:{shade}' title='{frames}: id {track_id}'>{text}</i>"


def thinned(runs: list[Run], step: int) -> list[Run]:
    """The runs without those that would lie wholly in a column of ``step`` frames which another one already marks."""
    kept: list[Run] = []
    for run in runs:
        if not kept or run.last // step > kept[-1].last // step or run.first // step > kept[-1].last // step:
            kept.append(run)
    return kept


def _first_a_column(runs: list[Run], step: int) -> list[Run]:
    return list({run.first // step: run for run in reversed(runs)}.values())[::-1]


def _frames_a_column(tracks: list[list[Run]], frames: int) -> int:
    """As few frames as keep the number of drawn runs within bounds."""
    step = max(1, frames // _FINEST)
    while step < frames and sum(len(thinned(runs, step)) for runs in tracks) > _RUNS:
        step *= 2
    return step


def _trouble(runs: list[Run]) -> int:
    return sum((run.switch_from is not None) + (run.last - run.first + 1) * (run.carried == MISSED) for run in runs)


def _axis(numbers: Sequence[int]) -> str:
    last = len(numbers) - 1
    places = sorted({round(last * k / (_TICKS - 1)) for k in range(_TICKS)})
    ticks = (f"<span style='left:{_percent(place, max(1, last))}%'>{numbers[place]}</span>" for place in places)
    return f"<div>{''.join(ticks)}</div>"


def _course(story: SequenceStory) -> str:
    """PQ of each frame alone, as a row of its own above the things."""
    points = story.course.points()
    if not points:
        return ""
    # Steps, a bin each, down to the ground where frames have none; y grows downwards.
    path, end = f"M{points[0][0]} 100", points[0][0]
    for position, value in points:
        gap = "" if position == end else f"V100H{position}"
        end = min(position + story.course.frames_a_bin, story.frames)
        path += f"{gap}V{100 - 100 * value:.0f}H{end}"
    path += "V100"
    mean = sum(value for _, value in points) / len(points)
    mean_cell = f"<th colspan=3 class=soft>mean {100 * mean:.0f}</th>" if story.tracks else ""
    return (
        "<tr class=course><th scope=row title='of each frame alone'>PQ</th><th class=bar>"
        f"<svg viewBox='0 0 {story.frames} 100' preserveAspectRatio=none role=img aria-label='PQ of each frame, 0 to 100,"
        f" mean {100 * mean:.0f}'><path d='{path}'/></svg></th>{mean_cell}</tr>"
    )


def _percent(frames: int, of: int) -> str:
    return f"{100 * frames / of:.4g}"
