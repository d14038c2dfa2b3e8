"""Generative models of the behavior policy μ(a|s), all with ``fit(trajectories)`` and ``sample(states, n)``."""

from sfbc_core.behavior.base import BehaviorModel
from sfbc_core.behavior.diffusion import DiffusionBehavior, DiffusionConfig, SolverConfig
from sfbc_core.behavior.distilled import DistilledBehavior, DistilledConfig
from sfbc_core.behavior.fidelity import Fidelity, check_fidelity, solver_error
from sfbc_core.behavior.flow_matching import FlowMatchingBehavior, FlowMatchingConfig
from sfbc_core.behavior.gaussian import GaussianBehavior, GaussianConfig
from sfbc_core.behavior.vae import VAEBehavior, VAEConfig

__all__ = [
    "BehaviorModel",
    "DiffusionBehavior",
    "DiffusionConfig",
    "DistilledBehavior",
    "DistilledConfig",
    "Fidelity",
    "FlowMatchingBehavior",
    "FlowMatchingConfig",
    "GaussianBehavior",
    "GaussianConfig",
    "SolverConfig",
    "VAEBehavior",
    "VAEConfig",
    "check_fidelity",
    "solver_error",
]
