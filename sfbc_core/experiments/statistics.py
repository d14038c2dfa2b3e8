"""Intervals for what was measured over seeds and episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, sem, t


def success_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a success rate, which is sensible at 0 and at 1 too (scipy's binomtest)."""
    interval = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(per_seed: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean over seeds: mean ± t · s / √n, with n - 1 degrees of freedom.

    It takes the trainings to be independent and their scores to be roughly normal. A bootstrap assumes less, but the 95 %
    percentiles of three seeds' means are always the smallest and the largest seed: one resample in 27 repeats the smallest
    three times, more than 2.5 %. Three seeds say little about their own spread, so this interval is wide (± 2.5
    standard deviations) and may reach past the end of the scale; show the seeds beside it. (value, value) if all agree:
    so they do, and of the next seed it says nothing.

    Raises:
        ValueError: fewer than two seeds: one number has no interval.
    """
    values = np.asarray(per_seed, dtype=float)
    if len(values) < 2:
        raise ValueError(f"an interval needs at least 2 seeds, got {len(values)}")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    low, high = t.interval(confidence, df=len(values) - 1, loc=values.mean(), scale=sem(values))
    return float(low), float(high)
