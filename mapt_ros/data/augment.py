"""Augmentation of one frame or a pair: one draw of geometry and colour for both, and hard copies of small instances."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ndtri

from mapt_ros.data.copies import copy_small_instances
from mapt_ros.data.frames import Frame
from mapt_ros.data.labels import UNLABELLED
from mapt_ros.data.pairs import FramePair

# YIQ keeps luma apart from the two chroma axes, in whose plane hue is an angle and saturation a length.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_QUANTILES = ndtri((np.arange(256) + 0.5) / 256)  # of the normal distribution: makes noise of random bytes


class AugmentConfig(BaseModel):
    """What is drawn for each pair; strengths are the far ends of ranges centred on no change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: tuple[int, int] | None = Field(None, description="Height and width of the result; None keeps the frames'.")
    flip: float = Field(0.5, ge=0, le=1, description="Probability of mirroring.")
    scale: tuple[float, float] = Field(
        (0.5, 2.0), description="Range of the size factor, drawn evenly in its logarithm."
    )

    copies: int = Field(2, ge=0, description="Most hard copies of small instances a pair; 0 to that, drawn evenly.")
    copy_area: tuple[int, int] = Field((40, 1500), description="Visible pixels of an instance that counts as small.")

    brightness: float = Field(0.15, ge=0, le=1, description="Shift, as a share of full scale.")
    contrast: float = Field(0.25, ge=0, lt=1, description="1 ± this times the distance from middle grey.")
    saturation: float = Field(0.4, ge=0, le=1, description="1 ± this times the chroma.")
    hue: float = Field(12.0, ge=0, le=180, description="Rotation of the chroma in degrees.")
    gamma: float = Field(0.3, ge=0, lt=1, description="Exponent between 1 - this and 1 / (1 - this).")
    grayscale: float = Field(0.03, ge=0, le=1, description="Probability of no colour at all.")
    blur: float = Field(0.15, ge=0, le=1, description="Probability of a Gaussian blur.")
    blur_sigma: float = Field(1.2, gt=0, description="Its largest sigma in pixels.")
    noise: float = Field(0.3, ge=0, le=1, description="Probability of Gaussian noise, fresh in each frame.")
    noise_sigma: float = Field(8.0, gt=0, description="Its largest sigma in grey levels.")
    jpeg: float = Field(0.2, ge=0, le=1, description="Probability of compressing to JPEG and back.")
    jpeg_quality: tuple[int, int] = Field((35, 90), description="Range of its quality.")

    @model_validator(mode="after")
    def _check(self) -> "AugmentConfig":
        for name in ("scale", "copy_area", "jpeg_quality"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name}: a range goes from a smaller to a larger number above 0")
        if self.jpeg_quality[1] > 100:
            raise ValueError("jpeg_quality: at most 100")
        if self.crop is not None and min(self.crop) < 1:
            raise ValueError("crop: height and width must be at least 1 pixel")
        return self


def augment(pair: FramePair, config: AugmentConfig, rng: np.random.Generator) -> FramePair:
    """The pair with both frames changed alike; of ``config.crop``'s size where it names one. Inputs stay untouched."""
    previous, current = augment_frames([pair.previous, pair.current], config, rng)
    return replace(pair, previous=previous, current=current)


def augment_frames(
    frames: list[Frame], config: AugmentConfig, rng: np.random.Generator, focus: tuple[int, int] | None = None
) -> list[Frame]:
    """As ``augment``, for the frames of a list, one or more, all of one size.

    Args:
        focus: row and column of a pixel that the crop has to show; None crops anywhere.
    """
    frames, pad = _geometry(frames, config, rng, focus)
    if config.copies:
        frames = copy_small_instances(frames, int(rng.integers(config.copies + 1)), config.copy_area, rng)
    recolour = draw_colours(config, rng)
    return [pad(recolour(image), labels) for image, labels in frames]


def draw_colours(config: AugmentConfig, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """One draw of all that changes pixels in place: a function from HxWx3 uint8 RGB to the same, called once a frame."""
    contrast = 1 + rng.uniform(-1, 1) * config.contrast
    shift = 255 * rng.uniform(-1, 1) * config.brightness + 127.5 * (1 - contrast)
    saturation = 1 + rng.uniform(-1, 1) * config.saturation
    if rng.random() < config.grayscale:
        saturation = 0.0
    matrix = contrast * colour_matrix(saturation, np.deg2rad(rng.uniform(-1, 1) * config.hue))
    matrix = np.hstack([matrix, np.full((3, 1), shift)]).astype(np.float32)
    exponent = (1 - config.gamma) ** rng.uniform(-1, 1)
    tones = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    sigma = rng.uniform(0.3, 1) * config.blur_sigma if rng.random() < config.blur else 0.0
    deviation = rng.uniform(0, 1) * config.noise_sigma if rng.random() < config.noise else 0.0
    deviations = np.rint(deviation * _QUANTILES).astype(np.int16)
    quality = int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1)) if rng.random() < config.jpeg else 0

    def recolour(image: np.ndarray) -> np.ndarray:
        image = cv2.LUT(cv2.transform(image, matrix), tones)
        if sigma:
            image = cv2.GaussianBlur(image, (0, 0), sigma)
        if deviation:
            noise = cv2.LUT(rng.integers(0, 256, image.shape, dtype=np.uint8), deviations)
            image = cv2.add(image, noise, dtype=cv2.CV_8U)
        if quality:
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            image = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        return image

    return recolour


def colour_matrix(saturation: float, hue: float) -> np.ndarray:
    """3x3 for RGB columns: chroma times ``saturation``, turned by ``hue`` radians; luma stays."""
    cosine, sine = saturation * np.cos(hue), saturation * np.sin(hue)
    return _FROM_YIQ @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ _TO_YIQ


def _geometry(
    frames: list[Frame], config: AugmentConfig, rng: np.random.Generator, focus: tuple[int, int] | None
) -> tuple[list[Frame], Callable[[np.ndarray, np.ndarray], Frame]]:
    """Scales, crops and mirrors; padding is left to the returned function, so that colours change no padding."""
    height, width = frames[0][1].shape
    rows, columns = config.crop or (height, width)
    factor = float(np.exp(rng.uniform(*np.log(config.scale))))
    # The window that fills the crop once scaled, or as much of it as there is: scaled after cropping, which is quicker.
    window = min(height, max(1, round(rows / factor))), min(width, max(1, round(columns / factor)))
    size = min(rows, max(1, round(window[0] * factor))), min(columns, max(1, round(window[1] * factor)))
    top, left = (
        int(
            rng.integers(all_ - part + 1)
            if at is None
            else rng.integers(max(0, at - part + 1), min(at, all_ - part) + 1)
        )
        for all_, part, at in zip((height, width), window, focus or (None, None), strict=True)
    )
    above, before = (int(rng.integers(all_ - part + 1)) for all_, part in zip((rows, columns), size, strict=True))
    mirrored = rng.random() < config.flip
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR

    def change(image: np.ndarray, labels: np.ndarray) -> Frame:
        cut = slice(top, top + window[0]), slice(left, left + window[1])
        image, labels = image[cut], labels[cut]
        if size != window:
            image = cv2.resize(image, size[::-1], interpolation=how)
            labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        if mirrored:
            image, labels = image[:, ::-1], labels[:, ::-1]
        return np.ascontiguousarray(image), np.ascontiguousarray(labels)

    def pad(image: np.ndarray, labels: np.ndarray) -> Frame:
        if size == (rows, columns):
            return image, labels
        edges = above, rows - size[0] - above, before, columns - size[1] - before
        return (
            cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=0),
            cv2.copyMakeBorder(labels, *edges, cv2.BORDER_CONSTANT, value=UNLABELLED),
        )

    return [change(*frame) for frame in frames], pad
