"""Where methods and tasks meet: trials, suites of them, their stored results, and the paper's settings and numbers."""

from sfbc_core.experiments.paper import PaperSettings, ReportedScore, paper_config, paper_settings, reported
from sfbc_core.experiments.playback import record_episode
from sfbc_core.experiments.results import Results
from sfbc_core.experiments.running import run_suite, run_trials, stored_results, suite_results
from sfbc_core.experiments.settings import method_config, small_config, smoke_config
from sfbc_core.experiments.statistics import mean_interval, success_interval
from sfbc_core.experiments.tables import beside_others, score_table
from sfbc_core.experiments.trial import Trial
from sfbc_core.experiments.trial_run import run_trial

__all__ = [
    "PaperSettings",
    "ReportedScore",
    "Results",
    "Trial",
    "beside_others",
    "mean_interval",
    "method_config",
    "paper_config",
    "paper_settings",
    "record_episode",
    "reported",
    "run_suite",
    "run_trial",
    "run_trials",
    "score_table",
    "small_config",
    "smoke_config",
    "stored_results",
    "success_interval",
    "suite_results",
]
