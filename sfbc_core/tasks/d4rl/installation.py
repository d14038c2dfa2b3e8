"""Importing D4RL quietly, without its binary dependencies, and only the families of tasks that are used here."""

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

from sfbc_core.paths import user_path

# What must be installed; h5py is here because the base class of D4RL's environments imports it.
PACKAGES = ("d4rl", "gym", "mujoco", "dm_control", "h5py")
FAMILIES = ("d4rl.locomotion", "d4rl.pointmaze", "d4rl.gym_mujoco", "d4rl.kitchen")

# Families that D4RL's __init__ would import as well, though they need other simulators and some of them print. And gym's
# notice that gym is no longer maintained.
_UNUSED = (
    "gym_notices.notices",
    "d4rl.carla",
    "d4rl.flow",
    "d4rl.gym_bullet",
    "d4rl.gym_minigrid",
    "d4rl.hand_manipulation_suite",
    "d4rl.pointmaze_bullet",
)
# Modules that print whenever an environment is made or reset.
_MAZE, _ROBOT = "d4rl.locomotion.maze_env", "d4rl.kitchen.adept_envs.franka.robot.franka_robot"
_WHAT_IS_NEEDED = "the D4RL tasks need Python 3.10 or 3.11 and pip install 'sfbc-core[d4rl]'"


@cache
def import_d4rl() -> ModuleType:
    """Import the package `d4rl` and register antmaze, maze2d, locomotion and the kitchen with gym.

    Raises:
        ImportError: a package that D4RL needs is missing, or D4RL does not work with its version.
    """
    found = f"this is Python {platform.python_version()}"
    if missing := [name for name in PACKAGES if not _is_installed(name)]:
        raise ImportError(f"{_WHAT_IS_NEEDED}; {found} without {', '.join(missing)}")
    try:
        return _import()
    except Exception as error:  # with other versions it fails in many ways, often not with an ImportError
        raise ImportError(f"{_WHAT_IS_NEEDED}; {found}, and importing d4rl fails with {error!r}") from error


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # the package is blocked, or an earlier import of it stopped halfway
        return False


def _import() -> ModuleType:
    from sfbc_core.tasks.d4rl import mujoco_stand_in

    mujoco_stand_in.install()
    if "d4rl" not in sys.modules:  # an earlier import that failed, because mujoco_py is missing, leaves pieces behind
        for name in [name for name in sys.modules if name.startswith("d4rl.")]:
            del sys.modules[name]
    # gym adds a filter to the warnings of the whole process, and Python's compiler warns about D4RL's source code.
    with (
        warnings.catch_warnings(),
        _without(_UNUSED),
        _environment_variable("D4RL_SUPPRESS_IMPORT_ERROR", "1"),
        _environment_variable("D4RL_DATASET_DIR", _folder_of_d4rl()),
    ):
        warnings.simplefilter("ignore")
        import gym

        d4rl = import_module("d4rl")
        for name in (*FAMILIES, _MAZE, _ROBOT):
            import_module(name)
    # gym warns at every seed and reset that D4RL uses an old interface.
    gym.logger.set_level(gym.logger.ERROR)
    for name in (_MAZE, _ROBOT):
        sys.modules[name].print = sys.modules[name].cprint = _print_nothing
    # This module of D4RL expects Mapping in `collections`, where it was before Python 3.10. It gets a `collections` of its
    # own, because a change of the real one would be seen by all packages.
    sys.modules["d4rl.kitchen.adept_envs.mujoco_env"].collections = SimpleNamespace(Mapping=Mapping)
    return d4rl


def _folder_of_d4rl() -> str:
    """Where D4RL's own downloads would go, which are not used here; D4RL makes the folder when it is imported."""
    folder = str(user_path(os.environ.get("D4RL_DATASET_DIR") or "~/.d4rl/datasets"))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:  # a read-only home directory is no reason to go without the environments
        return tempfile.gettempdir()
    return folder


def _print_nothing(*_: Any, **__: Any) -> None:
    """Stands in for print."""


@contextmanager
def maze_files_removed() -> Iterator[None]:
    """Inside, close and remove the temporary files that D4RL leaves behind, one for each ant maze that it makes.

    Otherwise hundreds of evaluations would leave thousands of files, and run out of file handles.
    """
    maze_env = sys.modules[_MAZE]
    with tempfile.TemporaryDirectory() as folder:

        def mkstemp(text: bool, suffix: str) -> tuple[int, str]:
            handle, path = tempfile.mkstemp(text=text, suffix=suffix, dir=folder)
            os.close(handle)  # D4RL opens the file by its name and never closes the handle
            return handle, path

        maze_env.tempfile = SimpleNamespace(mkstemp=mkstemp)
        try:
            yield
        finally:
            maze_env.tempfile = tempfile


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Inside, imports of these modules fail, which D4RL can handle. Modules that were imported before stay."""
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
