"""Importing D4RL: only the families that are used, without its binary dependencies, and quietly."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

# What has to be there; h5py because D4RL's base class of environments reads its files with it.
PACKAGES = ("d4rl", "gym", "mujoco", "dm_control", "h5py")
FAMILIES = ("d4rl.locomotion", "d4rl.pointmaze", "d4rl.gym_mujoco", "d4rl.kitchen")

# Families that D4RL's own __init__ would import on the way: they need simulators of their own, and some print at import.
# And gym's notice that it is retired, which is why this module exists.
_UNUSED = (
    "gym_notices.notices",
    "d4rl.carla",
    "d4rl.flow",
    "d4rl.gym_bullet",
    "d4rl.gym_minigrid",
    "d4rl.hand_manipulation_suite",
    "d4rl.pointmaze_bullet",
)
# Modules that print at every reset or construction.
_MAZE, _ROBOT = "d4rl.locomotion.maze_env", "d4rl.kitchen.adept_envs.franka.robot.franka_robot"
_WHAT_IS_NEEDED = "the D4RL tasks need Python 3.10 or 3.11 and pip install 'sfbc-core[d4rl]'"


@cache
def import_d4rl() -> ModuleType:
    """The package `d4rl`, with antmaze, maze2d, locomotion and kitchen registered in gym.

    Raises:
        ImportError: a package that it needs is missing or has another version than D4RL works with.
    """
    here = f"here is Python {platform.python_version()}"
    if missing := [name for name in PACKAGES if not _is_there(name)]:
        raise ImportError(f"{_WHAT_IS_NEEDED}; {here} without {', '.join(missing)}")
    try:
        return _import()
    except Exception as error:  # other versions fail in ways of their own, often not with an ImportError
        raise ImportError(f"{_WHAT_IS_NEEDED}; {here}, and importing d4rl fails with {error!r}") from error


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # of a package that is blocked, or half imported
        return False


def _import() -> ModuleType:
    from sfbc_core.tasks.d4rl import mujoco_stand_in

    mujoco_stand_in.install()
    if "d4rl" not in sys.modules:  # an import that failed, for want of mujoco_py, has left pieces behind
        for name in [name for name in sys.modules if name.startswith("d4rl.")]:
            del sys.modules[name]
    # gym adds a filter of its own to the process's warnings, and the compiler warns of D4RL's source.
    with warnings.catch_warnings(), _without(_UNUSED), _environment_variable("D4RL_SUPPRESS_IMPORT_ERROR", "1"):
        warnings.simplefilter("ignore")
        import gym

        d4rl = import_module("d4rl")
        for name in (*FAMILIES, _MAZE, _ROBOT):
            import_module(name)
    # gym warns at every seed and reset that D4RL calls it in the old way.
    gym.logger.set_level(gym.logger.ERROR)
    for name in (_MAZE, _ROBOT):
        sys.modules[name].print = sys.modules[name].cprint = _say_nothing
    # D4RL looks for Mapping where Python had it before 3.10. Only there: other packages may ask collections what it has.
    sys.modules["d4rl.kitchen.adept_envs.mujoco_env"].collections = SimpleNamespace(Mapping=Mapping)
    return d4rl


def _say_nothing(*_: Any, **__: Any) -> None:
    """Stands in for print."""


@contextmanager
def maze_files_removed() -> Iterator[None]:
    """Remove, and close, the file that D4RL writes for each ant maze it builds: hundreds of evaluations would leave
    thousands of them, and run out of file handles."""
    maze_env = sys.modules[_MAZE]
    with tempfile.TemporaryDirectory() as folder:

        def mkstemp(text: bool, suffix: str) -> tuple[int, str]:
            handle, path = tempfile.mkstemp(text=text, suffix=suffix, dir=folder)
            os.close(handle)  # D4RL opens the file by its name and forgets the handle
            return handle, path

        maze_env.tempfile = SimpleNamespace(mkstemp=mkstemp)
        try:
            yield
        finally:
            maze_env.tempfile = tempfile


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of these modules fail; D4RL is prepared for that. Modules that are there already stay."""
    blocked = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


@contextmanager
def _environment_variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
