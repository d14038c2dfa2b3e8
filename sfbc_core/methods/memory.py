"""For methods that learn from targets of all the data, computed anew every so many gradient steps."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.methods.gradient import GradientMethod
from sfbc_core.networks import rows_at_once, update_average
from sfbc_core.randomness import RandomSource
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import NumberedSteps


class MemoryMethod(GradientMethod):
    """A method with a memory: numbers for each transition of the data, from a copy of V that stays for some gradient steps.

    Its networks are "v", an :class:`~sfbc_core.networks.Ensemble` over states, "memory_v", the copy that the memory was made
    with, and "policy", a :class:`~sfbc_core.methods.policies.GaussianPolicy`, whose mean acts.
    """

    @property
    @abstractmethod
    def renew_every(self) -> int:
        """Gradient steps between one memory and the next."""

    @abstractmethod
    def compute(self, data: Trajectories, values: Float[Tensor, " N"]) -> tuple[Float[Tensor, " N"], ...]:
        """The memory: numbers for each transition of standardised data, `values` being V of its states."""

    def rows(self, data: Trajectories) -> NumberedSteps:
        """The steps, by their rows in the memory, which is computed when it is first asked for."""
        self.data, self.memory = data, None
        return data.steps()

    def remembered(self, batch: NumberedSteps) -> tuple[Float[Tensor, " B"], ...]:
        """What the memory holds of a batch."""
        if self.memory is None:
            self.memory = self.fresh_memory(self.data)
        return tuple(column[batch.rows] for column in self.memory)

    @torch.no_grad()
    def fresh_memory(self, data: Trajectories) -> tuple[Float[Tensor, " N"], ...]:
        """The memory with the copy of V, of which the smallest member counts; `data` has standardised states."""
        parts = data.observations.split(rows_at_once(data.device))
        return self.compute(data, torch.cat([self.nets["memory_v"](part)[..., 0].amin(0) for part in parts]))

    def after_step(self, step: int) -> None:
        """Forget the memory when its time has come, and take up the V of now."""
        if (step + 1) % self.renew_every == 0:
            update_average(self.nets["memory_v"], self.nets["v"], 1.0)
            self.memory = None

    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """The mean of the policy."""
        return self.nets["policy"](states).mean
