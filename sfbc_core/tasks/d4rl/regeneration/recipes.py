"""Which data sets can be regenerated, and everything that their contents depend on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import field
from importlib.metadata import PackageNotFoundError, version

from sfbc_core.arrays import checked_count
from sfbc_core.configuration import config_dataclass
from sfbc_core.tasks.d4rl.oddities import Rules, rules_for
from sfbc_core.tasks.d4rl.regeneration.antmaze import AntMazeRecorder
from sfbc_core.tasks.d4rl.regeneration.locomotion import LocomotionRecorder
from sfbc_core.tasks.d4rl.regeneration.maze2d import Maze2dRecorder
from sfbc_core.tasks.d4rl.regeneration.policies import TanhGaussianPolicy, load_policy
from sfbc_core.tasks.d4rl.regeneration.recorders import Recorder
from sfbc_core.tasks.registry import REGENERATED

PACKAGES = ("sfbc-core", "d4rl", "gym", "mujoco", "numpy")
MILLION = 1_000_000

# D4RL's names of the tasks, and the number of transitions in D4RL's file, rounded to millions.
SIZES: dict[str, int] = {
    "maze2d-umaze-v1": MILLION,
    "maze2d-medium-v1": 2 * MILLION,
    "maze2d-large-v1": 4 * MILLION,
    **{
        f"antmaze-{maze}-v2": MILLION
        for maze in ("umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play", "large-diverse")
    },
    **{
        f"{robot}-{data}-v2": 2 * MILLION if data == "medium-expert" else MILLION
        for robot in ("hopper", "halfcheetah", "walker2d")
        for data in ("medium", "expert", "medium-expert")
    },
}
_ROBOTS = {"hopper": (11, 3), "halfcheetah": (17, 6), "walker2d": (17, 6)}  # sizes of observations and actions
_POLICIES = {"antmaze": ("an ant that follows a direction",)}
_ARTICLES = {"medium": "a", "expert": "an"}


@config_dataclass
class Recipe:
    """Everything that the contents of a regenerated file depend on; made by :func:`make_recipe`."""

    task: str  # D4RL's name
    seed: int
    steps: int  # transitions
    digests: tuple[str, ...] = ()  # sha256 of the policy files
    policies: tuple[TanhGaussianPolicy, ...] = field(default=(), repr=False, compare=False)

    @property
    def name(self) -> str:
        """The name of the data, which nobody can mistake for D4RL's."""
        return REGENERATED + self.task

    def attributes(self) -> dict[str, str | int]:
        """What is written into the file: name, seed, steps, versions and the digests of the policy files."""
        digests = {f"policy_{i}_sha256": digest for i, digest in enumerate(self.digests)}
        versions = {f"version_{package}": _version(package) for package in PACKAGES}
        return {
            "name": self.name,
            "seed": self.seed,
            "steps": self.steps,
            **digests,
            **versions,
            "version_python": platform.python_version(),
        }

    def digest(self) -> str:
        """The first 12 digits of a sha256 over :meth:`attributes`."""
        return hashlib.sha256(json.dumps(self.attributes(), sort_keys=True).encode()).hexdigest()[:12]

    def make_recorder(self) -> Recorder:
        """A new recorder of this recipe, at the beginning of the recording."""
        family = self.task.partition("-")[0]
        if family == "maze2d":
            return Maze2dRecorder(self.task, self.seed, self.steps)
        if family == "antmaze":
            return AntMazeRecorder(self.task, self.seed, self.steps, self.policies[0])
        return LocomotionRecorder(self.task, self.seed, self.steps, self.policies)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # this package may run from its source folder
        return "not installed"


def policies_needed(task: str) -> tuple[str, ...]:
    """A description of each policy that the task needs, in the order in which their files are given; empty for maze2d.

    Raises:
        ValueError: the task has no recipe.
    """
    if task not in SIZES:
        raise ValueError(f"no recipe for {task!r}; expected one of {', '.join(SIZES)}")
    family, *data, _ = task.split("-")
    return _POLICIES.get(family) or tuple(f"{_ARTICLES[kind]} {kind} {family}" for kind in data if family in _ROBOTS)


def make_recipe(
    task: str, *, steps: int | None = None, seed: int = 0, policies: Sequence[str | os.PathLike] = ()
) -> Recipe:
    """Make a recipe, and read its policies from their files.

    Args:
        task: D4RL's name, such as "maze2d-umaze-v1".
        steps: number of transitions; by default as many as D4RL's file has.
        seed: an integer >= 0.
        policies: .npz files (see :mod:`sfbc_core.tasks.d4rl.regeneration.policies`): none for maze2d, a
            direction-following ant for antmaze, one for "medium" and "expert" locomotion, and for "medium-expert" the
            medium one and then the expert one.

    Raises:
        ValueError: the task has no recipe, there are too few steps, the seed is negative, the number of policies is
            wrong, or a file is no policy for this robot.
        FileNotFoundError: there is no such policy file.
    """
    needed = policies_needed(task)
    steps = SIZES[task] if steps is None else checked_count("steps", steps, least=2)
    seed = checked_count("seed", seed, least=0)
    if len(policies) != len(needed):
        which = f" ({', then '.join(needed)})" if needed else ""
        raise ValueError(f"{task} needs {len(needed)} policy file(s){which}, got {len(policies)}")
    # An ant's policy sees 29 numbers: the robot's state without x and y (27) and a direction (2).
    dimensions = _ROBOTS.get(task.partition("-")[0], (29, 8))
    read = [load_policy(path, *dimensions) for path in policies]
    return Recipe(task, seed, steps, tuple(digest for _, digest in read), tuple(policy for policy, _ in read))


def rules_of(task: str) -> Rules:
    """How to read a regenerated file: maze2d's flags are as meaningless as in D4RL's files, all others are correct."""
    return rules_for(task) if task.startswith("maze2d-") else Rules()
