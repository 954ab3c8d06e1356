"""Pictures of panoptic frames: classes and tracks in colour over the image, ids, trails, a legend, contact sheets."""

import colorsys
from collections import deque

import cv2
import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.errors import InputError
from mapt_ros.tracking.frame import PanopticFrame, TrackedInstance, TrackState

Color = tuple[int, int, int]

_STUFF_SHARE = 0.32  # of the class colour in a stuff pixel
_THING_SHARE = 0.5  # of the track colour in a thing pixel
_UNKNOWN: Color = (160, 160, 160)  # a class that the class set does not know
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FIXED_BITS = 3  # fractional bits of the points handed to OpenCV
_CLASS_SHIFT = LABEL_DIVISOR.bit_length() - 1  # labels >> this = class id, and -1 where unlabelled


def track_color(track_id: int) -> Color:
    """The RGB colour of a track: golden-ratio steps around the hues keep neighbouring ids far apart."""
    hue = (0.11 + track_id * 0.618033988749895) % 1.0
    saturation = (0.95, 0.72, 0.85)[track_id % 3]
    return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, 1.0))


class Trails:
    """The last ``length`` centroids of every track, keyed by (epoch, track id); memory stays bounded.

    A track that has not been seen for ``length`` frames is forgotten, and so is every other epoch's.
    """

    def __init__(self, length: int = 40) -> None:
        if length < 1:
            raise InputError(f"trails of {length} points: need at least 1")
        self.length = length
        self._points: dict[tuple[int, int], deque[tuple[float, float]]] = {}
        self._seen: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._points)

    def update(self, frame: PanopticFrame) -> None:
        """Appends the centroids of the instances that have pixels in this frame."""
        for instance in frame.instances:
            if instance.area > 0:
                key = (frame.epoch, instance.track_id)
                self._points.setdefault(key, deque(maxlen=self.length)).append((instance.x, instance.y))
                self._seen[key] = frame.sequence
        for key, seen in list(self._seen.items()):
            if key[0] != frame.epoch or frame.sequence - seen > self.length:
                del self._points[key], self._seen[key]

    def points(self, epoch: int, track_id: int) -> np.ndarray:
        """Nx2 float centroids (x, y) in pixels, the oldest first; N = 0 for a track never seen."""
        return np.array(self._points.get((epoch, track_id), ()), np.float64).reshape(-1, 2)


def draw_overlay(
    image: np.ndarray,
    frame: PanopticFrame,
    classes: ClassSet,
    *,
    trails: Trails | None = None,
    scale: float = 1.0,
) -> np.ndarray:
    """Draws a panoptic frame over its image.

    Stuff is tinted in its class's colour, things in their track's; unlabelled pixels keep the image as it is. A
    tentative track has a thin contour. Lost tracks have no pixels and are not drawn.

    Args:
        image: HxWx3 uint8 RGB.
        frame: what was made of it; ``labels`` HxW.
        classes: names and colours.
        trails: centroids to draw behind each visible track; the caller updates them.
        scale: size of the result relative to the image; text is drawn after resizing and stays sharp.

    Returns:
        (H * scale) x (W * scale) x 3 uint8 RGB, a new array.

    Raises:
        InputError: the image is not HxWx3 uint8, the label map has another size, or scale is not positive.
    """
    _check_image(image, "overlay")
    if frame.labels.shape != image.shape[:2]:
        raise InputError(
            f"overlay: the image is {_size(image)} (height x width) but the label map is {_size(frame.labels)};"
            " both must come from the same frame"
        )
    if not 0 < scale < 100:
        raise InputError(f"overlay: scale {scale} is out of range; 1.0 keeps the image's size")
    visible = [instance for instance in frame.instances if instance.area > 0]
    class_map = (frame.labels >> _CLASS_SHIFT).astype(np.uint8)
    canvas = _tint(image, frame.labels, class_map, classes)
    contours = [_tint_instance(canvas, image, frame.labels, instance) for instance in visible]
    if scale != 1.0:
        size = tuple(max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
        canvas = cv2.resize(canvas, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)

    stroke = max(1, round(canvas.shape[0] / 260))
    for instance, outlines in zip(visible, contours, strict=True):
        width = 1 if instance.state is TrackState.TENTATIVE else stroke
        lines = [_to_fixed(outline.reshape(-1, 2), scale) for outline in outlines]
        cv2.polylines(canvas, lines, True, track_color(instance.track_id), width, cv2.LINE_AA, _FIXED_BITS)
    if trails is not None:
        for instance in visible:
            _draw_trail(canvas, trails.points(frame.epoch, instance.track_id), track_color(instance.track_id), scale)
    legend_height = _draw_legend(canvas, class_map, visible, classes)
    _draw_tags(canvas, visible, classes, scale, legend_height)
    return canvas


def png_bytes(picture: np.ndarray) -> bytes:
    """An HxWx3 uint8 RGB picture as a PNG file's content."""
    return cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()


def contact_sheet(images: list[np.ndarray], columns: int) -> np.ndarray:
    """Puts HxWx3 uint8 images into a grid, row by row; smaller ones are centred in their cell.

    Raises:
        InputError: no images, fewer than one column, or an image that is not HxWx3 uint8.
    """
    if not images or columns < 1:
        raise InputError(f"contact sheet of {len(images)} images in {columns} columns: needs at least one of each")
    for number, image in enumerate(images):
        _check_image(image, f"contact sheet, image {number}")
    gap = 4
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 245, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top = gap + row * (height + gap) + (height - image.shape[0]) // 2
        left = gap + column * (width + gap) + (width - image.shape[1]) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def _check_image(image: np.ndarray, what: str) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"{what}: got {image.dtype} of shape {image.shape}, needs HxWx3 uint8 RGB")


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape[:2]))


def _tint(image: np.ndarray, labels: np.ndarray, class_map: np.ndarray, classes: ClassSet) -> np.ndarray:
    """The image with every labelled pixel tinted in its class's colour."""
    table = np.full((1, 256, 3), _UNKNOWN, np.uint8)
    for info in classes.classes:
        table[0, info.id] = info.color
    tinted = cv2.addWeighted(
        cv2.LUT(cv2.merge([class_map] * 3), table), _STUFF_SHARE, np.ascontiguousarray(image), 1 - _STUFF_SHARE, 0
    )
    unlabelled = (labels < 0).view(np.uint8)
    if unlabelled.any():
        cv2.copyTo(np.ascontiguousarray(image), unlabelled, tinted)
    return tinted


def _tint_instance(canvas: np.ndarray, image: np.ndarray, labels: np.ndarray, instance: TrackedInstance) -> list:
    """Tints one instance's pixels on the canvas; returns its contours in the image's pixels."""
    height, width = labels.shape
    x0, y0 = max(instance.box[0], 0), max(instance.box[1], 0)
    x1, y1 = min(instance.box[2], width), min(instance.box[3], height)
    if x0 >= x1 or y0 >= y1:
        return []
    label = instance.class_id * LABEL_DIVISOR + instance.track_id
    mask = (labels[y0:y1, x0:x1] == label).view(np.uint8)
    source = image[y0:y1, x0:x1]
    color = np.full_like(source, track_color(instance.track_id))
    cv2.copyTo(cv2.addWeighted(color, _THING_SHARE, source, 1 - _THING_SHARE, 0), mask, canvas[y0:y1, x0:x1])
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x0, y0))
    return list(contours)


def _to_fixed(points: np.ndarray, scale: float) -> np.ndarray:
    """Nx2 image pixels as fixed-point pixels of the resized picture (pixel centres stay pixel centres)."""
    return np.rint(((points + 0.5) * scale - 0.5) * (1 << _FIXED_BITS)).astype(np.int32)


def _draw_trail(canvas: np.ndarray, points: np.ndarray, color: Color, scale: float) -> None:
    """A line through the centroids that grows thicker towards the newest, with a dot there."""
    if not len(points):
        return
    fixed = _to_fixed(points, scale)
    thickest = max(2, round(canvas.shape[0] / 180))
    for k in range(1, len(fixed)):
        thickness = max(1, round(thickest * k / len(fixed)))
        cv2.line(canvas, fixed[k - 1].tolist(), fixed[k].tolist(), color, thickness, cv2.LINE_AA, _FIXED_BITS)
    radius = thickest << _FIXED_BITS
    cv2.circle(canvas, fixed[-1].tolist(), radius, (255, 255, 255), -1, cv2.LINE_AA, _FIXED_BITS)
    cv2.circle(canvas, fixed[-1].tolist(), radius, color, max(1, thickest // 2), cv2.LINE_AA, _FIXED_BITS)


def _font_scale(canvas: np.ndarray) -> float:
    return float(np.clip(canvas.shape[0] / 375 * 0.45, 0.33, 1.0))


def text_on(color: Color) -> Color:
    """Black or white, whichever is readable on the colour."""
    return (0, 0, 0) if 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 120 else (255, 255, 255)


def _draw_tags(
    canvas: np.ndarray, instances: list[TrackedInstance], classes: ClassSet, scale: float, top_margin: int
) -> None:
    """Writes id and class above each instance, moved off the tags that are already there."""
    height, width = canvas.shape[:2]
    font_scale = _font_scale(canvas)
    pad = max(1, round(4 * font_scale))
    taken: list[tuple[int, int, int, int]] = []
    # Near things (low in the image) keep the best place for their tag.
    for instance in sorted(instances, key=lambda entry: -entry.box[3]):
        info = classes.by_id.get(instance.class_id)
        text = f"{instance.track_id} {info.name if info else f'class {instance.class_id}'}"
        (text_width, text_height), _ = cv2.getTextSize(text, _FONT, font_scale, 1)
        tag_width, tag_height = text_width + 2 * pad, text_height + 2 * pad
        x0, y0, x1, _ = (edge * scale for edge in instance.box)
        left = round(np.clip(0.5 * (x0 + x1 - tag_width), 0, max(0, width - tag_width)))
        top = round(y0) - tag_height - 2
        top = _free_row(top, left, tag_width, tag_height, taken, (top_margin, max(top_margin, height - tag_height)))
        taken.append((left, top, left + tag_width, top + tag_height))
        color = track_color(instance.track_id)
        cv2.rectangle(canvas, (left, top), (left + tag_width - 1, top + tag_height - 1), color, -1)
        origin = (left + pad, top + pad + text_height)
        cv2.putText(canvas, text, origin, _FONT, font_scale, text_on(color), 1, cv2.LINE_AA)


def _free_row(top: int, left: int, width: int, height: int, taken: list, limits: tuple[int, int]) -> int:
    """The row nearest to ``top`` within ``limits`` where the tag covers none of ``taken``; ``top`` if there is none."""
    first = int(np.clip(top, *limits))
    beside = [box for box in taken if box[0] < left + width and left < box[2]]
    rows = [first] + [row for box in beside for row in (box[1] - height - 1, box[3] + 1)]
    for row in sorted(rows, key=lambda row: abs(row - first)):
        if limits[0] <= row <= limits[1] and all(row + height <= box[1] or box[3] <= row for box in beside):
            return row
    return first


def _draw_legend(canvas: np.ndarray, class_map: np.ndarray, instances: list[TrackedInstance], classes: ClassSet) -> int:
    """A strip along the upper edge with the classes present; returns its height, 0 if there is nothing to say."""
    areas = cv2.calcHist([class_map], [0], None, [256], [0, 256]).ravel()
    entries: list[tuple[str, list[Color]]] = []
    for info in classes.things:
        colors = [track_color(i.track_id) for i in instances if i.class_id == info.id]
        if colors:
            entries.append((f"{len(colors)} {info.name}", colors))
    present = sorted((info for info in classes.stuff if areas[info.id]), key=lambda info: -areas[info.id])
    entries += [(info.name, [info.color]) for info in present]
    if not entries:
        return 0
    font_scale = 0.85 * _font_scale(canvas)
    (_, text_height), _ = cv2.getTextSize("Xg", _FONT, font_scale, 1)
    pad = max(2, round(7 * font_scale))
    strip = min(text_height + 2 * pad, canvas.shape[0])
    canvas[:strip] = canvas[:strip] // 4
    x, swatch = pad, text_height + 2
    for name, colors in entries:
        (text_width, _), _ = cv2.getTextSize(name, _FONT, font_scale, 1)
        stripes = colors[:6]
        swatch_width = max(swatch, len(stripes) * max(3, swatch // 2))
        if x + swatch_width + pad + text_width > canvas.shape[1]:
            break  # the classes with most pixels come first; what does not fit is left out
        edges = np.linspace(x, x + swatch_width, len(stripes) + 1).round().astype(int)
        for color, start, end in zip(stripes, edges[:-1], edges[1:], strict=True):
            cv2.rectangle(canvas, (int(start), pad - 1), (int(end) - 1, pad + text_height), color, -1)
        x += swatch_width + max(2, pad // 2)
        cv2.putText(canvas, name, (x, pad + text_height - 1), _FONT, font_scale, (255, 255, 255), 1, cv2.LINE_AA)
        x += text_width + 2 * pad
    return strip
