"""Intervals for what was measured over seeds and episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, bootstrap


def success_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a success rate, which is sensible at 0 and at 1 too (scipy's binomtest)."""
    interval = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(per_seed: Sequence[float], confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over seeds (scipy's bootstrap); (value, value) if all agree.

    Raises:
        ValueError: fewer than two seeds: one number has no interval.
    """
    values = np.asarray(per_seed, dtype=float)
    if len(values) < 2:
        raise ValueError(f"an interval needs at least 2 seeds, got {len(values)}")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    resampled = bootstrap(
        (values,), np.mean, confidence_level=confidence, method="percentile", rng=np.random.default_rng(seed)
    )
    return float(resampled.confidence_interval.low), float(resampled.confidence_interval.high)
