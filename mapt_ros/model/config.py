"""The typed description of a MAPT network; the ``model`` section of a config file and of a checkpoint's header."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mapt_ros.data.labels import CLASS_SETS, ClassSet

Count = Annotated[int, Field(ge=0)]
BackboneName = Literal["regnet_y_400mf", "regnet_y_1_6gf", "regnet_y_3_2gf", "regnet_y_8gf"]


# Settings of the instance head that no weight depends on.
_USED_ONLY = (
    "anchor_iou",
    "train_proposals",
    "proposals",
    "sampled_rois",
    "detections",
    "score_floor",
    "nms_threshold",
    "box_margin",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SemanticConfig(_Section):
    """Widths of the semantic head; EfficientPS's are 128 and 256."""

    channels: int = Field(128, ge=8, description="Width of LSFE, MC and of S_t.")
    dpc_channels: int = Field(256, ge=8, description="Width inside the dense prediction cell.")
    logit_stride: Literal[2, 4] = Field(4, description="Input pixels a cell of the class logits; 2 draws thin things.")
    detail_channels: int = Field(
        0, ge=0, description="Width of the branch that corrects logits by the picture; 0 = none."
    )
    detail_blocks: int = Field(0, ge=0, description="Residual blocks in that branch.")
    blocks: int = Field(0, ge=0, description="Residual blocks that S_t ends with.")

    @model_validator(mode="after")
    def _blocks_have_a_branch(self) -> "SemanticConfig":
        if self.detail_blocks and not self.detail_channels:
            raise ValueError("detail_blocks are in the detail branch, which detail_channels 0 leaves out")
        return self


class InstanceConfig(_Section):
    """The modified Mask R-CNN: anchors, proposals and detections."""

    anchor_sizes: tuple[int, int, int, int] = Field((32, 64, 128, 256), description="Side in pixels, P4 to P32.")
    anchor_scales: tuple[float, ...] = Field(
        (1.0,), min_length=1, description="Anchors of each size and shape, as multiples."
    )
    anchor_ratios: tuple[float, ...] = Field((0.5, 1.0, 2.0), min_length=1, description="Height by width of anchors.")
    anchor_iou: float = Field(0.7, gt=0.3, le=1, description="Overlap from which training takes an anchor for a thing.")
    train_proposals: int = Field(1000, ge=1, description="Proposals kept an image while training.")
    proposals: int = Field(300, ge=1, description="Proposals kept an image at inference.")
    sampled_rois: int = Field(256, ge=1, description="RoIs an image that the box loss looks at.")
    detections: int = Field(100, ge=1, description="Detections kept an image.")
    score_floor: float = Field(0.05, ge=0, le=1, description="Detections below are never formed.")
    nms_threshold: float = Field(0.5, gt=0, le=1)
    box_margin: float = Field(
        0.0, ge=0, le=1, description="Share of a detected box's sides added on every side before a mask is made in it."
    )
    semantic_context: bool = Field(
        False, description="Whether S_t joins the pyramid's fine levels before the things' heads."
    )
    box_channels: int = Field(1024, ge=8, description="Width of the two fully connected layers.")
    mask_channels: int = Field(256, ge=8, description="Width of the four separable mask convolutions.")
    canonical_box: int = Field(224, ge=8, description="Box side in pixels that pools from P16; smaller ones go finer.")


class MotionConfig(_Section):
    """The motion head: where it works and how wide it is."""

    stride: Literal[4, 8] = Field(8, description="Input pixels a cell of the propagated masks and features.")
    channels: int = Field(64, ge=4, description="Width of the reduced semantic difference.")
    feature_channels: int = Field(32, ge=4, description="Width of the propagated features.")
    correlation_channels: int = Field(16, ge=1, description="Width of the embedding that old and new cells meet in.")
    dilations: tuple[int, ...] = Field((1, 3, 6, 12), min_length=1)


class AppearanceConfig(_Section):
    """The appearance head."""

    roi_size: int = Field(7, ge=1)
    channels: int = Field(64, ge=4, description="Width of the pooled cells that both cues are brought to.")
    hidden: int = Field(256, ge=4, description="Width of the fully connected layer.")
    embedding: int = Field(128, ge=2, description="Width of the tracking embedding.")


class ModelConfig(_Section):
    """Everything that decides the shape of the network's weights, and how it is run."""

    name: str = "mapt"
    class_set: str = "kitti-step"
    backbone: BackboneName = "regnet_y_8gf"
    input_height: int | None = Field(None, ge=32, description="Images are resized to this height; none = as they are.")
    fpn_channels: int = Field(256, ge=8)
    separable: bool = Field(False, description="Depthwise separable 3x3 convolutions in the pyramid and the RPN.")
    fpn_blocks: tuple[Count, Count, Count, Count] = Field(
        (0, 0, 0, 0), description="Residual blocks that each level of the pyramid ends with, P4 to P32."
    )
    semantic: SemanticConfig = SemanticConfig()
    instance: InstanceConfig = InstanceConfig()
    motion: MotionConfig = MotionConfig()
    appearance: AppearanceConfig = AppearanceConfig()

    @model_validator(mode="after")
    def _known_class_set(self) -> "ModelConfig":
        if self.class_set not in CLASS_SETS:
            raise ValueError(f"class_set {self.class_set!r} is not one of {', '.join(CLASS_SETS)}")
        return self

    def of_weights(self) -> dict:
        """The part that weights are made for; the rest may be chosen anew each time they are used."""
        used_only = {"name": True, "input_height": True, "instance": set(_USED_ONLY)}
        return self.model_dump(exclude=used_only)

    @property
    def classes(self) -> ClassSet:
        return CLASS_SETS[self.class_set]
