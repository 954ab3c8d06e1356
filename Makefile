# Everything runs in .venv, which `setup` makes and keeps up to date: demo, test and lint need no other preparation.

SHELL := bash
.DEFAULT_GOAL := help

# A sourced ROS installation must not mix with the one in .venv.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH PYTHONHOME
unexport RMW_IMPLEMENTATION ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help setup demo test lint referees clean

help:
	@echo "make demo    a driving scene through the real node: overlay.mp4, overlay.png, summary.json in out/demo"
	@echo "make test    the whole test suite"
	@echo "make lint    ruff, as check and as formatter"
	@echo "make referees  our metrics against nuscenes-devkit, trackeval and torchmetrics, each in .referees/NAME (1.2 GB)"
	@echo "make setup   only the environment in .venv; PYTHON=... chooses the interpreter"
	@echo "make clean   remove .venv and every build output"

setup: .venv/.messages

demo: setup
	.venv/bin/mapt demo

test: setup
	.venv/bin/pytest

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

referees: setup
	@scripts/run_referees.sh

clean:
	rm -rf .venv .referees build install log out mapt_ros.egg-info

# A virtual environment holds absolute paths: one that was moved or copied is made anew.
ifneq ($(shell cat .venv/.home 2>/dev/null),$(CURDIR))
.PHONY: .venv/.home
endif
.venv/.home:
	@scripts/make_venv.sh

.venv/.packages: .venv/.home pyproject.toml setup.py
	.venv/bin/python -m pip install --disable-pip-version-check --editable '.[world,ros,build,dev]'
	@touch $@

.venv/.messages: .venv/.packages CMakeLists.txt package.xml scripts/build_messages.sh msg $(wildcard msg/*.msg)
	@scripts/build_messages.sh
	@touch $@
