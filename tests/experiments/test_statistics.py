"""Profiles, provenance, statistics and trials."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from scipy.stats import norm

from sfbc_core.experiments import (
    mean_interval,
    success_interval,
)
from sfbc_core.experiments.profiles import PROFILES, choose
from sfbc_core.experiments.provenance import provenance_facts


def test_a_profile_chooses_and_an_unknown_one_is_refused():
    assert [choose(p, smoke=1, quick=2, full=3) for p in PROFILES] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"profile must be one of .*'quick'.*got 'fast'"):
        choose("fast", smoke=1, quick=2, full=3)


def test_provenance_names_what_a_reader_needs(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 107.4)
    facts = provenance_facts("smoke", 7, 100.0)
    assert list(facts) == ["profile", "seed", "date", "seconds", "versions", "machine"]
    assert facts["profile"] == "smoke" and facts["seed"] == "7"
    assert f"torch {torch.__version__}" in facts["versions"] and "CPU cores" in facts["machine"]
    assert facts["seconds"] == "7"
    with pytest.raises(ValueError, match="got 'fast'"):
        provenance_facts("fast", 0, 0.0)


def test_experiments_are_imported_without_what_draws_pages():
    """A worker of a cluster that runs trials needs no matplotlib."""
    code = "import sys, sfbc_core.experiments; print({'matplotlib', 'seaborn', 'anywidget'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_wilson_interval_against_its_formula():
    successes, episodes, z = 95, 100, norm.ppf(0.975)
    centre = (successes + z**2 / 2) / (episodes + z**2)
    half = z / (episodes + z**2) * math.sqrt(successes * (episodes - successes) / episodes + z**2 / 4)
    assert success_interval(successes, episodes) == pytest.approx((centre - half, centre + half), rel=1e-9)
    low, high = success_interval(300, 300)
    assert 0.98 < low < 1 and high == 1


def test_t_interval_of_three_seeds_worked_by_hand():
    """1, 2 and 6 have mean 3 and s² = (4 + 1 + 9) / 2 = 7. With two degrees of freedom the quantile has a closed form:
    t = x / sqrt(2 p (1 - p)) with x = 2 p - 1, at p = 0.975 the 4.303 of the tables."""
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)
    half = quantile * math.sqrt(7 / 3)
    assert quantile == pytest.approx(4.303, abs=1e-3)
    assert mean_interval([1.0, 2.0, 6.0]) == pytest.approx((3 - half, 3 + half), rel=1e-9)
    assert mean_interval([0.0, 2.0], confidence=0.5) == pytest.approx((0.0, 2.0))  # Cauchy: its quartiles are at ± 1


def test_t_interval_of_many_seeds_is_that_of_the_central_limit_theorem():
    values = np.random.default_rng(0).normal(50, 4, 2_000)
    low, high = mean_interval(values.tolist())
    half = norm.ppf(0.975) * values.std() / math.sqrt(2_000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01 * half)


def test_t_interval_covers_the_mean_as_often_as_it_says():
    rng, repeats = np.random.default_rng(1), 1_000
    covered = sum(
        low <= 7 <= high for low, high in (mean_interval(rng.normal(7, 2, 3).tolist()) for _ in range(repeats))
    )
    standard_error = math.sqrt(0.95 * 0.05 / repeats)
    assert abs(covered / repeats - 0.95) < 4 * standard_error
    assert mean_interval([1.0, 1.0, 1.0]) == (1.0, 1.0)
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        mean_interval([1.0])
