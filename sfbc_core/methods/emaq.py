"""EMaQ (Ghasemipour, Schuurmans and Gu, ICML 2021): the best of N draws from behavior, in the target as in acting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod, batch_of
from sfbc_core.methods.q_learning import EnsembleQ, best_of, for_each, q_loss
from sfbc_core.networks import mlp, slow_copy, update_average
from sfbc_core.randomness import RandomSource, standard_uniform
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.transitions import Transitions


@config_dataclass
class EMaQConfig:
    """Everything that decides a run, apart from the data and the machine; sizes are ours where no comment says otherwise."""

    num_candidates: int = 100  # N, of which the best counts; the paper tries 5 to 100 or more, task by task
    members: int = 2  # networks of Q, of which the smallest counts in the target
    bins: int = 40  # of each coordinate of the action
    discount: float = 0.99  # γ; the paper's
    target_rate: float = 0.005
    hidden: tuple[int, ...] = (256, 256)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, count=["num_candidates", "members", "bins"], share=["discount"])
        check_ranges(self, positive_share=["target_rate"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> EMaQConfig:
        """A budget for a CPU; `options` are other fields.

        In fewer steps the target networks have to follow much faster, or no reward reaches back to where a choice begins.
        """
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        sizes = {"num_candidates": 16, "hidden": (128, 128), "target_rate": 0.2}
        return cls(**({"training": training, **sizes} | options))


class AutoregressiveBehavior(nn.Module):
    """μ(a|s) = Π_i μ(a_i | s, a_1 … a_(i-1)), each factor a histogram of `bins` over [-1, 1] given by a network.

    It has as many modes as the data, up to the width of a bin.
    """

    def __init__(self, obs_dim: int, act_dim: int, hidden: tuple[int, ...], bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.factors = nn.ModuleList(mlp([obs_dim + i, *hidden, bins]) for i in range(act_dim))

    def loss(self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"]) -> Float[Tensor, ""]:
        """The mean negative log-likelihood of the bins, in nats."""
        bins = ((actions + 1) * (0.5 * self.bins)).long().clamp(0, self.bins - 1)
        return sum(
            cross_entropy(factor(torch.cat([states, actions[:, :i]], 1)), bins[:, i])
            for i, factor in enumerate(self.factors)
        )

    def draw(
        self, states: Float[Tensor, "*batch obs"], uniform: Float[Tensor, "*batch act 2"]
    ) -> Float[Tensor, "*batch act"]:
        """Actions from uniform numbers in [0, 1): one that chooses the bin, and one for the place in it."""
        seen = states
        for i, factor in enumerate(self.factors):
            cumulative = torch.softmax(factor(seen), -1).cumsum(-1)
            chosen = (uniform[..., i, :1] * cumulative[..., -1:] >= cumulative).sum(-1, keepdim=True)
            place = chosen.clamp_max(self.bins - 1) + uniform[..., i, 1:]
            seen = torch.cat([seen, place * (2 / self.bins) - 1], -1)
        return seen[..., states.shape[-1] :]


class EMaQ(GradientMethod, config=EMaQConfig):
    """The agent: ``EMaQ(config).fit(trajectories)``, then ``act(observations)``.

    Q(s, a) is fitted to r + γ max over N actions of μ(·|s') of Q, and the policy is the best of N: with N = 1 behavior and
    its value, with N → ∞ the best that behavior ever does. This is BCQ without the perturbation, and SfBC with one-step
    bootstrapping in place of planning and the greedy choice. Q is asked for actions that μ draws.

    μ and Q are learned side by side, where the paper learns μ first; the targets forget what μ drew early.
    """

    config: EMaQConfig
    acting_fields = frozenset({"num_candidates"})

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """μ, the members of Q, and their slow copies."""
        config = self.config
        q = EnsembleQ(obs_dim, act_dim, config.hidden, config.members)
        behavior = AutoregressiveBehavior(obs_dim, act_dim, config.hidden, config.bins)
        return {"behavior": behavior, "q": q, "target_q": slow_copy(q)}

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The likelihood of μ, and the expected-max backup of Q."""
        nets = self.nets
        state, action, reward, next_state, going_on = batch_of(batch)
        with torch.no_grad():
            best = self._best(next_state, generator, nets["target_q"].smallest)
            target = reward + self.config.discount * going_on * best[1]
        return {"behavior": nets["behavior"].loss(state, action), "q": q_loss(nets["q"](state, action), target)}

    def after_step(self, step: int) -> None:
        """The targets follow."""
        update_average(self.nets["target_q"], self.nets["q"], self.config.target_rate)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """The best of N draws by the mean of the members."""
        return self._best(states, generator, lambda state, action: self.nets["q"](state, action).mean(0))[0]

    def _best(
        self, states: Tensor, generator: RandomSource, q_of: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The best of N actions that μ draws in each state, and its Q."""
        n, act_dim = self.config.num_candidates, len(self.nets.actions.low)
        each = for_each(states, n)
        uniform = standard_uniform((len(states), n, act_dim, 2), generator, states.device)
        actions = self.nets["behavior"].draw(each, uniform)
        q = q_of(each, actions)
        return best_of(actions, q), q.amax(1)
