"""The paper's Tables 1, 2 and 4 and its Figure 4, as functions of the frame of results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from sfbc_core.experiments.ablations import ABLATED_SOLVERS, DIFFUSION, SOLVER_STEPS
from sfbc_core.experiments.comparisons import CARS
from sfbc_core.experiments.paper import ReportedScore, reported, reported_numbers
from sfbc_core.experiments.tables import name_elsewhere
from sfbc_core.experiments.trial import AS_CONFIGURED
from sfbc_core.tasks.registry import REGENERATED

# The paper's Table 1 has these, in this order; what came later or is of this project follows them.
IN_TABLE_1 = ("SfBC", "IQL, as in locomotion", "VEM", "AWR", "BAIL", "BCQ", "CQL", "Decision Transformer", "Diffuser")
BEST_OF_VEM = "VEM"  # of all τ that were tried, that of the best score, as the paper has it
CLOSE_TO_BEST = 0.05  # the paper prints in bold what is within 5 percent of the best
WITHOUT_PLANNING = "without planning"
AS_REPORTED = {"diffusion": "SfBC", "Gaussian": "gaussian", "VAE": "vae", WITHOUT_PLANNING: "no_planning"}


def cells(frame: pd.DataFrame, columns: str) -> pd.DataFrame:
    """The cells of a table: the mean score of each task and column over seeds, and where it comes from.

    Args:
        frame: of results, with a column of that name that says in which column of the table an episode counts.
        columns: its name.

    Returns:
        A row a cell, by task and column: `mean`; `deviation` over seeds, as the paper has it (of a population, NaN for one
        seed); `best`, whether the mean is within 5 percent of the task's best; `seeds`, `episodes`, `data` (whether it is
        D4RL's), `profile`, `trials`.
    """
    if frame.empty:
        names = ["mean", "deviation", "best", "seeds", "episodes", "data", "profile", "trials"]
        return pd.DataFrame(columns=names, index=pd.MultiIndex.from_tuples([], names=["task", columns]))
    rows = {}
    for key, episodes in frame.groupby(["task", columns], sort=False):
        of_seeds = episodes.groupby("seed")["score"].mean()
        rows[key] = {
            "mean": of_seeds.mean(),
            "deviation": of_seeds.std(ddof=0) if len(of_seeds) > 1 else float("nan"),
            "seeds": ", ".join(map(str, of_seeds.index)),
            "episodes": len(episodes),
            "data": _origin(key[0]),
            "profile": ", ".join(episodes["profile"].unique()),
            "trials": ", ".join(episodes["id"].unique()),
        }
    table = pd.DataFrame(rows).T.rename_axis(["task", columns])
    best = table.groupby("task")["mean"].transform("max")
    table.insert(2, "best", (table["mean"] >= best - CLOSE_TO_BEST * best.abs()).astype(bool))
    return table


def with_best_of_vem(frame: pd.DataFrame) -> pd.DataFrame:
    """The episodes of all methods as they are configured; of VEM's τ only the best of each task, which its `note` names."""
    if frame.empty:
        return frame
    chosen = frame[frame["variant"] == AS_CONFIGURED]
    is_vem = chosen["method"].str.startswith(BEST_OF_VEM)
    scores = chosen[is_vem].groupby(["task", "method"])["score"].mean()
    best = {task: of_task.droplevel(0).idxmax() for task, of_task in scores.groupby("task")}
    tried = scores.groupby("task").size()
    kept = chosen[~is_vem | (chosen["method"] == chosen["task"].map(best))]
    notes = {
        task: method.partition(", ")[2] + (f", best of {tried[task]}" if tried[task] > 1 else "")
        for task, method in best.items()
    }
    of_vem = kept["method"].str.startswith(BEST_OF_VEM)
    return kept.assign(
        note=kept["task"].map(notes).where(of_vem, ""), method=kept["method"].where(~of_vem, BEST_OF_VEM)
    )


def table_1(frame: pd.DataFrame) -> pd.DataFrame:
    """Table 1: every method on every task, as it is configured; see :func:`cells`, by `task` and `method`.

    Of VEM, each task has the τ of the best score, as the paper does it, by name in `note`. What the paper reports of a cell
    is in `paper`, an empty text where that is not available.
    """
    chosen = with_best_of_vem(frame)
    table = _in_order(cells(chosen, "method"), IN_TABLE_1)
    notes = {} if frame.empty else chosen.groupby("task")["note"].max()
    table["note"] = [notes[task] if method == BEST_OF_VEM else "" for task, method in table.index]
    table["paper"] = [_words(reported(task, name_elsewhere(method, task))) for task, method in table.index]
    return table


def table_2(frame: pd.DataFrame) -> pd.DataFrame:
    """Table 2: the number of solver steps, by two solvers; see :func:`cells`, by `task` and `solver`."""
    names = {
        f"{solver} solver, D = {steps}": f"{solver}, D = {steps}"
        for solver in ABLATED_SOLVERS
        for steps in SOLVER_STEPS
    }
    return _in_order(cells(_named(frame, names), "solver"), names.values())


def table_4(frame: pd.DataFrame) -> pd.DataFrame:
    """Table 4: each behavior model with all iterations, and diffusion with one.

    See :func:`cells`, by `task` and `ablation`. What the paper reports of a cell is in `paper`, an empty text where that is
    not available.
    """
    if frame.empty:
        return cells(frame, "ablation")
    iterations = _iterations(frame)
    last = iterations[iterations["K"] == iterations.groupby("task")["K"].transform("max")]
    without = iterations[(iterations["K"] == 1) & (iterations["method"] == DIFFUSION)]
    chosen = pd.concat([last.assign(ablation=last["method"]), without.assign(ablation=WITHOUT_PLANNING)])
    table = _in_order(cells(chosen, "ablation"), AS_REPORTED)
    table["paper"] = [_words(reported(task, AS_REPORTED[name], table=4)) for task, name in table.index]
    return table


def figure_4(frame: pd.DataFrame) -> pd.DataFrame:
    """Figure 4: the score of the diffusion model after each iteration; see :func:`cells`, by `task` and `K`."""
    if frame.empty:
        return cells(frame, "K")
    iterations = _iterations(frame)
    return _in_order(cells(iterations[iterations["method"] == DIFFUSION], "K"), ())


def _in_order(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The cells with the tasks in the paper's order, and the given columns before others."""
    tasks = list(reported_numbers()["table_1"])
    first = list(columns)

    def place(key: tuple[str, Any]) -> tuple[int, int]:
        task = key[0].removeprefix(REGENERATED)
        return (
            tasks.index(task) if task in tasks else len(tasks),
            first.index(key[1]) if key[1] in first else len(first),
        )

    return table.loc[sorted(table.index, key=place)]  # a stable sort: what is in neither list stays as it is


def _iterations(frame: pd.DataFrame) -> pd.DataFrame:
    """The episodes of the configured way to act, with the iteration K after which the agent stopped."""
    names = frame["variant"].str.extract(rf"^{AS_CONFIGURED}, K = (\d+)$")[0]
    return frame[names.notna()].assign(K=names.dropna().astype(int))


def _named(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The episodes of some variants, with their column of the table."""
    if frame.empty:
        return frame
    return frame[frame["variant"].isin(names)].assign(solver=lambda rows: rows["variant"].map(names))


def _origin(task: str) -> str:
    """What kind of data a task has."""
    if task in CARS:
        return "generated"
    return "regenerated" if task.startswith(REGENERATED) else "D4RL's"


def _words(score: ReportedScore | None) -> str:
    if score is None:
        return ""
    return f"{score.mean:g}" if score.deviation is None else f"{score.mean:g} ± {score.deviation:g}"
