"""Packs the shipped files (configs, message definitions, launch files) beside the modules; the rest is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class build_py_with_share(build_py):
    """Also copies config/, launch/ and msg/ to ``mapt_ros/share``, where ``mapt_ros.resources`` looks."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # the source tree has them at its top level
        share = Path(self.build_lib, "mapt_ros", "share")
        for folder in ("config", "launch", "msg"):
            shutil.rmtree(share / folder, ignore_errors=True)
            shutil.copytree(folder, share / folder, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": build_py_with_share})
