"""A sequence's story agrees with the metrics, and does not grow with the frames."""

import pickle

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.report_story import APART, MISSED, Course, Moment, SequenceStory, Switch, Worst, worst_of

ROAD, CAR, VOID = 0, 3 * LABEL_DIVISOR, -1
HERE = CAR + 1


def row(label: int) -> np.ndarray:
    """A frame of four pixels of a label beside eight of road."""
    return np.array([[label] * 4 + [ROAD] * 8], np.int32)


def told(classes, frames) -> SequenceStory:
    """The story of (truth, predicted) frames."""
    evaluator, story = Evaluator(classes), SequenceStory(classes)
    for truth, predicted in frames:
        story.add(*evaluator.add("0000", truth, predicted))
    return story


def test_runs_tell_who_carried_a_thing_when_it_was_missed_and_where_it_switched(classes):
    truth = [HERE, HERE, HERE, HERE, ROAD, HERE]
    carried = [CAR + 5, CAR + 5, ROAD, CAR + 6, CAR + 6, CAR + 6]
    story = told(classes, [(row(a), row(b)) for a, b in zip(truth, carried, strict=True)])
    runs = [(run.first, run.last, run.carried, run.switch_from) for run in story.tracks[HERE]]
    assert runs == [
        (0, 1, CAR + 5, None),
        (2, 2, MISSED, None),
        (3, 3, CAR + 6, CAR + 5),
        (5, 5, CAR + 6, None),  # back after a frame in which it is not there
    ]
    assert list(story.tracks) == [HERE]
    assert story.switches == 1
    assert [moment.switches for moment in story.most_switches.kept] == [(Switch(HERE, CAR + 5, CAR + 6, 1),)]


@pytest.mark.parametrize("seed", range(4))
def test_switches_and_confusion_are_those_of_the_metrics(classes, random_sequences, seed):
    positions = {info.id: i for i, info in enumerate(classes.classes)} | {VOID: len(classes.classes)}
    for frames in random_sequences(seed).values():
        evaluator, story, expected = Evaluator(classes), SequenceStory(classes), 0
        for truth, predicted in frames:
            story.add(*evaluator.add("0000", truth, predicted))
            place = [np.vectorize(positions.get)(labels // LABEL_DIVISOR).ravel() for labels in (truth, predicted)]
            expected += np.histogram2d(*place, bins=[np.arange(len(positions) + 1)] * 2)[0]
        assert story.switches == (evaluator.scores()["IDS"] or 0)
        assert (story.confusion == expected).all()
        things = sum(run.last - run.first + 1 for runs in story.tracks.values() for run in runs)
        assert things == evaluator.things.counts().truth.sum()


def test_the_worst_frames_are_kept_apart_from_each_other():
    worst, badness = Worst(), np.random.default_rng(0).random(300)
    badness[[50, 51, 52]] = 2.0, 3.0, 2.5
    for position, value in enumerate(badness.tolist()):
        worst.add(Moment(position, (value,), 1 - value, ()))
    positions = [moment.position for moment in worst.kept]
    assert positions[0] == 51
    assert (np.diff(sorted(positions)) >= APART).all()
    assert [moment.badness for moment in worst.kept] == sorted((m.badness for m in worst.kept), reverse=True)
    assert min(moment.badness[0] for moment in worst.kept) > 0.9


def test_the_worst_of_all_sequences_comes_first_and_frames_without_prediction_are_none(classes):
    smaller = np.array([[HERE] * 3 + [ROAD] * 9], np.int32)
    predicted = {"perfect": row(HERE), "fair": smaller, "bad": row(ROAD)}
    stories = {name: told(classes, [(row(HERE), frame)]) for name, frame in predicted.items()}
    assert [name for name, _ in worst_of(stories, lambda story: story.lowest_pq, 5)] == ["bad", "fair"]
    evaluator, story = Evaluator(classes), SequenceStory(classes)
    story.add(*evaluator.add("0000", row(HERE), np.full((1, 12), VOID, np.int32)), predicted=False)
    assert story.lowest_pq.kept == []
    assert story.course.points() == [(0, 0.0)]


def test_the_course_keeps_means_when_its_bins_fill_up():
    course = Course()
    for position in range(1000):
        course.add(position, float(position >= 500))
    points = course.points()
    assert len(points) <= 400
    assert {value for _, value in points} == {0.0, 1.0}
    assert min(position for position, value in points if value == 1.0) == 500


def test_a_story_does_not_grow_with_the_frames(classes):
    story, sizes = SequenceStory(classes), []
    frame = Evaluator(classes).add("0000", row(HERE), row(CAR + 5))
    for _ in range(3):
        for _ in range(150):
            story.add(*frame)
        sizes.append(len(pickle.dumps(story)))
    assert sizes[2] - sizes[1] < 50
