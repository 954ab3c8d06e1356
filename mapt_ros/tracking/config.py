"""Settings of association, memory and fusion (the ``tracker`` section of a config file), and the whole config file."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mapt_ros.model.config import ModelConfig
from mapt_ros.resources import read_settings

AssociationMode = Literal["combined", "motion", "appearance", "appearance-first", "simultaneous"]

FUSION_SETTINGS = ("score_threshold", "max_taken", "min_stuff_area", "min_stuff_iou")  # what panoptic fusion hangs on


class TrackerConfig(BaseModel):
    """How detections become identities.

    The paper gives none of these numbers; the defaults are ours except the fusion's, which are EfficientPS's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    score_threshold: float = Field(0.5, ge=0, le=1, description="Detections below this score are ignored.")
    max_taken: float = Field(0.5, ge=0, le=1, description="Skip a detection with a larger share already taken.")
    min_stuff_area: int = Field(256, ge=0, description="Smaller stuff segments become unlabelled, in pixels.")
    min_stuff_iou: float = Field(
        0.0, ge=0, lt=1, description="Stuff classes of which the network expects a smaller IoU in a frame are left out."
    )
    association: AssociationMode = Field("combined", description="Which cues decide, and in which order.")
    motion_threshold: float = Field(0.3, ge=0, le=1, description="Least overlap with a propagated mask.")
    appearance_threshold: float = Field(0.6, ge=-1, le=1, description="Least cosine similarity of embeddings.")
    max_age: int = Field(10, ge=0, description="Frames a lost track is remembered.")
    confirm_after: int = Field(2, ge=1, description="Sightings in a row until a track is confirmed.")
    embedding_momentum: float = Field(0.8, ge=0, lt=1, description="Share of the old embedding kept at an update.")
    use_propagated_features: bool = Field(True, description="Whether motion has a say in the embeddings (W_p).")
    publish_lost: bool = Field(False, description="Also report tracks that are lost but remembered.")


class MaptConfig(BaseModel):
    """A whole config file: the network and the tracker around it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelConfig = ModelConfig()
    tracker: TrackerConfig = TrackerConfig()


def load_config(name_or_path: str | Path) -> MaptConfig:
    """Reads a YAML config: a file, or the name of a bundled one (``compact``, ``regnety_8gf``).

    Raises:
        InputError: no such file, not YAML, an unknown key or a value out of range.
    """
    return read_settings(MaptConfig, name_or_path, "config/model", "config")
