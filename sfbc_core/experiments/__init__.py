"""Where algorithms and tasks meet: profiles, trials, figures."""

from sfbc_core.experiments.description import Description, describe
from sfbc_core.experiments.figures import COLORS, SIGNED_COLORMAP, action_map, state_grid, use_book_style
from sfbc_core.experiments.profiles import Provenance, choose
from sfbc_core.experiments.statistics import mean_interval, success_interval
from sfbc_core.experiments.trial import TrialConfig, run_trial, run_trials

__all__ = [
    "COLORS",
    "SIGNED_COLORMAP",
    "Description",
    "Provenance",
    "TrialConfig",
    "action_map",
    "choose",
    "describe",
    "mean_interval",
    "run_trial",
    "run_trials",
    "state_grid",
    "success_interval",
    "use_book_style",
]
