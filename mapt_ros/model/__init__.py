"""MAPT as torch modules."""

from mapt_ros.model.light_import import defer_compiler

defer_compiler()
