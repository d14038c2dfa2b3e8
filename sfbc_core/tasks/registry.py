"""``load_task(name)``: an environment, a data set and reference scores by one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import gymnasium

from sfbc_core.trajectories import Trajectories

REGENERATED = "regen/"  # prefix of D4RL's tasks whose data was generated anew with D4RL's recipes

# The module of each family. It is imported, with everything that it needs, only when one of its tasks is loaded.
FAMILIES: dict[str, str] = {
    "bidirectional-car": "sfbc_core.tasks.bidirectional_car",
    "bidirectional-car-single-side": "sfbc_core.tasks.bidirectional_car",
    "toy-maze": "sfbc_core.tasks.toy_maze",
    "two-way-bandit": "sfbc_core.tasks.two_way_bandit",
    # The 21 tasks of D4RL in the paper's Table 1.
    **{
        f"{robot}-{data}-v2": "sfbc_core.tasks.d4rl.locomotion"
        for robot in ("halfcheetah", "hopper", "walker2d")
        for data in ("medium-expert", "medium", "medium-replay")
    },
    **{
        f"antmaze-{maze}-v2": "sfbc_core.tasks.d4rl.antmaze"
        for maze in ("umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play", "large-diverse")
    },
    **{f"maze2d-{maze}-v1": "sfbc_core.tasks.d4rl.maze2d" for maze in ("umaze", "medium", "large")},
    **{f"kitchen-{data}-v0": "sfbc_core.tasks.d4rl.kitchen" for data in ("complete", "partial", "mixed")},
}
# D4RL's environments with regenerated data, under names that nobody can mistake for D4RL's.
FAMILIES |= {
    f"{REGENERATED}{name}": "sfbc_core.tasks.d4rl.regeneration.task"
    for name in (
        *(name for name in FAMILIES if name.startswith(("maze2d-", "antmaze-"))),
        *(
            f"{robot}-{data}-v2"
            for robot in ("hopper", "halfcheetah", "walker2d")
            for data in ("medium", "expert", "medium-expert")
        ),
    )
}


@dataclass(frozen=True)
class Task:
    """One benchmark task.

    Attributes:
        make_env: () -> a new environment with the gymnasium API; keyword arguments go to the environment.
        load_trajectories: (...) -> the data set; keyword arguments are the family's.
        reference_returns: the returns that score 0 and 100.
    """

    name: str
    make_env: Callable[..., gymnasium.Env]
    load_trajectories: Callable[..., Trajectories]
    reference_returns: tuple[float, float]

    def normalized_score(self, return_: Any) -> Any:
        """100 · (return - low) / (high - low), for one return or an array of them."""
        low, high = self.reference_returns
        return 100 * (return_ - low) / (high - low)


def task_names() -> list[str]:
    """The names of all tasks that :func:`load_task` can load."""
    return sorted(FAMILIES)


def load_task(name: str) -> Task:
    """The task with the given name.

    Raises:
        ValueError: there is no such task; the message lists all that there are.
        ImportError: a package that the task needs is missing; the message says how to install it.
    """
    if name not in FAMILIES:
        raise ValueError(f"unknown task {name!r}; expected one of {task_names()}")
    return import_module(FAMILIES[name]).make_task(name)
