"""SfBC at sizes below the paper's: for one core, and for a test that shows nothing but that the code runs."""

from __future__ import annotations

from typing import Any

from sfbc_core.behavior import DiffusionConfig, SolverConfig
from sfbc_core.critic import CriticConfig
from sfbc_core.diffusion import ScoreNetworkConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.training import TrainingConfig


def small_config(
    *,
    widths: tuple[int, ...],
    behavior_steps: int,
    critic_steps: int,
    members: int = 1,
    solver_steps: int = 8,
    behavior_rate: float = 4e-3,
    **options: Any,
) -> SfBCConfig:
    """SfBC for one core: networks and training smaller than the paper's, but of the same kind.

    Args:
        widths: of the score network's levels.
        behavior_steps, critic_steps: gradient steps, each on 1024 transitions.
        members: networks of the critic, of which each takes all the steps.
        solver_steps: network evaluations for a candidate, by the accurate solver of chapter 3.
        behavior_rate: learning rate of the behavior model.
        options: further fields of :class:`~sfbc_core.methods.sfbc.SfBCConfig`.
    """
    network = ScoreNetworkConfig(widths, embedding_dim=max(widths) // 2, fourier_features=32, fourier_scale=4.0)
    behavior, critic = (
        TrainingConfig.small(steps, learning_rate=rate, checkpoint_every=1000)
        for steps, rate in ((behavior_steps, behavior_rate), (critic_steps, 3e-3))
    )
    return SfBCConfig(
        behavior=DiffusionConfig(network, solver=SolverConfig.accurate(solver_steps), training=behavior),
        critic=CriticConfig(members=members, training=critic),
        **options,
    )


def smoke_config(**options: Any) -> SfBCConfig:
    """The same at a size that takes a moment; `options` are fields of SfBC's config, and `members`."""
    return small_config(widths=(8,), behavior_steps=10, critic_steps=10, solver_steps=3, value_candidates=2, **options)
