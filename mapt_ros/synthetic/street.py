"""The still part of a scene: a crossing of two streets with pavements, houses, trees, lamp posts and sky."""

from dataclasses import dataclass

import cv2
import numpy as np

from mapt_ros.synthetic.bodies import Pole, Tree, plant_tree, shade
from mapt_ros.synthetic.canvas import SUPERSAMPLING, Canvas, Pinhole

# KITTI-STEP class ids
ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY = 0, 1, 2, 5, 8, 10

ASPHALT = (84, 84, 90)
_PAVING = (178, 164, 148)
_MARKING = (232, 232, 226)
_WALLS = (
    (150, 82, 62),
    (196, 148, 92),
    (208, 186, 140),
    (142, 110, 96),
    (168, 100, 74),
    (214, 172, 128),
    (122, 92, 84),
)
_ROOF = (92, 48, 38)
_PANES = ((58, 74, 96), (78, 98, 122), (40, 50, 66))
_FAR = 80.0  # metres to the backdrop
_SIDE = 70.0  # metres to either side that are built


@dataclass(frozen=True)
class StreetPlan:
    """Metres: half the width of our road, the pavement's width, and where the crossing road begins and ends ahead."""

    half_width: float
    pavement: float
    cross_near: float
    cross_far: float

    @property
    def house_line(self) -> float:
        """Distance of the house fronts from the middle of our road."""
        return self.half_width + self.pavement


def draw_plan(rng: np.random.Generator) -> StreetPlan:
    """A random plan."""
    near = float(rng.uniform(8.5, 17.0))
    return StreetPlan(
        half_width=float(rng.uniform(4.3, 5.2)),
        pavement=float(rng.uniform(2.4, 3.4)),
        cross_near=near,
        cross_far=near + float(rng.uniform(7.5, 9.5)),
    )


@dataclass(frozen=True)
class Layer:
    """A still body cut out of a canvas: what lies farther away than ``z`` metres is hidden by it.

    Attributes:
        colors: hxwx3 uint8 samples.
        mask: hxw uint8, not 0 where the body is.
        left, top: place of the cut-out on the background, in samples.
    """

    class_id: int
    z: float
    colors: np.ndarray
    mask: np.ndarray
    left: int
    top: int

    def paste(self, canvas: Canvas, view: tuple[int, int], owner: int) -> None:
        """Puts the layer on a canvas whose corner lies at ``view`` (x, y) samples of the background."""
        height, width = canvas.owners.shape
        x, y = self.left - view[0], self.top - view[1]
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + self.mask.shape[1], width), min(y + self.mask.shape[0], height)
        if x0 >= x1 or y0 >= y1:
            return
        part = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        cv2.copyTo(self.colors[part], self.mask[part], canvas.colors[y0:y1, x0:x1])
        canvas.owners[y0:y1, x0:x1][self.mask[part] != 0] = owner


class Street:
    """The still background, painted once per scene on a canvas with ``margin`` pixels to spare on each side.

    Attributes:
        colors, owners: the background; ``owners`` holds class ids.
        layers: trees, lamp posts and the houses before the crossing road, which things pass before and behind.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        camera: Pinhole,
        plan: StreetPlan,
        size: tuple[int, int],
        margin: tuple[int, int],
    ) -> None:
        self.plan, self._camera = plan, camera
        height, width = size
        shape = (SUPERSAMPLING * (height + 2 * margin[1]), SUPERSAMPLING * (width + 2 * margin[0]))
        offset = (SUPERSAMPLING * margin[0], SUPERSAMPLING * margin[1])
        self._offset = offset
        canvas = Canvas(np.zeros((*shape, 3), np.uint8), np.full(shape, SKY, np.uint8), offset)
        self._paint_sky(rng, canvas)
        self._paint_backdrop(rng, canvas, width)
        self._paint_ground(rng, canvas)
        line, far = plan.house_line, plan.cross_far + plan.pavement
        for side in (-1, 1):
            self._paint_houses(rng, canvas, (side * line, _FAR * 0.8), (side * line, far))
            self._paint_houses(rng, canvas, (side * _SIDE, far), (side * line, far))
        self.colors, self.owners = canvas.colors, canvas.owners
        houses = self._transparent()
        for side in (-1, 1):
            self._paint_houses(
                rng, houses, (side * line, plan.cross_near - plan.pavement), (side * line, 1.0), gardens=False
            )
        self.layers = [*self._cut(houses, BUILDING, plan.cross_near), *self._place_fixtures(rng)]

    def _transparent(self) -> Canvas:
        return Canvas(np.zeros_like(self.colors), np.zeros_like(self.owners), self._offset)

    @staticmethod
    def _cut(canvas: Canvas, class_id: int, z: float) -> list[Layer]:
        """What is on the canvas as a layer; none if it is empty."""
        left, top, width, height = cv2.boundingRect(canvas.owners)
        if not width:
            return []
        part = np.s_[top : top + height, left : left + width]
        return [Layer(class_id, z, canvas.colors[part].copy(), canvas.owners[part].copy(), left, top)]

    def _quad(self, canvas: Canvas, corners, color, owner: int | None) -> None:
        canvas.polygon(self._camera.project(np.array(corners, np.float64)), color, owner)

    def _flat(self, canvas: Canvas, x0: float, x1: float, z0: float, z1: float, color, owner: int | None) -> None:
        self._quad(canvas, [(x0, 0, z0), (x1, 0, z0), (x1, 0, z1), (x0, 0, z1)], color, owner)

    def _paint_sky(self, rng: np.random.Generator, canvas: Canvas) -> None:
        rows, columns = canvas.owners.shape
        top = np.array([rng.integers(70, 130), rng.integers(135, 170), rng.integers(205, 235)], np.float64)
        low = np.array([212.0, 226.0, 238.0])
        share = np.clip(np.arange(rows) / (0.55 * rows), 0, 1)[:, None, None]
        sky = np.broadcast_to(top + (low - top) * share, (rows, columns, 3)).astype(np.float32)
        clouds = cv2.resize(
            rng.uniform(0, 1, (5, 9)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC
        )
        veil = np.clip((clouds - 0.45) * 1.3, 0, 0.75)[..., None]
        canvas.colors[:] = np.clip(sky + (246 - sky) * veil, 0, 255)

    def _paint_backdrop(self, rng: np.random.Generator, canvas: Canvas, width: int) -> None:
        span = _FAR * width / self._camera.fx
        for x in np.arange(-span, span, 9.0):
            if rng.random() < 0.5:
                h = rng.uniform(6, 14)
                corners = [(x, 0, _FAR), (x + 8.8, 0, _FAR), (x + 8.8, h, _FAR), (x, h, _FAR)]
                self._quad(canvas, corners, shade(_WALLS[rng.integers(len(_WALLS))], 0.95), BUILDING)
            else:
                for k in range(3):
                    plant_tree(rng, rng.uniform(5, 9)).draw(canvas, self._camera, x + 3 * k, _FAR, VEGETATION)

    def _paint_ground(self, rng: np.random.Generator, canvas: Canvas) -> None:
        plan = self.plan
        w, near, far = plan.half_width, plan.cross_near, plan.cross_far
        self._flat(canvas, -400, 400, 1.0, _FAR, _PAVING, SIDEWALK)
        joints = shade(_PAVING, 0.88)
        for z in np.arange(3.0, 34.0, 1.5):
            self._flat(canvas, -40, 40, z, z + 0.05, joints, None)
        curb = shade(_PAVING, 1.2)
        self._flat(canvas, -w - 0.22, w + 0.22, 1.0, _FAR, curb, SIDEWALK)
        self._flat(canvas, -200, 200, near - 0.22, far + 0.25, curb, SIDEWALK)
        self._flat(canvas, -w, w, 1.0, _FAR, ASPHALT, ROAD)
        self._flat(canvas, -200, 200, near, far, ASPHALT, ROAD)
        middle = 0.5 * (near + far)
        for z in np.arange(1.5, 60.0, 3.0):
            if not near - 2.5 < z < far + 2.0:
                self._flat(canvas, -0.07, 0.07, z, z + 1.5, _MARKING, None)
        for x in np.arange(-60.0, 60.0, 3.0):
            if abs(x + 0.75) > w + 1.0:
                self._flat(canvas, x, x + 1.5, middle - 0.09, middle + 0.09, _MARKING, None)
        self._flat(canvas, 0.1, w - 0.1, near - 3.3, near - 2.95, _MARKING, None)
        for x in np.arange(-w + 0.4, w - 0.4, 1.0):
            self._flat(canvas, x, x + 0.5, near - 2.4, near - 0.4, _MARKING, None)
        # Coarse and fine grain, so that the ground is not one flat colour.
        ground = np.isin(canvas.owners, (ROAD, SIDEWALK))
        rows, columns = canvas.owners.shape
        coarse = cv2.resize(rng.normal(0, 5, (rows // 16, columns // 24)).astype(np.float32), (columns, rows))
        fine = rng.normal(0, 5, (rows, columns)).astype(np.float32)
        grained = canvas.colors + (coarse + fine)[..., None]
        canvas.colors[ground] = np.clip(grained, 0, 255).astype(np.uint8)[ground]

    def _paint_houses(self, rng: np.random.Generator, canvas: Canvas, start, end, *, gardens: bool = True) -> None:
        """A row of houses, with gardens between them, along the ground line from ``start`` to ``end``, (x, z) metres."""
        start, end = np.array(start), np.array(end)
        total = float(np.linalg.norm(end - start))
        if total < 1.0:
            return
        ahead = (end - start) / total
        done = 0.0
        while done < total - 0.5:
            width = min(float(rng.uniform(6, 13)), total - done)
            if total - done - width < 3.0:
                width = total - done
            a, b = start + ahead * done, start + ahead * (done + width)
            if gardens and rng.random() < 0.22 and done > 0 and done + width < total:
                self._paint_garden(rng, canvas, a, b)
            else:
                self._paint_house(rng, canvas, a, b, width)
            done += width

    def _paint_garden(self, rng: np.random.Generator, canvas: Canvas, a: np.ndarray, b: np.ndarray) -> None:
        wall = [(a[0], 0, a[1]), (b[0], 0, b[1]), (b[0], 1.6, b[1]), (a[0], 1.6, a[1])]
        self._quad(canvas, wall, (58, 104, 46), VEGETATION)
        for share in (0.2, 0.5, 0.8):
            x, z = a + (b - a) * share
            plant_tree(rng, rng.uniform(4, 6.5)).draw(canvas, self._camera, x, max(z, 2.0), VEGETATION)

    def _paint_house(
        self, rng: np.random.Generator, canvas: Canvas, a: np.ndarray, b: np.ndarray, width: float
    ) -> None:
        wall = shade(_WALLS[rng.integers(len(_WALLS))], rng.uniform(0.88, 1.1))
        floors = int(rng.integers(2, 4))
        height = 2.9 * floors + 0.5

        def panel(s0: float, s1: float, h0: float, h1: float, color, owner: int | None) -> None:
            (x0, z0), (x1, z1) = a + (b - a) * s0, a + (b - a) * s1
            self._quad(canvas, [(x0, h0, z0), (x1, h0, z1), (x1, h1, z1), (x0, h1, z0)], color, owner)

        panel(0, 1, 0, height, wall, BUILDING)
        panel(0, 1, 0, 0.5, shade(wall, 0.7), None)
        panel(-0.01, 1.01, height, height + 0.9, _ROOF, BUILDING)
        count = max(2, int(width / 2.3))
        door = int(rng.integers(count))
        pane = _PANES[rng.integers(len(_PANES))]
        for floor in range(floors):
            for k in range(count):
                s0, s1 = (k + 0.28) / count, (k + 0.72) / count
                low = 2.9 * floor + 0.95
                if floor == 0 and k == door:
                    panel(s0, s1, 0, 2.2, shade(_ROOF, 1.1), None)
                    continue
                panel(s0 - 0.05 / count, s1 + 0.05 / count, low - 0.12, low + 1.5, (226, 222, 212), None)
                panel(s0, s1, low, low + 1.4, pane, None)

    def _place_fixtures(self, rng: np.random.Generator) -> list[Layer]:
        plan = self.plan
        layers: list[Layer] = []

        def place(body: Tree | Pole, x: float, z: float) -> None:
            canvas = self._transparent()
            class_id = POLE if isinstance(body, Pole) else VEGETATION
            body.draw(canvas, self._camera, x, z, class_id)
            layers.extend(self._cut(canvas, class_id, z))

        for side in (-1, 1):
            curb = side * (plan.half_width + 0.4)
            inner = side * (plan.house_line - 0.6)
            for z in (plan.cross_near - rng.uniform(0.8, 2.5), plan.cross_far + rng.uniform(0.8, 2.0)):
                place(Pole(rng.uniform(4.5, 6.5), -side * 1.3), curb, z)
            for z in (plan.cross_far + rng.uniform(4, 9), plan.cross_far + rng.uniform(12, 22)):
                if rng.random() < 0.7:
                    place(plant_tree(rng, rng.uniform(3.5, 5.5)), inner, z)
            for offset in (rng.uniform(3, 7), rng.uniform(9, 14)):
                if rng.random() < 0.6:
                    tree = plant_tree(rng, rng.uniform(3.0, 4.5))
                    place(tree, side * (plan.house_line + offset), plan.cross_far + 0.8 * plan.pavement)
        return layers
