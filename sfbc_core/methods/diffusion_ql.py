"""Diffusion-QL (Wang, Hunt and Zhou, ICLR 2023): a diffusion policy that is trained to imitate and to please Q at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.behavior import SolverConfig
from sfbc_core.configuration import config_dataclass
from sfbc_core.diffusion import ScoreNetwork, ScoreNetworkConfig, VPSchedule
from sfbc_core.diffusion.solvers import run_stages
from sfbc_core.methods.gradient import GradientMethod, batch_of
from sfbc_core.methods.q_learning import EnsembleQ, for_each, q_loss
from sfbc_core.networks import frozen, slow_copy, update_average
from sfbc_core.randomness import RandomSource, standard_normal
from sfbc_core.ranges import check_ranges
from sfbc_core.selection import select_actions
from sfbc_core.training import TrainingConfig
from sfbc_core.transitions import Transitions


@config_dataclass
class DiffusionQLConfig:
    """Everything that decides a run, apart from the data and the machine; the defaults are the paper's unless a comment
    says otherwise.
    """

    eta: float = 1.0  # weight of Q against imitation, per mean |Q|; the paper's for most of locomotion
    network: ScoreNetworkConfig = field(
        default_factory=ScoreNetworkConfig
    )  # that of SfBC; the paper's has 3 layers of 256
    schedule: VPSchedule = field(default_factory=VPSchedule)
    # As many evaluations as the paper, by a solver in place of ancestral sampling: gradients of Q pass through all of them.
    solver: SolverConfig = field(default_factory=lambda: SolverConfig.accurate(5))
    num_candidates: int = 50  # actions drawn to act, of which one is taken with weights exp(Q)
    discount: float = 0.99  # γ
    target_rate: float = 0.005
    policy_rate: float = 0.005  # of the slow policy, which acts and stands in the target
    policy_update_every: int = 5  # gradient steps
    hidden: tuple[int, ...] = (256, 256, 256)  # of Q
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4, cosine_decay=True)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, nonnegative=["eta"], count=["num_candidates", "policy_update_every"], share=["discount"])
        check_ranges(self, positive_share=["target_rate", "policy_rate"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> DiffusionQLConfig:
        """A budget for a CPU; `options` are other fields. In fewer steps the slow networks have to follow much faster."""
        training = TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)
        network = ScoreNetworkConfig((64, 32), embedding_dim=32, fourier_features=32, fourier_scale=4.0)
        rates = {"target_rate": 0.2, "policy_rate": 0.05}
        return cls(**({"network": network, "hidden": (128, 128), "training": training, **rates} | options))


class DiffusionQL(GradientMethod, config=DiffusionQLConfig):
    """The agent: ``DiffusionQL(config).fit(trajectories)``, then ``act(observations)``.

    π minimises its denoising loss on the data minus η E Q(s, a) / mean |Q| over its own actions a, the gradient of Q passing
    back through the solver (Eq. 3 of the paper). π can have many modes, but Q pulls on it until only what it likes is left;
    Q is asked for actions of π, which the imitation loss keeps near the data.
    """

    config: DiffusionQLConfig
    acting_fields = frozenset({"num_candidates"})

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """π, two of Q, and their slow copies."""
        q = EnsembleQ(obs_dim, act_dim, self.config.hidden)
        policy = ScoreNetwork(act_dim, obs_dim, self.config.network)
        return {"policy": policy, "q": q, "target_policy": slow_copy(policy), "target_q": slow_copy(q)}

    def losses(self, batch: Transitions, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The Bellman error of Q, and the imitation of π minus its value."""
        config, nets = self.config, self.nets
        state, action, reward, next_state, going_on = batch_of(batch)

        def noise() -> Tensor:
            return torch.randn(len(action), 1, action.shape[1], generator=generator, device=action.device)

        with torch.no_grad():
            next_action = self._drawn(nets["target_policy"], next_state, noise())[:, 0]
            target = reward + config.discount * going_on * nets["target_q"].smallest(next_state, next_action)
        imitation = nets["policy"].loss(action, state, config.schedule, generator).mean()
        losses = {"q": q_loss(nets["q"](state, action), target), "policy": imitation}
        if config.eta:
            with frozen(nets["q"]):
                both = nets["q"](state, self._drawn(nets["policy"], state, noise())[:, 0])
            by, other = (0, 1) if step % 2 else (1, 0)  # one of the two improves π, the other gives the unit
            scale = config.eta / both[other].detach().abs().mean().clamp_min(1e-12)
            losses["policy"] = imitation - scale * both[by].mean()
        return losses

    def after_step(self, step: int) -> None:
        """The slow networks follow."""
        update_average(self.nets["target_q"], self.nets["q"], self.config.target_rate)
        if (step + 1) % self.config.policy_update_every == 0:
            update_average(self.nets["target_policy"], self.nets["policy"], self.config.policy_rate)

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """One of some actions of the slow π, drawn with weights exp(Q)."""
        n, act_dim = self.config.num_candidates, len(self.nets.actions.low)
        noise = standard_normal((len(states), n, act_dim), generator, states.device)
        candidates = self._drawn(self.nets["target_policy"], states, noise)
        q = self.nets["target_q"].smallest(for_each(states, n), candidates)
        return select_actions(candidates, q, alpha=1.0, generator=generator)

    def _drawn(
        self, policy: ScoreNetwork, states: Float[Tensor, "B obs"], noise: Float[Tensor, "B n act"]
    ) -> Float[Tensor, "B n act"]:
        """Actions of a policy, through which gradients flow."""
        stages = self.config.solver.stages(self.config.schedule)
        model = policy.noise_model(states, policy.time_parts([stage.time for stage in stages]))
        return run_stages(model, noise, stages, self.config.solver.prediction).clamp(-1, 1)
