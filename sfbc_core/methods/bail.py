"""BAIL (Chen et al., NeurIPS 2020): an upper envelope of the returns, and a clone of the actions that come near it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.methods.policies import deterministic_policy
from sfbc_core.networks import mlp, rows_at_once
from sfbc_core.planning import discounted_returns, unknown_share
from sfbc_core.randomness import RandomSource
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import NumberedSteps

KNOWN = 0.1  # a return that lacks no more than this share of the future can stand in for what a recording cut


@config_dataclass
class BAILConfig:
    """Everything that decides a run, apart from the data and the machine."""

    best_share: float = 0.25  # of the transitions, those nearest to the envelope are cloned; the paper: 25 or 30 %
    penalty: float = 1000.0  # K: how much more a return above the envelope counts than one below; the paper's
    augment: bool = False  # complete returns that were cut; the paper does so in locomotion, SfBC's comparison does not
    discount: float = 0.99  # γ; the paper's
    envelope_share: float = 0.5  # of the gradient steps, those that the envelope takes; ours
    hidden: tuple[int, ...] = (128, 128)  # of the envelope and of the policy; ours
    training: TrainingConfig = field(  # the paper stops the envelope early, by a part of the data that is held out
        default_factory=lambda: TrainingConfig(500_000, batch_size=800, learning_rate=1e-3)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, positive_share=["best_share"], positive=["penalty"], share=["discount"])
        check_ranges(self, between=["envelope_share"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 10_000, **options: Any) -> BAILConfig:
        """A budget for a CPU; `options` are other fields."""
        return cls(**({"training": TrainingConfig.small(gradient_steps, batch_size=512, learning_rate=1e-3)} | options))


def envelope_loss(value: Float[Tensor, " B"], returns: Float[Tensor, " B"], penalty: float) -> Float[Tensor, " B"]:
    """(V - G)², times K where the return is above: a large K makes V an upper envelope."""
    return torch.where(value < returns, penalty, 1.0) * (value - returns).square()


def augmented_returns(data: Trajectories, discount: float) -> Float[Tensor, " N"]:
    """Vanilla returns, where a timeout cut them plus the discounted return of the nearest state that has a known one.

    The paper does so where episodes have a limit of steps: what came after the last state is taken to be what came after the
    state most like it. Where no return is known well enough, the returns stay as they are.
    """
    returns, cut = discounted_returns(data, discount), data.timeouts & ~data.terminals
    known = unknown_share(data, discount) <= KNOWN
    if not (cut.any() and known.any()):
        return returns
    last, candidates = data.observations[cut], data.observations[known]
    nearest = torch.cat([torch.cdist(part, candidates).argmin(1) for part in last.split(64)])
    rewards = data.rewards.double().clone()
    rewards[cut] += discount * returns[known][nearest]
    return discounted_returns(data.replace(rewards=rewards), discount)


class BAIL(GradientMethod, config=BAILConfig):
    """The agent: ``BAIL(config).fit(trajectories)``, then ``act(observations)``.

    First V is fitted as the upper envelope of the returns; then the transitions whose return comes nearest to V(s), in
    ratio, are cloned by a deterministic policy: where the best has two modes, by an action between them. Nothing outside the
    data is asked, and nothing is stitched: a return is what one episode earned.
    """

    config: BAILConfig

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """The envelope and the policy."""
        hidden = self.config.hidden
        return {"envelope": mlp([obs_dim, *hidden, 1]), "policy": deterministic_policy([obs_dim, *hidden, act_dim])}

    def rows(self, data: Trajectories) -> NumberedSteps:
        """The steps; their returns are kept in units in which the largest is 1 and the smallest, or zero, is 0."""
        make = augmented_returns if self.config.augment else discounted_returns
        returns = make(data, self.config.discount)
        returns = returns - returns.min().clamp_max(0)  # ratios to the envelope mean something from 0 on
        self.returns = (returns / returns.max().clamp_min(1e-12)).float()
        self.states, self.best = data.observations, None
        return data.steps()

    def losses(self, batch: NumberedSteps, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """That of the envelope in the first part of the steps, that of the policy in the others."""
        if step < self._envelope_steps():
            value = self.nets["envelope"](batch.observations)[:, 0]
            return {"envelope": envelope_loss(value, self.returns[batch.rows], self.config.penalty).mean()}
        if self.best is None:
            self.best = self.best_rows()
        cloned = self.best[batch.rows]
        errors = (self.nets["policy"](batch.observations) - batch.actions).square().sum(1)
        return {"policy": (errors * cloned).sum() / cloned.sum().clamp_min(1)}

    @torch.no_grad()
    def best_rows(self) -> Bool[Tensor, " N"]:
        """Whether a transition is of the share whose returns come nearest to the envelope, G / V(s) being largest."""
        parts = self.states.split(rows_at_once(self.states.device))
        envelope = torch.cat([self.nets["envelope"](part)[:, 0] for part in parts])
        ratio = self.returns / envelope.clamp_min(1e-6)
        keep = max(1, round(self.config.best_share * len(ratio)))
        best = torch.zeros_like(ratio, dtype=torch.bool)
        best[ratio.topk(keep).indices] = True
        return best

    def _envelope_steps(self) -> int:
        return max(1, int(self.config.envelope_share * self.config.training.steps_for(len(self.returns))))

    def learning_rate(self, network: str, step: int, steps: int) -> float:
        """Each of the two has the schedule of a training of its own."""
        first = self._envelope_steps()
        step, steps = (step, first) if step < first else (step - first, steps - first)
        return self.config.training.rate(step, steps)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """π(s)."""
        return self.nets["policy"](states)
