"""What the paper sets and reports, task by task (Appendix B.1, Tables 1, 2 and 4), and public scores: all with sources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sfbc_core.configuration import config_dataclass
from sfbc_core.critic import CriticConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.tasks import task_names
from sfbc_core.tasks.registry import REGENERATED


@config_dataclass
class PaperSettings:
    """The hyper-parameters of SfBC that the paper sets task by task; where it is silent a comment below says so."""

    planning_iterations: int  # K
    evaluation_episodes: int  # test seeds of one evaluation
    trials: int  # random seeds of one reported score
    discount: float = 0.99  # γ; the paper does not say
    averaged: int = 1  # candidates of highest Q whose mean is taken; 1 is the greedy choice
    critic_hidden: tuple[int, ...] = (256, 256)


@dataclass(frozen=True)
class ReportedScore:
    """A number that others report: normalised, 100 is D4RL's expert."""

    mean: float
    deviation: float | None  # over seeds; None where the source gives none


def paper_settings(task: str) -> PaperSettings:
    """The paper's settings for a task.

    Raises:
        ValueError: no such task.
    """
    if task not in task_names():
        raise ValueError(f"unknown task {task!r}; expected one of {task_names()}")
    name = task.removeprefix(REGENERATED)
    if name.startswith(("halfcheetah-", "hopper-", "walker2d-")):
        return PaperSettings(planning_iterations=2, evaluation_episodes=20, trials=4, averaged=4)  # Appendix B.1
    if name.startswith("antmaze-"):
        # Appendix B.1: large mazes get an extra layer of 512. It does not say where; here it is the first.
        hidden = (512, 256, 256) if "large" in name else (256, 256)
        return PaperSettings(4 if "umaze" in name else 5, evaluation_episodes=100, trials=4, critic_hidden=hidden)
    if name.startswith("maze2d-"):
        # No K in the paper: as for the ant in mazes of the same size. Episodes and seeds: "other tasks" of Appendix B.1.
        return PaperSettings(4 if "umaze" in name else 5, evaluation_episodes=20, trials=3)
    if name.startswith("kitchen-"):
        # No K in the paper: 2, the least with planning, as in the other tasks of its robots without a maze.
        return PaperSettings(planning_iterations=2, evaluation_episodes=20, trials=3)
    if name.startswith("bidirectional-car"):
        # K and the number of test seeds are not in the paper: 2 as in its MuJoCo tasks, and 100.
        return PaperSettings(planning_iterations=2, evaluation_episodes=100, trials=3)
    if name == "two-way-bandit":
        # This project's, of one step: there is nothing to plan.
        return PaperSettings(planning_iterations=1, evaluation_episodes=100, trials=3)
    # This project's toy maze. K as in the paper's antmazes; the discount suits a way of about 40 steps: a step gained is
    # worth three percent.
    return PaperSettings(planning_iterations=5, evaluation_episodes=50, trials=3, discount=0.97)


def paper_config(task: str, seed: int = 0, **options: Any) -> SfBCConfig:
    """SfBC as the paper runs it on a task; `options` are fields that differ."""
    paper = paper_settings(task)
    averaging = {"selection": "mean_of_best", "averaged": paper.averaged} if paper.averaged > 1 else {}
    settings = {
        "critic": CriticConfig(hidden=paper.critic_hidden),
        "planning_iterations": paper.planning_iterations,
        "discount": paper.discount,
        "seed": seed,
        **averaging,
    }
    return SfBCConfig(**(settings | options))


@cache
def _numbers(file: str) -> dict[str, Any]:
    return json.loads((resources.files("sfbc_core.experiments") / file).read_text(encoding="utf-8"))


def reported_numbers() -> dict[str, Any]:
    """All numbers that the paper reports, with notes on their sources, as in ``reported_numbers.json``."""
    return _numbers("reported_numbers.json")


def public_score(task: str, method: str) -> ReportedScore | None:
    """The score of a method on a file of D4RL in the public tables of CORL, see ``public_scores.json``; None if not there.

    Args:
        task: a task of D4RL; "regen/" before it makes no difference.
        method: "BC", "10% BC", "TD3+BC", "CQL", "IQL" or "DT".
    """
    entry = _numbers("public_scores.json").get(task.removeprefix(REGENERATED), {}).get(method)
    return None if entry is None else ReportedScore(*entry)


def reported(task: str, method: str = "SfBC", table: int = 1) -> ReportedScore | None:
    """The score that the paper reports for a method on a task; None where it is not available, which is never zero.

    Args:
        task: a task of D4RL or the car; "regen/" before it makes no difference.
        method: a column of the table: "SfBC", "IQL", "DT" … in Table 1, "SfBC", "gaussian", "vae", "no_planning" in Table 4.
        table: 1 or 4.

    Raises:
        ValueError: another table.
    """
    if table not in (1, 4):
        raise ValueError(f"table must be 1 or 4, got {table}")
    row = reported_numbers()[f"table_{table}"].get(task.removeprefix(REGENERATED)) or {}
    entry = row.get(method)
    return None if entry is None or entry["mean"] is None else ReportedScore(entry["mean"], entry["std"])
