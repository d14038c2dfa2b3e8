"""Choices and what they are worth: differences by hand, and that every agent of a pair is in its suite."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from sfbc_core.experiments.choices import CHOICES, LAST, Choice, effects
from sfbc_core.experiments.statistics import mean_interval
from sfbc_core.experiments.suites import suite_named

MAXIMUM = Choice("maximum", "next", "this", "maze", ("small", "big"), (("A", "best"), ("B", "best")))


def frame_of(*rows):
    names = ("task", "method", "seed", "variant", "iteration", "score")
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


SCORES = frame_of(
    ("small", "A", 0, "best, K = 1", 1, 99.0),
    ("small", "A", 0, "best, K = 2", 2, 10.0),
    ("small", "A", 0, "best, K = 2", 2, 30.0),
    ("small", "A", 1, "best, K = 2", 2, 40.0),
    ("small", "A", 2, "best, K = 2", 2, 7.0),
    ("small", "A", 0, "mean, K = 2", 2, 77.0),
    ("small", "B", 1, "best, K = 2", 2, 10.0),
    ("small", "B", 0, "best, K = 2", 2, 5.0),
    ("big", "A", 0, "best, K = 2", 2, 1.0),
    ("big", "B", 0, "best, K = 2", 2, 3.0),
)


def test_differences_are_of_the_same_seed_and_the_last_iteration():
    small, big = effects({"maze": SCORES}, [MAXIMUM]).to_dict("records")
    assert small["each seed"] == [15.0, 30.0], "seed 2 has no partner"
    assert (small["of one"], small["of other"], small["difference"]) == (30.0, 7.5, 22.5)
    assert (small["seeds"], small["K"]) == (2, 2)
    assert (small["low"], small["high"]) == mean_interval([15.0, 30.0])
    assert (big["difference"], big["seeds"]) == (-2.0, 1)
    assert math.isnan(big["low"]) and math.isnan(big["high"])


def test_an_iteration_can_be_asked_for():
    choice = Choice("planning", "twice", "once", "maze", ("small",), (("A", "best"), ("A", "best")), (LAST, 1))
    (row,) = effects({"maze": SCORES}, [choice]).to_dict("records")
    assert row["each seed"] == [20.0 - 99.0] and row["K"] == 2


@pytest.mark.parametrize("frames", [{}, {"other": SCORES}, {"maze": SCORES[SCORES["method"] == "A"]}])
def test_what_is_not_stored_has_no_row(frames):
    assert effects(frames, [MAXIMUM]).empty


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.question}-{choice.other}-{choice.suite}")
def test_both_agents_are_in_the_suite(choice):
    trials = suite_named(choice.suite).trials("quick")
    for task in choice.tasks:
        for (label, way), k in zip(choice.sides, choice.iterations, strict=True):
            trained = [trial for trial in trials if (trial.task, trial.label) == (task, label)]
            for trial in trained:
                names = [name for name in trial.variants if name.partition(", K = ")[0] == way]
                asked = {trial.variants[name].get("iteration", trial.method.planning_iterations) for name in names}
                assert (trial.method.planning_iterations if k == LAST else k) in asked
            assert trained
