"""Methods over several tasks and seeds at once, with rliable (Agarwal et al., 2021): what a few seeds can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

SAMPLES = 2_000  # of the bootstrap


def scores_of_runs(frame: pd.DataFrame, tasks: Sequence[str]) -> dict[str, Float[np.ndarray, "S T"]]:
    """The score of each seed on each task, by method: of those methods that have the same seeds on all the tasks.

    Args:
        frame: of results, with one way to act a method.
        tasks: which.

    Raises:
        ValueError: no task, or no method has them all.
    """
    if not len(tasks):
        raise ValueError("expected tasks, got none")
    of_runs = frame[frame["task"].isin(tasks)].groupby(["method", "task", "seed"], sort=False)["score"].mean()
    found = {}
    for method, scores in of_runs.groupby("method", sort=False):
        by_task = [scores.loc[method].get(task) for task in tasks]
        if all(of is not None for of in by_task):
            by_task = [of.sort_index() for of in by_task]
            if len({tuple(of.index) for of in by_task}) == 1:
                found[method] = np.stack([of.to_numpy() for of in by_task], axis=1)
    if not found:
        raise ValueError(f"expected a method with the same seeds on all of {list(tasks)}, found none")
    return found


def aggregates(scores: dict[str, Float[np.ndarray, "S T"]], seed: int = 0) -> pd.DataFrame:
    """The interquartile mean over all runs of all tasks, and the plain mean, with stratified bootstrap intervals.

    The interquartile mean leaves out the lowest and the highest quarter of the runs: one task or one lucky seed does not
    decide it. The bootstrap draws seeds within each task; of three seeds a task it is narrow, as any of so few.

    Args:
        scores: as :func:`scores_of_runs` gives them.
        seed: of the bootstrap.

    Returns:
        A row a method, the best first: `iqm`, `iqm_low`, `iqm_high`, `mean`, `mean_low`, `mean_high` (95 %).
    """
    metrics = _rliable("metrics")

    def both(runs: np.ndarray) -> np.ndarray:
        return np.array([metrics.aggregate_iqm(runs), metrics.aggregate_mean(runs)])

    points, intervals = _estimates(scores, both, seed)
    rows = {
        method: {
            f"{name}{end}": value
            for place, name in enumerate(("iqm", "mean"))
            for end, value in zip(
                ("", "_low", "_high"), (points[method][place], *intervals[method][:, place]), strict=True
            )
        }
        for method in scores
    }
    return pd.DataFrame(rows).T.sort_values(["iqm", "mean"], ascending=False).rename_axis("method")


def improvement(
    scores: dict[str, Float[np.ndarray, "S T"]], over: Sequence[str], method: str, seed: int = 0
) -> pd.DataFrame:
    """The probability that a run of a method scores higher than one of another on the same task, a tie counting half.

    Args:
        scores: as :func:`scores_of_runs` gives them.
        over: which others.
        method: whose runs.
        seed: of the bootstrap.

    Returns:
        A row for each other method: `probability`, the mean over tasks, `low`, `high` (95 %).
    """
    pairs = {other: (scores[method], scores[other]) for other in over}
    points, intervals = _estimates(pairs, _share_of_wins, seed)
    rows = {
        other: {
            "probability": float(points[other]),
            "low": float(intervals[other][0, 0]),
            "high": float(intervals[other][1, 0]),
        }
        for other in over
    }
    return pd.DataFrame(rows).T.rename_axis("over")


def performance_profile(
    scores: dict[str, Float[np.ndarray, "S T"]], thresholds: Sequence[float] | Float[np.ndarray, " H"]
) -> pd.DataFrame:
    """The share of runs that score above each threshold, a column a method: who lies above another is better throughout."""
    return pd.DataFrame(
        {method: [(runs > threshold).mean() for threshold in thresholds] for method, runs in scores.items()},
        index=pd.Index(thresholds, name="score"),
    )


def _share_of_wins(runs: Float[np.ndarray, "S T"], others: Float[np.ndarray, "R T"]) -> float:
    # The same number as rliable's, which asks scipy's rank test for it: a minute for what takes a moment.
    wins = (runs[:, None] > others[None]) + 0.5 * (runs[:, None] == others[None])
    return float(wins.mean())


def _estimates(runs: dict[str, Any], function: Callable[..., Any], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Point estimates and intervals by method."""
    # rliable 1.2 has an argument for a generator and draws from numpy's global one all the same.
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        return _rliable("library").get_interval_estimates(runs, function, reps=SAMPLES)
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _rliable(module: str) -> ModuleType:
    try:
        return import_module(f"rliable.{module}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "intervals over tasks need rliable: install sfbc-core[book]", name="rliable"
        ) from error
