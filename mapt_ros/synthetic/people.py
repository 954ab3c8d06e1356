"""People on foot: they walk with swinging arms and legs, run when they are fast, and stand when they are not moving."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.figure import (
    ARM,
    BONES,
    CHEST,
    FOOT,
    FOREARM,
    HEAD,
    RIGHT_ARM,
    RIGHT_LEG,
    SHIN,
    THIGH,
    Figure,
    dressed,
    figure,
)
from mapt_ros.synthetic.mesh import Piece, pose

PERSON = 11


@dataclass(frozen=True)
class Person:
    """Somebody on foot.

    Attributes:
        body: the figure.
        swing: how far arms and legs swing, against the mean.
        carries: bends an elbow all the time (a phone, a strap): 1 the left, -1 the right, 0 none.
        start: phase of the gait at 0 m, radians, so that a crowd does not march in step.
    """

    body: Figure
    swing: float
    carries: int
    start: float

    @property
    def height(self) -> float:
        """Metres."""
        return self.body.height

    @property
    def stride(self) -> float:
        """Metres that two steps take."""
        return 0.82 * self.height

    def pieces(self, transform: np.ndarray, track_id: int, travelled: float, speed: float) -> list[Piece]:
        """Somebody at a 4x4 transform (x ahead, on the ground).

        Args:
            travelled: metres walked so far, which give the phase of the gait.
            speed: metres a second; 0 stands, above 2.2 runs.
        """
        transforms = self.body.bone_transforms(self.posture(travelled, speed))
        lift = pose(0, 0, -self.body.lowest(transforms))
        return [Piece(self.body.rig.posed(transform @ lift @ transforms), PERSON, track_id)]

    def posture(self, travelled: float, speed: float) -> np.ndarray:
        """BONESx3 turns, as `Figure.bone_transforms` takes them."""
        phase = 2 * np.pi * travelled / self.stride + self.start
        run = float(np.clip((speed - 2.0) / 1.5, 0, 1))
        share = float(np.clip(speed / 0.8, 0, 1)) * self.swing
        turns = np.zeros((BONES, 3))
        for turn, leg, arm, side in ((phase, 0, 0, 1), (phase + np.pi, RIGHT_LEG, RIGHT_ARM, -1)):
            # Swing goes from turn -90 to 90 degrees; the knee bends most in its first half, while the foot comes past.
            hip = share * (0.38 + 0.24 * run) * np.sin(turn) + share * (0.04 + 0.15 * run)
            knee = share * (0.1 + (0.8 + 0.65 * run) * max(0.0, np.cos(turn + 0.55)) ** 2) + 0.03
            turns[THIGH + leg, 1], turns[SHIN + leg, 1] = hip, -knee
            turns[FOOT + leg, 1] = -0.55 * (hip - knee)
            turns[ARM + arm] = 0, -share * (0.4 + 0.3 * run) * np.sin(turn), 0.07 * side
            turns[FOREARM + arm, 1] = 0.15 + share * (0.12 + 0.12 * np.sin(turn + np.pi)) + 1.1 * run
            if self.carries == side:
                turns[ARM + arm, 1], turns[FOREARM + arm, 1] = 0.35 + 0.1 * share * np.sin(turn), 1.7
        twist = share * 0.1 * np.sin(phase)
        turns[CHEST] = twist, -(0.03 + 0.15 * run) * share, 0
        turns[HEAD] = -twist, (0.1 * run) * share, 0
        return turns


def person(rng: np.random.Generator) -> Person:
    """Somebody to be met in a German street, as often as such people are."""
    outfit = dressed(rng)
    carries = int(rng.choice([0, 1, -1], p=[0.8, 0.1, 0.1])) if outfit.bag != "hand" else 0
    return Person(figure(outfit), float(rng.uniform(0.85, 1.15)), carries, float(rng.uniform(0, 2 * np.pi)))
