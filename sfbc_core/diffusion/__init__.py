"""Generic diffusion: schedule, network, solvers. Knows nothing of reinforcement learning."""

from sfbc_core.diffusion.exact import GaussianMixture
from sfbc_core.diffusion.schedule import VPSchedule
from sfbc_core.diffusion.score_network import ScoreNetwork, ScoreNetworkConfig
from sfbc_core.diffusion.solvers import dpm_solver, rk45

__all__ = ["GaussianMixture", "ScoreNetwork", "ScoreNetworkConfig", "VPSchedule", "dpm_solver", "rk45"]
