"""The configuration of SfBC (Appendix B.1), and the behavior model that belongs to each config."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import get_args

from sfbc_core.behavior import (
    BehaviorModel,
    DiffusionBehavior,
    DiffusionConfig,
    GaussianBehavior,
    GaussianConfig,
    SolverConfig,
    VAEBehavior,
    VAEConfig,
)
from sfbc_core.critic import CriticConfig
from sfbc_core.diffusion import ScoreNetworkConfig, VPSchedule
from sfbc_core.planning import MaximumOn, TimeoutRule
from sfbc_core.selection import Mode
from sfbc_core.training import TrainingConfig

# A behavior model is chosen by the type of its config.
BEHAVIORS: dict[type, type[BehaviorModel]] = {
    DiffusionConfig: DiffusionBehavior,
    GaussianConfig: GaussianBehavior,
    VAEConfig: VAEBehavior,
}


@dataclass(frozen=True)
class SfBCConfig:
    """Everything that decides a run, apart from the data and the machine."""

    behavior: DiffusionConfig | GaussianConfig | VAEConfig = field(default_factory=DiffusionConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    planning_iterations: int = 2  # K critic fits; the first is on vanilla returns. Paper: 2 locomotion, 4 or 5 antmaze
    value_candidates: int = 16  # candidates for the soft value (Eq. 13); the paper's
    value_every: int = 1  # V is known, and a plan may leave the data, at every n-th state only; the paper: at each
    alpha: float = 20.0  # inverse temperature, in units of 1 / deviation of the critic's targets; the paper's
    discount: float = 0.99  # γ; the paper does not say
    timeout: TimeoutRule = "bootstrap"  # see planned_returns; the paper does not say
    max_on: MaximumOn = "next"  # see planned_returns; Eq. 12
    unknown_share: float = 1.0  # the first critic skips returns that lack a larger share; the paper: skips none
    num_candidates: int = 32  # M candidates to act; the paper's
    selection: Mode = "greedy"  # how to act; the paper's, with "mean_of_best" for locomotion
    best: int = 4  # how many candidates "mean_of_best" averages; the paper's
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("planning_iterations", "value_candidates", "value_every", "num_candidates", "best"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"alpha must be finite and >= 0, got {self.alpha}")
        for name in ("discount", "unknown_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name, kind in (("timeout", TimeoutRule), ("max_on", MaximumOn), ("selection", Mode)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {get_args(kind)}, got {getattr(self, name)!r}")
        if self.selection == "mean_of_best" and self.best > self.num_candidates:
            raise ValueError(f"best must be at most the {self.num_candidates} candidates, got {self.best}")
        if type(self.behavior) not in BEHAVIORS:
            expected = [kind.__name__ for kind in BEHAVIORS]
            raise ValueError(f"behavior must be one of {expected}, got {type(self.behavior).__name__}")


ACTING = {"selection", "alpha", "num_candidates", "best"}  # fields that a fitted agent can change
CONFIG_TYPES = {
    kind.__name__: kind
    for kind in (SfBCConfig, CriticConfig, TrainingConfig, ScoreNetworkConfig, SolverConfig, VPSchedule, *BEHAVIORS)
}
