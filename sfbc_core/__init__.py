"""SfBC: offline reinforcement learning by selecting from behavior candidates."""

from sfbc_core.behavior import (
    DiffusionBehavior,
    DiffusionConfig,
    GaussianBehavior,
    GaussianConfig,
    SolverConfig,
    VAEBehavior,
    VAEConfig,
)
from sfbc_core.critic import CriticConfig, QCritic
from sfbc_core.diffusion import GaussianMixture, ScoreNetworkConfig, VPSchedule, dpm_solver, rk45
from sfbc_core.evaluation import EpisodeResults, evaluate
from sfbc_core.methods.sfbc import SfBC, SfBCConfig
from sfbc_core.planning import discounted_returns, planned_returns, soft_value
from sfbc_core.selection import effective_sample_size, select_actions, selection_weights
from sfbc_core.tasks import load_task, task_names
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories

__all__ = [
    "CriticConfig",
    "DiffusionBehavior",
    "DiffusionConfig",
    "EpisodeResults",
    "GaussianBehavior",
    "GaussianConfig",
    "GaussianMixture",
    "QCritic",
    "ScoreNetworkConfig",
    "SfBC",
    "SfBCConfig",
    "SolverConfig",
    "TrainingConfig",
    "Trajectories",
    "VAEBehavior",
    "VAEConfig",
    "VPSchedule",
    "discounted_returns",
    "dpm_solver",
    "effective_sample_size",
    "evaluate",
    "load_task",
    "planned_returns",
    "rk45",
    "select_actions",
    "selection_weights",
    "soft_value",
    "task_names",
]
