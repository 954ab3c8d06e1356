"""Reads a class set from a JSON or YAML file, for data sets that are not built in."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, Field

from mapt_ros.data.labels import CLASS_SETS, KITTI_STEP, VOID_CLASS, ClassInfo, ClassSet
from mapt_ros.errors import InputError, first_line, validated


@dataclass(frozen=True)
class PngClasses:
    """A class set, and the class id that stands for void in its PNGs."""

    classes: ClassSet
    void: int = VOID_CLASS


class _Entry(BaseModel):
    id: int = Field(ge=0, le=255)
    name: str
    isthing: bool


class _File(BaseModel):
    classes: list[_Entry] = Field(min_length=1)
    void: int = Field(VOID_CLASS, ge=0, le=255)


def read_classes(path: Path | None) -> PngClasses:
    """The classes of ``{"classes": [{"id", "name", "isthing"}, ...], "void": 255}``; without a path, KITTI-STEP's.

    The name of a built-in set (``kitti-step``, ``motchallenge-step``) serves as a path too.

    Raises:
        InputError: the file cannot be read, has another form, or uses an id or a name twice.
    """
    if path is None:
        return PngClasses(KITTI_STEP)
    if str(path) in CLASS_SETS:
        return PngClasses(CLASS_SETS[str(path)])
    try:
        text = path.read_text(encoding="utf-8")
        # JSON is not quite a subset of YAML (tabs), so a file that says it is JSON is read as such.
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: is neither JSON nor YAML ({first_line(error)})") from None
    read = validated(_File, content, str(path))
    for key in ("id", "name"):
        values = [getattr(entry, key) for entry in read.classes]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise InputError(f"{path}: {key} {twice!r} is there twice; every class needs its own")
    if any(entry.id == read.void for entry in read.classes):
        raise InputError(f"{path}: id {read.void} is a class and void; give void another id")
    infos = tuple(ClassInfo(entry.id, entry.name, entry.isthing, (0, 0, 0)) for entry in read.classes)
    return PngClasses(ClassSet(path.name, infos), read.void)
