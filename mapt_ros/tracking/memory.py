"""Track memory: birth, confirmation, loss, revival and death of identities."""

from dataclasses import dataclass, replace

import numpy as np

from mapt_ros.tracking.association import Match
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association, TrackedInstance, TrackState
from mapt_ros.tracking.panoptic import Region

MAX_TRACKS = 1000  # remembered at a time: each carries a mask that is propagated in every frame
_VELOCITY_MOMENTUM = 0.5  # share of the old velocity kept at an update; centroids of masks jitter


@dataclass(frozen=True)
class Observation:
    """One visible instance of the current frame, before it has an identity; ``embedding`` is a unit vector."""

    class_id: int
    score: float
    embedding: np.ndarray
    region: Region


@dataclass(frozen=True)
class Track:
    """What is remembered of one identity. ``instance`` is how it was last published."""

    instance: TrackedInstance
    embedding: np.ndarray
    sightings: int
    stamp_ns: int | None  # of the last sighting
    velocity_known: bool = False

    def seen(
        self,
        observation: Observation,
        match: Match,
        embedding: np.ndarray,
        stamp_ns: int | None,
        config: TrackerConfig,
    ) -> "Track":
        """The track after a sighting, with the embedding that it has from now on; a lost one is revived."""
        old = self.instance
        sightings = self.sightings + 1
        confirmed = old.state != TrackState.TENTATIVE or sightings >= config.confirm_after
        vx, vy, velocity_known = self._velocity(observation.region, stamp_ns)
        return Track(
            TrackedInstance(
                track_id=old.track_id,
                class_id=observation.class_id,
                score=observation.score,
                box=observation.region.box,
                area=observation.region.area,
                x=observation.region.x,
                y=observation.region.y,
                vx=vx,
                vy=vy,
                age=old.age + 1,
                frames_since_seen=0,
                state=TrackState.CONFIRMED if confirmed else TrackState.TENTATIVE,
                association=match.how,
                association_score=match.score,
            ),
            embedding,
            sightings,
            stamp_ns,
            velocity_known,
        )

    def missed(self) -> "Track":
        """The track after a frame without it."""
        old = self.instance
        lost = replace(old, age=old.age + 1, frames_since_seen=old.frames_since_seen + 1, state=TrackState.LOST, area=0)
        return replace(self, instance=lost)

    def _velocity(self, region: Region, stamp_ns: int | None) -> tuple[float, float, bool]:
        old = self.instance
        if stamp_ns is None or self.stamp_ns is None or stamp_ns <= self.stamp_ns:
            return old.vx, old.vy, self.velocity_known
        seconds = (stamp_ns - self.stamp_ns) * 1e-9
        now = (region.x - old.x) / seconds, (region.y - old.y) / seconds
        keep = _VELOCITY_MOMENTUM if self.velocity_known else 0.0
        return keep * old.vx + (1 - keep) * now[0], keep * old.vy + (1 - keep) * now[1], True


def born(track_id: int, observation: Observation, stamp_ns: int | None, config: TrackerConfig) -> Track:
    """A new track for an observation that no known one explains."""
    region = observation.region
    return Track(
        TrackedInstance(
            track_id=track_id,
            class_id=observation.class_id,
            score=observation.score,
            box=region.box,
            area=region.area,
            x=region.x,
            y=region.y,
            vx=0.0,
            vy=0.0,
            age=1,
            frames_since_seen=0,
            state=TrackState.CONFIRMED if config.confirm_after <= 1 else TrackState.TENTATIVE,
            association=Association.NEW,
            association_score=observation.score,
        ),
        observation.embedding,
        1,
        stamp_ns,
    )


@dataclass(frozen=True)
class Update:
    """Outcome of one frame.

    Attributes:
        tracks: those that live on, by track id.
        source: for each of them where its mask comes from: ("seen", position of the observation) or
            ("carried", its position among the tracks before).
        next_id: the id that the next birth gets.
    """

    tracks: list[Track]
    source: list[tuple[str, int]]
    next_id: int


def update(
    tracks: list[Track],
    observations: list[Observation],
    matches: list[Match],
    next_id: int,
    stamp_ns: int | None,
    config: TrackerConfig,
) -> Update:
    """Ages, revives, buries and begets; called on every frame, also on one without detections.

    A tentative track dies at its first miss; a confirmed one is lost, remembered for ``max_age`` frames, and dies.
    Beyond ``MAX_TRACKS`` those that were lost first die sooner.
    """
    by_track = dict(
        zip((match.track for match in matches), zip(matches, _mixed(tracks, observations, matches, config)))
    )
    alive: list[tuple[Track, tuple[str, int]]] = []
    for position, track in enumerate(tracks):
        if sighting := by_track.get(position):
            match, embedding = sighting
            seen = track.seen(observations[match.detection], match, embedding, stamp_ns, config)
            alive.append((seen, ("seen", match.detection)))
        elif track.instance.state != TrackState.TENTATIVE and track.instance.frames_since_seen < config.max_age:
            alive.append((track.missed(), ("carried", position)))
    taken = {match.detection for match in matches}
    for position, observation in enumerate(observations):
        if position not in taken:
            alive.append((born(next_id, observation, stamp_ns, config), ("seen", position)))
            next_id += 1
    if len(alive) > MAX_TRACKS:
        by_absence = sorted(range(len(alive)), key=lambda position: alive[position][0].instance.frames_since_seen)
        alive = [alive[position] for position in sorted(by_absence[:MAX_TRACKS])]
    return Update([track for track, _ in alive], [source for _, source in alive], next_id)


def _mixed(
    tracks: list[Track], observations: list[Observation], matches: list[Match], config: TrackerConfig
) -> list[np.ndarray]:
    """Each match's old and new embedding in one, all at once: one by one they would take most of an update's time."""
    if not matches:
        return []
    old = np.stack([tracks[match.track].embedding for match in matches])
    new = np.stack([observations[match.detection].embedding for match in matches])
    mixed = config.embedding_momentum * old + (1 - config.embedding_momentum) * new
    mixed /= np.maximum(np.sqrt(np.einsum("ne,ne->n", mixed, mixed)), 1e-12)[:, None]
    return [row.copy() for row in mixed]  # none keeps the others alive
