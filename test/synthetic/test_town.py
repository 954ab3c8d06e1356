"""The plan of a town: roads that stay apart from themselves and from each other, in every scenario."""

import numpy as np
import pytest

from mapt_ros.synthetic.scenarios import SCENARIOS, scenario_settings
from mapt_ros.synthetic.town import random_town


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_main_road_never_comes_near_itself(scenario):
    for seed in range(8):
        main = random_town(np.random.default_rng(seed), scenario_settings(scenario), 230).main
        distance = np.linalg.norm(main.points[:, None] - main.points[None], axis=-1)
        apart = np.abs(np.subtract.outer(np.arange(len(main.points)), np.arange(len(main.points)))) > 80
        assert distance[apart].min() > main.frontage(1) + main.frontage(-1)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_side_roads_cross_in_their_own_middle_and_meet_the_main_road_nowhere_else(scenario):
    for seed in range(8):
        town = random_town(np.random.default_rng(seed), scenario_settings(scenario), 230)
        for junction in town.junctions:
            middle = np.array(town.main.at(junction.along)[:2])
            np.testing.assert_allclose(junction.road.at(junction.road.length / 2)[:2], middle, atol=0.6)
            far = town.main.points[np.abs(np.arange(len(town.main.points)) - junction.along) > 50]
            half = len(junction.road.points) // 2
            for exists, part in (
                (junction.right, junction.road.points[: half - 25]),
                (junction.left, junction.road.points[half + 25 :]),
            ):
                if exists:
                    distance = np.linalg.norm(part[:, None] - far[None], axis=-1).min()
                    assert distance > town.main.frontage(1) + junction.road.frontage(1)


def test_bends_leave_room_for_what_stands_on_their_inner_side():
    for seed in range(12):
        main = random_town(np.random.default_rng(seed), scenario_settings("rapid-motion"), 230).main
        steps = np.diff(main.points, axis=0)
        turn = np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
        assert 1 / np.abs(turn).max() > max(main.frontage(1), main.frontage(-1))
