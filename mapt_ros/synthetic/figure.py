"""The human figure: a smooth dressed body on a skeleton, to be put into any posture."""

from dataclasses import dataclass, replace

import numpy as np

from mapt_ros.synthetic.mesh import Material, Mesh, Texture, joined
from mapt_ros.synthetic.rig import Rig
from mapt_ros.synthetic.solids import box, ellipsoid, tube

PELVIS, CHEST, HEAD, THIGH, SHIN, FOOT, ARM, FOREARM = 0, 1, 2, 3, 4, 5, 9, 10  # left limbs; the right ones follow
RIGHT_LEG, RIGHT_ARM = 3, 2  # what to add to the left limb's bone for the right one's
BONES = 13
_PARENTS = (-1, 0, 1, 0, 3, 4, 0, 6, 7, 1, 9, 1, 11)

_SKINS = ((0.62, 0.4, 0.3), (0.52, 0.32, 0.23), (0.4, 0.23, 0.15), (0.22, 0.12, 0.075), (0.09, 0.048, 0.032))
_HAIRS = ((0.012, 0.01, 0.009), (0.04, 0.024, 0.015), (0.1, 0.06, 0.03), (0.32, 0.22, 0.1), (0.35, 0.35, 0.34))
_MUTED = (
    (0.012, 0.012, 0.014),
    (0.03, 0.03, 0.033),
    (0.07, 0.072, 0.075),
    (0.014, 0.02, 0.045),
    (0.03, 0.05, 0.1),
    (0.06, 0.05, 0.035),
    (0.11, 0.085, 0.055),
    (0.035, 0.045, 0.03),
    (0.2, 0.2, 0.2),
    (0.06, 0.015, 0.02),
)
_BRIGHT = (
    (0.65, 0.65, 0.63),
    (0.42, 0.02, 0.025),
    (0.04, 0.13, 0.42),
    (0.55, 0.4, 0.04),
    (0.45, 0.13, 0.02),
    (0.05, 0.25, 0.1),
    (0.4, 0.1, 0.2),
    (0.15, 0.35, 0.5),
    (0.5, 0.45, 0.35),
)
_TROUSERS = ((0.012, 0.012, 0.015), (0.02, 0.03, 0.065), (0.05, 0.085, 0.16), (0.05, 0.05, 0.05), (0.16, 0.12, 0.075))


@dataclass(frozen=True)
class Figure:
    """A body and the places of its joints.

    Attributes:
        height: metres.
        rig: its bones in the order of this module's constants, at rest upright with hanging arms, x forward.
        joints: BONESx3, where each bone turns.
    """

    height: float
    rig: Rig
    joints: np.ndarray

    def bone_transforms(self, turns: np.ndarray) -> np.ndarray:
        """BONESx4x4 transforms, in the figure's own frame, of a posture.

        Args:
            turns: BONESx3 radians against the parent: about the upright axis, of a hanging limb forwards, and of a
                hanging limb to the left.
        """
        cosine, sine = np.cos(turns), np.sin(turns)
        (cy, cf, cl), (sy, sf, sl) = cosine.T, sine.T
        local = np.zeros((BONES, 4, 4))
        local[:, 0, 0], local[:, 0, 1], local[:, 0, 2] = cy * cf, -cy * sf * sl - sy * cl, -cy * sf * cl + sy * sl
        local[:, 1, 0], local[:, 1, 1], local[:, 1, 2] = sy * cf, -sy * sf * sl + cy * cl, -sy * sf * cl - cy * sl
        local[:, 2, 0], local[:, 2, 1], local[:, 2, 2] = sf, cf * sl, cf * cl
        local[:, :3, 3] = self.joints - (local[:, :3, :3] @ self.joints[:, :, None])[:, :, 0]
        local[:, 3, 3] = 1.0
        transforms = local.copy()
        for bone, parent in enumerate(_PARENTS):
            if parent >= 0:
                transforms[bone] = transforms[parent] @ local[bone]
        return transforms

    def lowest(self, transforms: np.ndarray) -> float:
        """Height of the lower foot's sole under the bone transforms of a posture."""
        x, y, _ = self.joints[FOOT]
        heights = []
        for foot, side in ((FOOT, y), (FOOT + RIGHT_LEG, -y)):
            for reach in (-0.025, 0.11):
                heights.append(transforms[foot, 2] @ (x + reach * self.height, side, 0.0, 1.0))
        return float(min(heights))


@dataclass(frozen=True)
class Outfit:
    """What somebody wears and carries, and how the body is built."""

    height: float
    build: float  # width against the mean
    woman: bool
    child: bool
    skin: Material
    hair: Material
    hair_style: str  # "short", "long", "bald", "cap", "helmet"
    top: Material
    bottom: Material
    shoes: Material
    sleeves: str  # "long", "short"
    lower: str  # "trousers", "shorts", "skirt", "coat"
    bag: str  # "", "backpack", "shoulder", "hand"
    bag_material: Material


def _cloth(color, rng: np.random.Generator) -> Material:
    color = np.clip(np.array(color) * rng.uniform(0.75, 1.3) * rng.uniform(0.9, 1.1, 3), 0.008, 0.75)
    return Material(tuple(color.tolist()), Texture.CLOTH, scale=0.25, seed=int(rng.integers(1 << 30)))


def dressed(rng: np.random.Generator, helmet: bool = False, riding: bool = False) -> Outfit:
    """Somebody: man, woman or child, mostly in dark and muted clothes."""

    def one_of(options, shares=None):
        return options[rng.choice(len(options), p=shares)]

    child = not riding and rng.random() < 0.12
    woman = bool(rng.random() < 0.5)
    height = rng.uniform(1.0, 1.45) if child else rng.normal(1.66 if woman else 1.78, 0.065)
    bright = rng.random() < (0.6 if child else 0.24)
    lower = one_of(("trousers", "shorts", "skirt", "coat"), (0.68, 0.1, 0.1, 0.12) if woman else (0.78, 0.12, 0.0, 0.1))
    if riding and lower in ("skirt", "coat"):
        lower = "trousers"
    style = "helmet" if helmet else one_of(("short", "long", "cap"), (0.2, 0.72, 0.08) if woman else (0.78, 0.07, 0.15))
    if style == "short" and not woman and not child and rng.random() < 0.12:
        style = "bald"
    skin = Material(one_of(_SKINS, (0.45, 0.25, 0.12, 0.1, 0.08)), seed=int(rng.integers(1 << 30)))
    hair = _cloth(one_of(_BRIGHT + _MUTED[:3]), rng) if style in ("cap", "helmet") else None
    return Outfit(
        height=float(np.clip(height, 0.95, 2.0)),
        build=float(np.clip(rng.normal(1.0, 0.09), 0.86, 1.3)),
        woman=woman and not child,
        child=child,
        skin=skin,
        hair=hair or Material(one_of(_HAIRS, (0.32, 0.3, 0.14, 0.12, 0.12)), seed=int(rng.integers(1 << 30))),
        hair_style=style,
        top=_cloth(one_of(_BRIGHT if bright else _MUTED), rng),
        bottom=_cloth(one_of(_TROUSERS if lower != "skirt" else _MUTED), rng),
        shoes=Material(
            one_of(((0.012, 0.012, 0.012), (0.05, 0.03, 0.02), (0.5, 0.5, 0.5)), (0.6, 0.2, 0.2)), gloss=0.01
        ),
        sleeves="short" if lower != "coat" and rng.random() < 0.3 else "long",
        lower=lower,
        bag=""
        if riding and rng.random() < 0.6
        else one_of(("", "backpack", "shoulder", "hand"), (0.5, 0.22, 0.16, 0.12)),
        bag_material=_cloth(one_of(_BRIGHT if rng.random() < 0.3 else _MUTED), rng),
    )


class _Assembly:
    """Collects parts with the bones that carry them."""

    def __init__(self) -> None:
        self._meshes: list[Mesh] = []
        self._bones: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []

    def add(
        self, mesh: Mesh, bone: int, other: int | np.ndarray | None = None, weight: np.ndarray | None = None
    ) -> None:
        """A part on one bone, or shared with another one, to which 1 - ``weight`` of it goes."""
        count = len(mesh.vertices)
        first = np.full(count, bone)
        second = first if other is None else np.broadcast_to(other, (count,))
        self._meshes.append(mesh)
        self._bones.append(np.stack([first, second], axis=1))
        self._weights.append(np.ones(count) if weight is None else weight)

    def rig(self) -> Rig:
        bones, weights = np.concatenate(self._bones), np.concatenate(self._weights)
        return Rig(joined(self._meshes), bones.astype(np.int32), weights.astype(np.float32))


def _two_tone(mesh: Mesh, below: np.ndarray, material: Material) -> Mesh:
    """The mesh with the faces marked in ``below`` of another material."""
    return replace(mesh, materials=(mesh.materials[0], material), face_materials=below.astype(np.int32))


def _face_heights(mesh: Mesh) -> np.ndarray:
    return mesh.vertices[mesh.faces, 2].mean(axis=1)


def _ramp(z: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((z - low) / (high - low), 0, 1)


def figure(outfit: Outfit) -> Figure:
    """Builds somebody's body; under 900 triangles."""
    h, b = outfit.height, outfit.build
    head = h / (6.3 if outfit.child else 7.6)  # its height
    chin = h - head
    s = (chin - 0.04 * h) / (0.83 * h)  # shoulders sink a little under a child's large head
    hip, knee, ankle = 0.52 * h, 0.285 * h, 0.045 * h
    shoulder, elbow, wrist = 0.81 * h * s, 0.63 * h * s, 0.485 * h * s
    hip_y, arm_y = 0.05 * h * b, (0.096 if outfit.woman else 0.104) * h * b
    joints = np.zeros((BONES, 3))
    joints[PELVIS, 2], joints[CHEST, 2], joints[HEAD, 2] = hip, 0.6 * h, chin
    for y, leg, arm in ((1, 0, 0), (-1, RIGHT_LEG, RIGHT_ARM)):
        joints[THIGH + leg], joints[SHIN + leg] = (0, y * hip_y, hip), (0, y * hip_y, knee)
        joints[FOOT + leg] = (0, y * hip_y, ankle)
        joints[ARM + arm], joints[FOREARM + arm] = (0, y * arm_y, shoulder), (0, y * arm_y, elbow)
    body = _Assembly()
    _add_trunk(body, outfit, s, chin)
    _add_head(body, outfit, head, chin)
    coat = 0.012 * h if outfit.lower == "coat" else 0.0
    for side, leg, arm in ((1, 0, 0), (-1, RIGHT_LEG, RIGHT_ARM)):
        y = side * hip_y
        loose = 0.006 if outfit.lower in ("trousers", "coat") else 0.0
        path = np.array([(0, y, z) for z in (0.53 * h, 0.43 * h, knee + 0.03 * h, knee - 0.03 * h, 0.03 * h)])
        radii = np.array([0.054, 0.05, 0.037 + loose, 0.034 + loose, 0.023 + 1.5 * loose]) * h * b**0.6
        limb = tube(path, radii, outfit.bottom, sides=7)
        bare = {"shorts": knee + 0.02 * h, "skirt": h}.get(outfit.lower, 0.0)
        limb = _two_tone(limb, _face_heights(limb) < bare, outfit.skin)
        z = limb.vertices[:, 2]
        top = z > 0.42 * h
        weight = np.where(top, 1 - 0.5 * _ramp(z, 0.46 * h, 0.53 * h), _ramp(z, knee - 0.035 * h, knee + 0.035 * h))
        body.add(limb, THIGH + leg, np.where(top, PELVIS, SHIN + leg), weight)
        shoe = box((0.15 * h, 0.056 * h, 0.05 * h), (0.04 * h, y, 0.025 * h), outfit.shoes, bevel=0.015 * h)
        body.add(replace(shoe, smooth=np.ones_like(shoe.smooth)), FOOT + leg)
        y = side * arm_y
        path = np.array(
            [(0, 0.72 * y, shoulder + 0.012 * h), (0, y, shoulder - 0.015 * h), (0, y, 0.5 * (shoulder + elbow)),
             (0, y, elbow + 0.02 * h), (0, y, elbow - 0.025 * h), (0, y, wrist)]
        )  # fmt: skip
        radii = (np.array([0.03, 0.036, 0.031, 0.026, 0.025, 0.018]) + 0.5 * coat / h) * h * b**0.6
        limb = tube(path, radii, outfit.top, sides=6)
        limb = _two_tone(
            limb, _face_heights(limb) < (elbow + 0.03 * h if outfit.sleeves == "short" else 0), outfit.skin
        )
        body.add(limb, ARM + arm, FOREARM + arm, _ramp(limb.vertices[:, 2], elbow - 0.03 * h, elbow + 0.03 * h))
        hand = ellipsoid((0.022 * h, 0.014 * h, 0.042 * h), (0.006 * h, y, wrist - 0.03 * h), outfit.skin, 0)
        body.add(hand, FOREARM + arm)
    _add_bag(body, outfit, s, arm_y, wrist)
    return Figure(h, body.rig(), joints)


def _add_trunk(body: _Assembly, outfit: Outfit, s: float, chin: float) -> None:
    """Trunk with neck, and a skirt or the skirts of a coat."""
    h, b = outfit.height, outfit.build
    rings = np.array(  # height, half depth, half width
        [(0.465, 0.045, 0.07), (0.5, 0.066, 0.092), (0.55, 0.068, 0.097), (0.62, 0.06, 0.084), (0.7, 0.068, 0.1),
         (0.77, 0.07, 0.106), (0.812, 0.056, 0.1), (0.836, 0.042, 0.07), (0.852, 0.033, 0.036)]
    )  # fmt: skip
    if outfit.woman:
        rings[:, 2] *= [1.05, 1.06, 1.06, 0.93, 0.9, 0.9, 0.9, 0.92, 0.92]
        rings[4:6, 1] *= 1.1
    thick = 1.12 if outfit.lower == "coat" else 1.0
    z = np.where(rings[:, 0] > 0.56, 0.56 + (rings[:, 0] - 0.56) * (0.83 * s - 0.56) / (0.83 - 0.56), rings[:, 0]) * h
    path = np.stack([np.zeros_like(z), np.zeros_like(z), z], axis=1)
    path[:, 0] = np.interp(z, [0.5 * h, 0.62 * h, 0.78 * h, 0.86 * h], [-0.01 * h, 0, -0.005 * h, -0.01 * h])
    trunk = tube(path, rings[:, 1:] * h * b * thick, outfit.top, sides=9)
    waist = 0.56 * h if outfit.lower == "skirt" or outfit.sleeves == "short" else 0.5 * h
    trunk = _two_tone(trunk, _face_heights(trunk) < waist, outfit.bottom)
    body.add(trunk, CHEST, PELVIS, _ramp(trunk.vertices[:, 2], 0.54 * h, 0.68 * h))
    neck = tube(
        np.array([(-0.012 * h, 0, 0.83 * h * s), (0, 0, chin + 0.02 * h)]), np.full(2, 0.03 * h), outfit.skin, 6
    )
    body.add(neck, HEAD)
    if outfit.lower in ("skirt", "coat"):
        hem = 0.3 * h if outfit.lower == "skirt" else 0.36 * h
        material = outfit.bottom if outfit.lower == "skirt" else outfit.top
        rings = np.array([(0.075, 0.098), (0.085, 0.108), (0.1, 0.12)]) * h * b * (1.0 if outfit.woman else 0.95)
        path = np.array([(0, 0, 0.57 * h), (0, 0, 0.46 * h), (0, 0, hem)])
        skirt = tube(path[::-1], rings[::-1], material, sides=9)
        z, y = skirt.vertices[:, 2], skirt.vertices[:, 1]
        legs = np.where(y > 0, THIGH, THIGH + RIGHT_LEG)
        share = _ramp(z, 0.2 * h, 0.57 * h) + 0.35 * (np.abs(y) < 0.02 * h)
        body.add(skirt, PELVIS, legs, np.clip(share, 0, 1))


def _add_head(body: _Assembly, outfit: Outfit, head: float, chin: float) -> None:
    """Face, and hair, cap or helmet."""
    middle = chin + 0.52 * head
    body.add(ellipsoid((0.4 * head, 0.32 * head, 0.51 * head), (0.03 * head, 0, middle), outfit.skin), HEAD)
    style = outfit.hair_style
    if style == "bald":
        return
    size = {"helmet": (0.56, 0.43, 0.42), "cap": (0.44, 0.37, 0.36)}.get(style, (0.41, 0.365, 0.42))
    center = (-0.07 * head, 0, middle + (0.2 if style in ("helmet", "cap") else 0.15) * head)
    body.add(ellipsoid(np.array(size) * head, center, outfit.hair), HEAD)
    if style == "long":
        path = np.array([(-0.2, 0, 0.3), (-0.26, 0, -0.2), (-0.24, 0, -0.62)]) * head + (0, 0, middle)
        radii = np.array([(0.2, 0.3), (0.2, 0.34), (0.1, 0.25)]) * head
        body.add(tube(path, radii, outfit.hair, sides=7), HEAD)
    if style == "cap":
        body.add(box((0.3 * head, 0.5 * head, 0.05 * head), (0.45 * head, 0, middle + 0.2 * head), outfit.hair), HEAD)


def _add_bag(body: _Assembly, outfit: Outfit, s: float, arm_y: float, wrist: float) -> None:
    """A backpack, a shoulder bag or a hand bag."""
    h = outfit.height
    if outfit.bag == "backpack":
        size = np.array((0.1, 0.17, 0.25)) * h
        body.add(box(size, (-0.115 * h, 0, 0.7 * h * s), outfit.bag_material, bevel=0.03 * h), CHEST)
    elif outfit.bag == "shoulder":
        size = np.array((0.17, 0.06, 0.14)) * h
        body.add(box(size, (-0.02 * h, arm_y + 0.02 * h, 0.52 * h), outfit.bag_material, bevel=0.02 * h), PELVIS)
    elif outfit.bag == "hand":
        size = np.array((0.2, 0.05, 0.17)) * h
        body.add(box(size, (0, -arm_y, wrist - 0.14 * h), outfit.bag_material, bevel=0.015 * h), FOREARM + RIGHT_ARM)
