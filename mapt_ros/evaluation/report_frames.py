"""The worst frames of a report: pictures of prediction, ground truth and what differs, and what went wrong in words."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from mapt_ros.data.frames import IMAGE_SUFFIXES, read_image
from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.data.step import MAPS
from mapt_ros.errors import InputError
from mapt_ros.evaluation.overlaps import areas, overlaps
from mapt_ros.evaluation.pq import PanopticQuality
from mapt_ros.evaluation.report_page import percent
from mapt_ros.evaluation.report_story import Moment
from mapt_ros.evaluation.report_timeline import label_name
from mapt_ros.evaluation.step_maps import SequencePair, read_map
from mapt_ros.viz.label_maps import draw_labels, draw_wrong, wrong_class

Pictures = Sequence[tuple[str, np.ndarray]]  # (caption, HxWx3 uint8 RGB)

_NARROW, _WIDE = 640, 960  # pixels; pictures are scaled to lie between
_LARGEST_SCALE = 32.0
_QUALITY = 80  # of the JPEGs
_NAMED = 8  # segments of a kind that are named


@dataclass(frozen=True)
class Scene:
    """What the pictures of one frame are drawn from: HxW label maps, and the image or the reason why there is none."""

    truth: np.ndarray
    predicted: np.ndarray
    image: np.ndarray | None
    no_image: str = ""


def lowest_pq_frame(
    pair: SequencePair, moment: Moment, void: int, colors: ClassSet, images: Path | None, min_area: int
) -> str:
    """A frame with a low PQ as HTML: prediction, ground truth, wrong classes, and the segments without a partner."""
    number, truth, predicted = pair.frames[moment.position]
    scene = _scene(pair.name, number, truth, predicted, void, images)
    scale = _scale(scene.truth)
    pictures = (
        ("prediction", draw_labels(scene.predicted, colors, scene.image, scale)),
        ("ground truth", draw_labels(scene.truth, colors, scene.image, scale)),
        ("red: wrong class; black: void", draw_wrong(scene.truth, scene.predicted, scene.image, scale)),
    )
    where = f"{pair.name}, frame {number}"
    facts = _facts(scene, colors, min_area)
    title = f"{where}: <a href=#PQ>PQ</a> {percent(moment.pq)}"
    return _article(title, where, pictures, facts, scene.no_image)


def switching_frame(pair: SequencePair, moment: Moment, void: int, colors: ClassSet, images: Path | None) -> str:
    """A frame with identity switches as HTML: the prediction that last had the old id, the one now, ground truth."""
    number, truth, predicted = pair.frames[moment.position]
    scene = _scene(pair.name, number, truth, predicted, void, images)
    scale = _scale(scene.truth)
    pictures = [("prediction", draw_labels(scene.predicted, colors, scene.image, scale))]
    number_before, truth_before, predicted_before = pair.frames[max(switch.last_seen for switch in moment.switches)]
    before = _scene(pair.name, number_before, truth_before, predicted_before, void, images)
    drawn = draw_labels(before.predicted, colors, before.image, _scale(before.truth))
    pictures.insert(0, (f"prediction before, frame {number_before}", drawn))
    pictures.append(("ground truth", draw_labels(scene.truth, colors, scene.image, scale)))
    changes = [
        f"{label_name(switch.label, colors)}: {switch.before % LABEL_DIVISOR} → {switch.now % LABEL_DIVISOR}"
        for switch in moment.switches
    ]
    where = f"{pair.name}, frame {number}"
    title = f"{where}: {len(changes)} identity switch{'es' * (len(changes) != 1)}"
    facts = [("carried before and now by", _some(changes))]
    return _article(title, where, pictures, facts, scene.no_image)


def find_image(sequence: str, number: int, truth: Path, images: Path | None) -> Path | None:
    """The image of a frame: below ``images``, or beside the ground truth where that is a KITTI-STEP folder.

    Args:
        truth: the frame's label map; ``<root>/panoptic_maps/[split/]<sequence>/%06d.png`` has its image in
            ``<root>/images/[split/]<sequence>``.
        images: a folder with ``<sequence>/%06d.png`` (or ``.jpg``), or with such a folder ``images`` in it.
    """
    if images is not None:
        folders = [images / sequence, images / "images" / sequence]
    else:
        parts = truth.absolute().parent.parts
        if MAPS not in parts:
            return None
        last = len(parts) - 1 - parts[::-1].index(MAPS)
        folders = [Path(*parts[:last], "images", *parts[last + 1 :])]
    names = dict.fromkeys((truth.stem, f"{number:06d}", f"{number:010d}"))
    paths = (folder / f"{name}{suffix}" for folder in folders for name in names for suffix in IMAGE_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _scene(sequence: str, number: int, truth: Path, predicted: Path, void: int, images: Path | None) -> Scene:
    true_map, predicted_map = read_map(truth, void), read_map(predicted, void)
    path = find_image(sequence, number, truth, images)
    if path is None:
        return Scene(true_map, predicted_map, None, "no image found")
    try:
        image = read_image(path)
    except InputError as error:
        return Scene(true_map, predicted_map, None, str(error))
    if image.shape[:2] != true_map.shape:
        sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (image, true_map)]
        return Scene(true_map, predicted_map, None, f"{path}: is {sizes[0]} pixels, its label map {sizes[1]}")
    return Scene(true_map, predicted_map, image)


def _scale(labels: np.ndarray) -> float:
    width = labels.shape[1]
    return min(max(_NARROW / width, 1.0), _LARGEST_SCALE) if width < _WIDE else _WIDE / width


def _facts(scene: Scene, classes: ClassSet, min_area: int) -> list[tuple[str, str]]:
    """What PQ counts against the frame, the largest first."""
    quality = PanopticQuality(classes, min_area=min_area)
    pairs = quality.evaluated(overlaps(scene.truth, scene.predicted))
    matches = quality.add_overlaps("", pairs)
    facts = []
    for name, labels, matched in (
        ("missed", pairs.truth, matches.truth),
        ("surplus", pairs.predicted, matches.predicted),
    ):
        segments, area = areas(labels, pairs.pixels)
        left = (area >= min_area) & ~np.isin(segments, matched)
        largest = segments[left][np.argsort(-area[left], kind="stable")]
        if len(largest):
            facts.append((name, _some([label_name(label, classes) for label in largest.tolist()])))
    counted = max(1, int((scene.truth >= 0).sum()))
    wrong = int(wrong_class(scene.truth, scene.predicted).sum())
    facts.append(("wrong class", f"{100 * wrong / counted:.0f} % of the pixels"))
    return facts


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _article(title: str, where: str, pictures: Pictures, facts: list[tuple[str, str]], no_image: str) -> str:
    """``title`` may hold links; the rest is escaped here."""
    title = title.replace(where, escape(where), 1)
    figures = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>"
        f"<img src='{_data_uri(picture)}' width={picture.shape[1]} height={picture.shape[0]} loading=lazy"
        f" alt='{escape(f'{where}: {name}', quote=True)}'></figure>"
        for name, picture in pictures
    )
    if no_image:
        facts = [*facts, ("colours only", no_image)]
    lines = "".join(f"<p class=facts><b>{escape(name)}:</b> {escape(text)}</p>" for name, text in facts)
    return f"<article class=frame><h3>{title}</h3><div class=pictures>{figures}<div>{lines}</div></div></article>\n"


def _data_uri(picture: np.ndarray) -> str:
    """An HxWx3 uint8 RGB picture as a JPEG inside the page."""
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
