"""Conservative Q-learning (CQL; Kumar, Zhou, Tucker and Levine, NeurIPS 2020): Q is held down outside the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.gradient import GradientMethod, batch_of
from sfbc_core.methods.policies import SquashedGaussianPolicy
from sfbc_core.methods.q_learning import EnsembleQ, for_each, q_loss
from sfbc_core.networks import frozen, slow_copy, update_average
from sfbc_core.randomness import RandomSource, standard_normal
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig
from sfbc_core.transitions import Transitions


@config_dataclass
class CQLConfig:
    """Everything that decides a run, apart from the data and the machine: CQL(H) with a fixed weight, as in public code.

    The paper's Lagrange multiplier, which it uses in AntMaze, is left out.
    """

    penalty: float = 5.0  # α, weight of the conservative term; that of public code for locomotion
    actions: int = 10  # draws from each of three laws by which log Σ_a exp Q(s, a) is estimated; the paper's
    discount: float = 0.99  # γ
    target_rate: float = 0.005
    policy_learning_rate: float = 1e-4  # of the policy and its temperature, not of Q; public code's
    hidden: tuple[int, ...] = (256, 256, 256)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    deterministic: bool = True  # act by tanh(mean), as is usual in evaluation; otherwise by a draw
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, nonnegative=["penalty"], count=["actions"], share=["discount"], widths=["hidden"])
        check_ranges(self, positive_share=["target_rate"], positive=["policy_learning_rate"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> CQLConfig:
        """A budget for a CPU; `options` are other fields.

        In fewer steps the target networks have to follow much faster, or no reward reaches back to where a choice begins.
        """
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        sizes = {"actions": 4, "hidden": (128, 128), "policy_learning_rate": 5e-4, "target_rate": 0.2}
        return cls(**({"training": training, **sizes} | options))


def conservative_gap(
    drawn: Float[Tensor, "members B n"], log_density: Float[Tensor, "B n"], recorded: Float[Tensor, "members B"]
) -> Float[Tensor, "members B"]:
    """log ∫ exp Q(s, a) da - Q(s, a_data), the integral by importance sampling (Eq. 4 of the paper, and its Appendix F).

    Args:
        drawn: Q of n actions.
        log_density: the logarithm of the density that each was drawn from.
        recorded: Q of the action in the data.
    """
    return torch.logsumexp(drawn - log_density, -1) - math.log(drawn.shape[-1]) - recorded


class Temperature(nn.Module):
    """The weight of the entropy, learned so that the policy keeps to a target."""

    def __init__(self) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.zeros(()))


class CQL(GradientMethod, config=CQLConfig):
    """The agent: ``CQL(config).fit(trajectories)``, then ``act(observations)``.

    Soft actor-critic, whose Q is pushed down for actions at large and up for those of the data, until the policy has no
    reason to leave them. π is a squashed Gaussian with one mode in every state. Q is asked all over the bounds, which is the
    point: what it says there is held below what it says of the data.
    """

    config: CQLConfig
    acting_fields = frozenset({"deterministic"})

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """Two of Q, their slow copies, π and its temperature."""
        q = EnsembleQ(obs_dim, act_dim, self.config.hidden)
        policy = SquashedGaussianPolicy([obs_dim, *self.config.hidden, act_dim])
        return {"q": q, "target_q": slow_copy(q), "policy": policy, "temperature": Temperature()}

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The Bellman error and the conservative gap of Q; those of π and of its temperature, as in soft actor-critic."""
        config, nets = self.config, self.nets
        state, action, reward, next_state, going_on = batch_of(batch)
        size, act_dim = action.shape

        def noise(*shape: int) -> Tensor:
            return torch.randn(*shape, act_dim, generator=generator, device=action.device)

        proposed, log_likelihood = nets["policy"](state, noise(size))
        temperature = nets["temperature"].logarithm
        with frozen(nets["q"]):
            value = nets["q"].smallest(state, proposed)
        with torch.no_grad():
            next_action, _ = nets["policy"](next_state, noise(size))
            # Without the entropy of the next state's action, as in public code.
            target = reward + config.discount * going_on * nets["target_q"].smallest(next_state, next_action)
            drawn, log_density = self._drawn(state, next_state, noise, generator)
        q = nets["q"](state, action)
        gap = conservative_gap(nets["q"](for_each(state, drawn.shape[1]), drawn), log_density, q)
        return {
            "q": q_loss(q, target) + config.penalty * gap.sum(0).mean(),
            "policy": (temperature.exp().detach() * log_likelihood - value).mean(),
            "temperature": -temperature * (log_likelihood.detach().mean() - act_dim),  # the target entropy is -A
        }

    def _drawn(
        self, state: Tensor, next_state: Tensor, noise: Any, generator: torch.Generator
    ) -> tuple[Float[Tensor, "B n act"], Float[Tensor, "B n"]]:
        """Actions at large, of π in s and of π in s', with the logarithms of their densities."""
        n, (size, act_dim) = self.config.actions, (len(state), len(self.nets.actions.low))
        uniform = 2 * torch.rand(size, n, act_dim, generator=generator, device=state.device) - 1
        parts = [(uniform, uniform.new_full((size, n), -act_dim * math.log(2)))]
        parts += [self.nets["policy"](for_each(of, n), noise(size, n)) for of in (state, next_state)]
        actions, densities = zip(*parts, strict=True)
        return torch.cat(actions, 1), torch.cat(densities, 1)

    def after_step(self, step: int) -> None:
        """The target follows."""
        update_average(self.nets["target_q"], self.nets["q"], self.config.target_rate)

    def learning_rate(self, network: str, step: int, steps: int) -> float:
        """Q learns faster than π and its temperature."""
        rate = self.config.training.rate(step, steps)
        return rate if network == "q" else rate * self.config.policy_learning_rate / self.config.training.learning_rate

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """tanh(mean), or a draw."""
        policy = self.nets["policy"]
        if self.config.deterministic:
            return policy.mode(states)
        return policy(states, standard_normal((len(states), len(self.nets.actions.low)), generator, states.device))[0]
