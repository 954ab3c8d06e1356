"""Draws the vehicles and people that appear in a sequence, all different or, where the scenario says so, all alike."""

import numpy as np

from mapt_ros.synthetic import cycles, heavy_vehicles, people
from mapt_ros.synthetic.cars import car
from mapt_ros.synthetic.scenarios import Scenario

_ODD_ONE = 0.1  # share of cars and people that differ where all others are alike
_BICYCLES = 0.65  # share of bicycles among parked cycles


class Casting:
    """Gives bodies one after the other."""

    def __init__(self, random: np.random.Generator, scenario: Scenario):
        self._random, self._scenario = random, scenario
        self._car_seed, self._person_seed = (int(seed) for seed in random.integers(1 << 31, size=2))

    def vehicle(self, role: str):
        """A vehicle for a role: "parked", "cycle" (a parked one), "moving" or "rider"."""
        scenario = self._scenario
        if role == "cycle":
            return (cycles.bicycle if self._random.random() < _BICYCLES else cycles.motorcycle)(self._random)
        heavy, rider = {
            "parked": (0.35 * scenario.heavy, 0.0),
            "moving": (scenario.heavy, 0.5 * scenario.riders),
            "rider": (0.0, 1.0),
        }[role]
        chance = self._random.random()
        if chance < rider:
            return cycles.rider(self._random)
        if chance < rider + heavy:
            bus = role == "moving" and self._random.random() < 0.45
            return heavy_vehicles.bus(self._random) if bus else heavy_vehicles.truck(self._random)
        return car(self._alike(self._car_seed))

    def person(self):
        """Somebody on foot."""
        return people.person(self._alike(self._person_seed))

    def _alike(self, seed: int) -> np.random.Generator:
        if self._scenario.alike and self._random.random() > _ODD_ONE:
            return np.random.default_rng(seed)
        return self._random
