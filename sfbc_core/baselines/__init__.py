"""Methods that SfBC is compared with, one file each, all with ``fit(trajectories)`` and ``act(observations)``."""

from sfbc_core.baselines.weighted_regression import WeightedRegression, WeightedRegressionConfig, regression_weights

__all__ = ["WeightedRegression", "WeightedRegressionConfig", "regression_weights"]
