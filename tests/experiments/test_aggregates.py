"""Methods over tasks and seeds: against numbers worked out by hand, and a law whose interval is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sfbc_core.experiments.aggregates import aggregates, improvement, performance_profile, scores_of_runs

pytest.importorskip("rliable", reason="rliable is in the extra sfbc-core[book]")


def test_runs_are_the_means_of_their_episodes_where_all_tasks_have_the_same_seeds():
    rows = [("a", "x", 0, 1.0), ("a", "x", 0, 3.0), ("a", "x", 1, 5.0), ("b", "x", 1, 7.0), ("b", "x", 0, 9.0)]
    rows += [("a", "y", 0, 1.0), ("a", "y", 1, 1.0), ("b", "y", 0, 1.0), ("c", "x", 0, 1.0)]
    frame = pd.DataFrame(rows, columns=["task", "method", "seed", "score"])
    found = scores_of_runs(frame, ["b", "a"])
    assert list(found) == ["x"], "y lacks a seed on b"
    np.testing.assert_array_equal(found["x"], [[9.0, 2.0], [7.0, 5.0]])
    with pytest.raises(ValueError, match="same seeds on all of"):
        scores_of_runs(frame, ["a", "c"])
    with pytest.raises(ValueError, match="expected tasks, got none"):
        scores_of_runs(frame, [])


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    scores = {"spread": np.array([[0.0, 10.0], [20.0, 1000.0]]), "flat": np.full((2, 2), 14.0)}
    table = aggregates(scores)
    assert table.index.tolist() == ["spread", "flat"], "the best first"
    assert table.loc["spread", "iqm"] == 15.0 and table.loc["spread", "mean"] == 257.5
    assert table.loc["flat", ["iqm_low", "iqm_high", "mean_low", "mean_high"]].tolist() == [14.0] * 4


def test_the_bootstrap_interval_of_a_mean_is_that_of_the_normal_law():
    """200 runs of one task: mean ± 1.96 σ / √200; the ends within 10 % of its half width, of 2,000 resamples."""
    runs = np.random.default_rng(0).normal(50, 10, (200, 1))
    found = aggregates({"normal": runs}).loc["normal"]
    half = 1.96 * runs.std() / np.sqrt(200)
    assert found["mean_low"] == pytest.approx(runs.mean() - half, abs=0.1 * half)
    assert found["mean_high"] == pytest.approx(runs.mean() + half, abs=0.1 * half)


def test_the_same_seed_gives_the_same_interval_and_leaves_numpys_generator_alone():
    scores = {
        "one": np.random.default_rng(1).normal(50, 10, (5, 3)),
        "two": np.random.default_rng(2).normal(50, 10, (5, 3)),
    }
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    first = aggregates(scores)
    assert np.random.rand() == expected  # noqa: NPY002
    assert first.equals(aggregates(scores)) and not first.equals(aggregates(scores, seed=1))
    assert improvement(scores, ["two"], "one").equals(improvement(scores, ["two"], "one"))


def test_the_probability_of_improvement_counts_pairs_with_ties_as_halves():
    scores = {"one": np.array([[1.0, 5.0], [2.0, 5.0]]), "two": np.array([[1.0, 4.0], [0.0, 6.0]])}
    table = improvement(scores, ["two", "one"], "one")
    # Of four pairs on the first task three are won and one is a tie; on the second two of four.
    assert table.loc["two", "probability"] == pytest.approx((3.5 / 4 + 2 / 4) / 2)
    assert table.loc["one", "probability"] == 0.5
    assert table.loc["two", "low"] <= table.loc["two", "probability"] <= table.loc["two", "high"]


def test_the_probability_of_improvement_is_that_of_rliable():
    from rliable.metrics import probability_of_improvement

    rng = np.random.default_rng(4)
    one, two = rng.integers(0, 5, (4, 3)).astype(float), rng.integers(0, 5, (6, 3)).astype(float)
    found = improvement({"one": one, "two": two}, ["two"], "one").loc["two", "probability"]
    assert found == pytest.approx(probability_of_improvement(one, two))


def test_a_profile_is_the_share_above_each_score():
    scores = {"one": np.array([[0.0, 50.0], [100.0, 100.0]])}
    assert performance_profile(scores, [-1.0, 0.0, 50.0, 100.0])["one"].tolist() == [1.0, 0.75, 0.5, 0.0]
