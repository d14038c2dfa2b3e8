"""Where algorithms and tasks meet: trials, studies, and intervals for what they measured."""

from sfbc_core.experiments.playback import record_episode
from sfbc_core.experiments.statistics import mean_interval, success_interval
from sfbc_core.experiments.study import StudyRecord, run_study, study_record
from sfbc_core.experiments.trial import TrialConfig, run_trial, run_trials

__all__ = [
    "StudyRecord",
    "TrialConfig",
    "mean_interval",
    "record_episode",
    "run_study",
    "run_trial",
    "run_trials",
    "study_record",
    "success_interval",
]
