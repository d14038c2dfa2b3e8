"""Tables: functions of the frame of results."""

from __future__ import annotations

import pandas as pd

from sfbc_core.experiments.paper import public_score, reported
from sfbc_core.experiments.trial import AS_CONFIGURED
from sfbc_core.tasks.registry import REGENERATED


def score_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean score for every task, method and variant: over seeds, and of each seed."""
    order = ["task", "method", "variant"]
    if frame.empty:
        return pd.DataFrame(columns=["score", "deviation over seeds", "each seed"])
    per_seed = frame.groupby([*order, "seed"], sort=False)["score"].mean()
    grouped = per_seed.groupby(order, sort=False)
    return pd.DataFrame(
        {
            "score": grouped.mean().round(1),
            "deviation over seeds": grouped.std(ddof=0).round(1),
            "each seed": grouped.apply(lambda scores: ", ".join(f"{score:.0f}" for score in scores)),
        }
    )


def name_elsewhere(method: str, task: str) -> str:
    """What the tables of others call a method; those have IQL with the settings that its paper has for the task."""
    iql = "IQL, as in antmaze" if task.removeprefix(REGENERATED).startswith("antmaze-") else "IQL, as in locomotion"
    return {"Decision Transformer": "DT", iql: "IQL"}.get(method, method.partition(", τ")[0])


def beside_others(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    """The score of every method on a task, the best first, beside what SfBC's paper and CORL report on D4RL's own file.

    Args:
        frame: of results.
        task: one of the frame's.

    Returns:
        A row a method, or a way of it to act: mean score, and its standard error over seeds, or over episodes where there
        is one seed; "" where nobody reports a score.
    """
    rows = {}
    for (method, variant), episodes in frame[frame["task"] == task].groupby(["method", "variant"], sort=False):
        name = name_elsewhere(method, task)
        seeds = episodes.groupby("seed")["score"].mean()
        others = {"SfBC's paper": reported(task, name), "CORL": public_score(task, name)}
        rows[method if variant == AS_CONFIGURED else f"{method}, {variant}"] = {
            "score": round(seeds.mean(), 1),
            "standard error": round((seeds if len(seeds) > 1 else episodes["score"]).sem(), 1),
            **{whose: "" if score is None else f"{score.mean:.1f}" for whose, score in others.items()},
        }
    return pd.DataFrame(rows).T.sort_values("score", ascending=False).rename_axis("method")
