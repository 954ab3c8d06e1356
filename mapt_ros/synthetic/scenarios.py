"""What the scenarios of the procedural world are: how its streets look and what goes on in them."""

from dataclasses import dataclass, replace

from mapt_ros.errors import InputError


@dataclass(frozen=True)
class Scenario:
    """The settings of one kind of sequence. Pairs are the ends of a range to draw from.

    Attributes:
        styles: chances of the town's styles (urban, suburb, avenue, industrial, country).
        straights: metres between bends.
        bends: degrees that a bend turns by.
        radii: of bends, in metres.
        junctions: chance that a straight is met by a side road.
        lights: chance that a junction has traffic lights.
        parking: chance of a parking strip on a side of a road.
        parked: share of a parking strip that is taken.
        rows: vehicles that are parked behind each other, on average.
        cycles: racks with parked bicycles and motorcycles on the sidewalks, for every 10 m of road.
        speeds: the ego vehicle's desired speed in m/s.
        stops: chance that the ego vehicle stops on its way (a light, people who cross).
        turns: chance that the ego vehicle turns off at the first junction it comes to.
        beyond: metres past the ego vehicle's last place in which there still is anybody.
        leaders: vehicles in front of the ego vehicle in its lane.
        oncoming: metres between oncoming vehicles.
        crossing: vehicles tried for each junction.
        heavy: share of trucks and buses among moving vehicles.
        riders: riders at the edges of the road, for every 10 m of road.
        walkers: people walking along the sidewalks, for every 10 m of road.
        behind: how much seldomer they take a sidewalk behind a parking strip.
        crossers: people crossing the road, for every 10 m of road.
        groups: standing groups, for every 10 m of road.
        walking: speed of people in m/s.
        alike: whether all cars are of one model and colour and all people are dressed alike.
    """

    styles: tuple[float, ...] = (0.32, 0.26, 0.17, 0.1, 0.15)
    straights: tuple[float, float] = (8.0, 30.0)
    bends: tuple[float, float] = (45.0, 95.0)
    radii: tuple[float, float] = (14.0, 26.0)
    junctions: float = 0.75
    lights: float = 0.7
    parking: float = 0.6
    parked: tuple[float, float] = (0.4, 0.8)
    rows: float = 1.2
    cycles: float = 0.3
    speeds: tuple[float, float] = (4.0, 9.0)
    stops: float = 0.3
    turns: float = 0.2
    beyond: float = 13.0
    leaders: tuple[int, int] = (0, 1)
    oncoming: tuple[float, float] = (15.0, 50.0)
    crossing: int = 5
    heavy: float = 0.22
    riders: float = 0.3
    walkers: float = 2.0
    behind: float = 0.1
    crossers: float = 1.2
    groups: float = 0.12
    walking: tuple[float, float] = (0.8, 1.8)
    alike: bool = False


_MIXED = Scenario()
_SETTINGS = {
    "mixed": _MIXED,
    "rapid-motion": replace(
        _MIXED,
        straights=(10.0, 26.0),
        bends=(50.0, 95.0),
        radii=(14.0, 24.0),
        junctions=0.9,
        speeds=(12.0, 18.0),
        stops=0.0,
        turns=0.5,
        leaders=(0, 1),
        oncoming=(10.0, 25.0),
        crossing=14,
        crossers=0.6,
        walking=(1.4, 3.2),
    ),
    "occlusion": replace(
        _MIXED,
        parking=1.0,
        parked=(0.7, 0.95),
        rows=5.0,
        beyond=22.0,
        speeds=(5.0, 10.0),
        oncoming=(8.0, 20.0),
        heavy=0.3,
        walkers=1.6,
        behind=1.0,
        crossers=0.7,
    ),
    "lookalikes": replace(
        _MIXED,
        parking=0.9,
        parked=(0.5, 0.9),
        rows=4.0,
        leaders=(1, 3),
        oncoming=(9.0, 20.0),
        heavy=0.05,
        walkers=3.2,
        behind=1.0,
        crossers=0.7,
        groups=0.3,
        alike=True,
    ),
    "crowd": replace(
        _MIXED,
        styles=(0.55, 0.1, 0.3, 0.05, 0.0),
        parked=(0.1, 0.4),
        speeds=(2.0, 6.0),
        stops=0.6,
        walkers=14.0,
        behind=1.0,
        crossers=4.0,
        groups=2.5,
    ),
    "cyclists": replace(
        _MIXED,
        styles=(0.15, 0.45, 0.1, 0.25, 0.05),
        cycles=1.4,
        riders=1.8,
        walkers=1.4,
        crossers=0.7,
    ),
}
SCENARIOS = tuple(_SETTINGS)


def scenario_settings(name: str) -> Scenario:
    """The settings of a scenario.

    Raises:
        InputError: there is none of that name.
    """
    if name not in _SETTINGS:
        raise InputError(f"scenario: there is no {name!r}, only {', '.join(SCENARIOS)}")
    return _SETTINGS[name]
