"""What the choices are worth that the paper leaves open or that code makes otherwise: pairs of stored agents, by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from sfbc_core.experiments.comparisons import HOPPER, MAZES_2D
from sfbc_core.experiments.fidelity import ANT, MEDIUM, as_configured
from sfbc_core.experiments.statistics import mean_interval
from sfbc_core.experiments.trial import AS_CONFIGURED

LAST = -1


@dataclass(frozen=True)
class Choice:
    """Two agents that differ in one thing.

    Attributes:
        question: what is chosen.
        one, other: the two answers, in words; `one` is the paper's where it has one.
        suite: whose results have both.
        tasks: of the suite.
        sides: for `one` and for `other` the method's label and the way to act, without its ", K = k".
        iterations: K of `one` and of `other`; `LAST` is the last that is stored.
    """

    question: str
    one: str
    other: str
    suite: str
    tasks: tuple[str, ...]
    sides: tuple[tuple[str, str], tuple[str, str]]
    iterations: tuple[int, int] = (LAST, LAST)


def _ways(
    suite: str,
    tasks: tuple[str, ...],
    label: str,
    k: int,
    pairs: Iterable[tuple[str, str]],
    names: Mapping[str, str] = {},
) -> list[Choice]:
    """Pairs of ways to act of the same agent, after K iterations; `names` has those that are called otherwise there."""
    return [
        Choice("the action", *pair, suite, tasks, tuple((label, names.get(way, way)) for way in pair), (k, k))
        for pair in pairs
    ]


FAITHFUL, CONFIGURED = as_configured("quick"), AS_CONFIGURED  # at "quick", where all of this is stored
ANTS, TOY = (ANT, MEDIUM), ("toy-maze",)
PAIRS = (
    ("best of 32", "behavior alone"),
    ("best of 32", "softmax, α = 20"),
    ("best of 32", "softmax, α = 100"),
    ("mean of the best 4", "mean of 4 drawn, α = 100"),
)
CHOICES = (
    *(
        Choice(question, one, other, "toy-maze", TOY, (("Eq. 12", CONFIGURED), (label, CONFIGURED)), (k, k))
        for question, one, other, label in (
            ("the maximum", "on the next step", "on this one", "early maximum"),
            ("a timeout", "bootstraps", "cuts", "timeouts cut"),
        )
        for k in (5, 8)
    ),
    Choice("planning", "K = 2", "K = 1", "maze2d", MAZES_2D, (("SfBC", CONFIGURED),) * 2, (2, 1)),
    Choice("planning", "all K", "K = 1", "fidelity", ANTS, ((FAITHFUL, "best of 32"),) * 2, (LAST, 1)),
    *_ways("maze2d", MAZES_2D, "SfBC", 2, PAIRS[1:2], {"best of 32": CONFIGURED}),
    *_ways("fidelity", ANTS, FAITHFUL, LAST, PAIRS),
    *(
        Choice(question, *words, "fidelity", (ANT,), tuple((f"{mu} μ, {q} Q", "best of 32") for mu, q in trained))
        for question, words, trained in (
            ("training of μ", ("long, Q short", "short, Q short"), (("long", "short"), ("short", "short"))),
            ("training of Q", ("long, μ short", "short, μ short"), (("short", "long"), ("short", "short"))),
            ("training of Q", ("long, μ long", "short, μ long"), (("long", "long"), ("long", "short"))),
        )
    ),
    Choice(
        "the solver, D = 15",
        "published",
        "accurate",
        "ablations",
        ("bidirectional-car", f"regen/{HOPPER}"),
        (("diffusion", "published solver, D = 15"), ("diffusion", "accurate solver, D = 15")),
    ),
)


def effects(frames: Mapping[str, pd.DataFrame], choices: Iterable[Choice] = CHOICES) -> pd.DataFrame:
    """The scores of both answers, and their difference with the same seed.

    Args:
        frames: results by suite, as :meth:`~sfbc_core.experiments.results.Results.frame` gives them. A choice of which the
            results are not there, or a task, has no row.
        choices: which.

    Returns:
        A row for each choice and task: `question`, `task`, `K` of one; `one` and `other` in words; `of one` and `of other`,
        the mean scores over the seeds that both have; `difference`, one minus other; `each seed`, the same by seed;
        `seeds`, how many; `low` and `high`, Student's 95 % interval of the difference over seeds, NaN of one seed.
    """
    rows = []
    for choice in choices:
        for task in choice.tasks if choice.suite in frames else ():
            (one, k), (other, _) = (
                _by_seed(frames[choice.suite], task, *side, asked)
                for side, asked in zip(choice.sides, choice.iterations, strict=True)
            )
            difference = (one - other).dropna()
            if difference.empty:
                continue
            low, high = mean_interval(difference.tolist()) if len(difference) > 1 else (float("nan"),) * 2
            rows.append(
                {
                    "question": choice.question,
                    "task": task,
                    "K": k,
                    "one": choice.one,
                    "other": choice.other,
                    "of one": one[difference.index].mean(),
                    "of other": other[difference.index].mean(),
                    "difference": difference.mean(),
                    "each seed": difference.tolist(),
                    "seeds": len(difference),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def _by_seed(frame: pd.DataFrame, task: str, method: str, way: str, iteration: int) -> tuple[pd.Series, int]:
    """The mean score of each seed of one agent that acts in one way, empty if it is not there; and after how many K."""
    ways = frame["variant"].str.replace(r", K = \d+$", "", regex=True)
    rows = frame[(frame["task"] == task) & (frame["method"] == method) & (ways == way)]
    k = int(rows["iteration"].max()) if iteration == LAST and len(rows) else iteration
    return rows[rows["iteration"] == k].groupby("seed")["score"].mean(), k
