"""VEM (Ma et al., ICLR 2022): expectile learning of V alone, from returns that are planned along the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.configuration import config_dataclass
from sfbc_core.methods.iql import expectile_loss
from sfbc_core.methods.memory import MemoryMethod
from sfbc_core.methods.policies import GaussianPolicy
from sfbc_core.networks import Ensemble, mlp, slow_copy
from sfbc_core.planning import planned_returns
from sfbc_core.ranges import check_ranges
from sfbc_core.selection import check_inverse_temperature
from sfbc_core.training import TrainingConfig
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import NumberedSteps


@config_dataclass
class VEMConfig:
    """Everything that decides a run, apart from the data and the machine; sizes are ours where no comment says otherwise."""

    expectile: float = 0.9  # τ; 1/2: the values of behavior, 1: the best in the data. The paper chooses it task by task
    inverse_temperature: float = 10.0  # α of the policy's weights exp(αA), per unit of reward
    max_weight: float = 100.0  # no transition counts more than this in the policy's loss
    discount: float = 0.99  # γ
    plan_every: int = 100  # gradient steps between one plan of the memory and the next
    hidden: tuple[int, ...] = (256, 256)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(1_000_000, batch_size=256, learning_rate=3e-4)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        check_inverse_temperature(self.inverse_temperature, "inverse_temperature")
        check_ranges(self, between=["expectile"], positive=["max_weight"], share=["discount"])
        check_ranges(self, count=["plan_every"], widths=["hidden"])

    @classmethod
    def small(cls, gradient_steps: int = 5000, **options: Any) -> VEMConfig:
        """A budget for a CPU; `options` are other fields."""
        return cls(**({"training": TrainingConfig.small(gradient_steps, batch_size=256, learning_rate=1e-3)} | options))


class VEM(MemoryMethod, config=VEMConfig):
    """The agent: ``VEM(config).fit(trajectories)``, then ``act(observations)``.

    Every so many steps R̂_n = r_n + γ max(R̂_(n+1), V(s_(n+1))) is planned along all of the data with the V of that moment;
    V(s) is the τ-expectile of R̂, and the policy, a Gaussian of one mode, clones the data with weights exp(α(R̂ - V)).
    There is no Q, and V is never asked for anything outside the data. Where chance decides what follows, an expectile above
    1/2 takes luck for skill (Appendix G.1 of SfBC's paper).
    """

    config: VEMConfig

    @property
    def renew_every(self) -> int:
        """The config's `plan_every`."""
        return self.config.plan_every

    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """Two of V, of which the smaller plans, the copy that the last plan was made with, and π."""
        v = Ensemble(mlp([obs_dim, *self.config.hidden, 1]) for _ in range(2))
        return {"v": v, "memory_v": slow_copy(v), "policy": GaussianPolicy([obs_dim, *self.config.hidden, act_dim])}

    def losses(self, batch: NumberedSteps, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The expectile of V against the memory, and the weighted likelihood of π."""
        config, nets = self.config, self.nets
        (planned,) = self.remembered(batch)
        gap = planned - nets["v"](batch.observations)[..., 0]  # (2, B)
        weight = (config.inverse_temperature * gap.detach().mean(0)).exp().clamp(max=config.max_weight)
        likelihood = nets["policy"](batch.observations).log_prob(batch.actions).sum(1)
        return {
            "v": expectile_loss(gap, config.expectile).sum(0).mean(),
            "policy": -(weight * likelihood).mean(),
        }

    def compute(self, data: Trajectories, values: Float[Tensor, " N"]) -> tuple[Float[Tensor, " N"]]:
        """R̂ of every transition."""
        return (planned_returns(data, values, self.config.discount).float(),)
