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


def test_bootstrap_interval_of_the_mean():
    values = np.random.default_rng(0).normal(50, 4, 200)
    low, high = mean_interval(values.tolist())
    half = norm.ppf(0.975) * values.std() / math.sqrt(200)  # what the central limit theorem gives
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert mean_interval([1.0, 1.0, 1.0]) == (1.0, 1.0)
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        mean_interval([1.0])
