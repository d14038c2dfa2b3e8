"""Where algorithms and tasks meet: profiles, trials, figures."""

from sfbc_core.experiments.clips import Film, film, record_episode
from sfbc_core.experiments.description import Description, describe
from sfbc_core.experiments.figures import COLORS, SIGNED_COLORMAP, action_map, state_grid, use_book_style
from sfbc_core.experiments.mazes import draw_walls
from sfbc_core.experiments.profiles import Provenance, choose
from sfbc_core.experiments.statistics import mean_interval, success_interval
from sfbc_core.experiments.study import StudyRecord, run_study, study_record
from sfbc_core.experiments.trial import TrialConfig, run_trial, run_trials

__all__ = [
    "COLORS",
    "SIGNED_COLORMAP",
    "Description",
    "Film",
    "Provenance",
    "StudyRecord",
    "TrialConfig",
    "action_map",
    "choose",
    "describe",
    "draw_walls",
    "film",
    "mean_interval",
    "record_episode",
    "run_study",
    "run_trial",
    "run_trials",
    "state_grid",
    "study_record",
    "success_interval",
    "use_book_style",
]
