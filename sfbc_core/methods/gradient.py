"""Methods that minimise losses over batches of transitions by gradient steps: the loop and the scales, written once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfbc_core.arrays import warn_of_collapse
from sfbc_core.files import join_parts, split_parts
from sfbc_core.loss_log import loss_history
from sfbc_core.methods.base import Method
from sfbc_core.networks import ActionScaler, Standardizer, seeded_layers
from sfbc_core.randomness import RandomSource, make_generator
from sfbc_core.run import Run
from sfbc_core.training import Rows, TrainingConfig, train
from sfbc_core.trajectories import Trajectories
from sfbc_core.transitions import Transitions


class Networks(nn.ModuleDict):
    """The networks of a method by name, with the scales of the data; a :class:`~sfbc_core.run.Model`.

    Args:
        make: (obs_dim, act_dim) -> fresh networks by name; "states" and "actions" are taken.
        seed: of their initial weights.
        device: where they are.

    Attributes:
        states: standardises observations. actions: scales actions to [-1, 1] and back.
        history: for each loss, its means along the training.
    """

    def __init__(self, make: Callable[[int, int], Mapping[str, nn.Module]], seed: int, device: torch.device) -> None:
        super().__init__()
        self._make, self._seed, self.device = make, seed, device
        self.history: dict[str, list[float]] = {}

    @property
    def observation_dim(self) -> int:
        """Number of state coordinates."""
        return len(self.states.mean)

    @property
    def observation_dtype(self) -> torch.dtype:
        """In which states are asked for: float32, or float64 where those of the data were."""
        return self.states.mean.dtype

    def build(self, obs_dim: int, act_dim: int) -> None:
        """Fresh networks for data of that shape."""
        self.clear()
        with seeded_layers(self._seed):
            networks = self._make(obs_dim, act_dim)
        if taken := {"states", "actions"} & set(networks):
            raise ValueError(f"the names {sorted(taken)} of networks are taken by the scales of the data")
        self.states, self.actions = Standardizer(obs_dim), ActionScaler(act_dim)
        self.update(networks)
        self.to(self.device)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and scales by name."""
        history = {name: torch.tensor(means, dtype=torch.float64) for name, means in self.history.items()}
        return join_parts({"weights": self.state_dict(), "history": history})

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> Networks:
        """Take over what :meth:`tensors` gave, of a method with the same config."""
        parts = split_parts(tensors)
        self.build(len(parts["weights"]["states.mean"]), len(parts["weights"]["actions.low"]))
        self.load_state_dict(parts["weights"])
        self.history = loss_history(parts.get("history", {}))
        return self.eval()


class GradientMethod(Method):
    """A method whose config has a field `training` and which is written as :meth:`networks`, :meth:`losses`, :meth:`choose`.

    They see standardised states and actions in [-1, 1]. The networks stand in ``self.nets`` by the names that
    :meth:`networks` gave them.
    """

    standardize_states = True

    def __init__(self, config: Any = None, device: torch.device | str = "cpu") -> None:
        super().__init__(config, device)
        if not isinstance(getattr(self.config, "training", None), TrainingConfig):
            raise TypeError(
                f"{type(self.config).__name__} needs a field `training: TrainingConfig`: how a GradientMethod is trained"
            )
        self.nets = Networks(self.networks, self.config.seed, self.device)
        self.watch: Callable[[int], None] | None = None  # called with the number of gradient steps done, after each

    @abstractmethod
    def networks(self, obs_dim: int, act_dim: int) -> Mapping[str, nn.Module]:
        """Fresh networks by name. Those whose parameters require no gradient are target networks."""

    @abstractmethod
    def losses(self, batch: Any, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Scalar losses by name, of a batch of :meth:`rows`; no parameter gets gradients from two of them."""

    @abstractmethod
    def choose(self, states: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """Actions in [-1, 1] for standardised states."""

    def after_step(self, step: int) -> None:
        """What follows each gradient step, without gradients: the update of target networks."""

    def learning_rate(self, network: str, step: int, steps: int) -> float:
        """The learning rate of a network in a gradient step; that of the config for all unless overridden."""
        return self.config.training.rate(step, steps)

    def rows(self, data: Trajectories) -> Rows:
        """What batches are drawn from; `data` has standardised states and actions in [-1, 1]."""
        return data.transitions()

    def models(self) -> dict[str, Networks]:
        """The networks."""
        return {"networks": self.nets}

    def learn(self, data: Trajectories, run: Run, progress: bool) -> None:
        """Minimise the losses."""
        run.fit("networks", self.nets, lambda checkpoint: self._train(data, checkpoint, progress))

    def _train(self, data: Trajectories, checkpoint: Any, progress: bool) -> None:
        self.nets.build(data.observation_dim, data.action_dim)
        if self.standardize_states:
            self.nets.states.fit(data.observations)
        else:
            warn_of_collapse("observations", data.observations)
        self.nets.actions.fit(data)
        self.nets.history = train(
            dict(self.nets),
            self.losses,
            self.rows(self._scaled(data)),
            self.config.training,
            make_generator(self.config.seed, "training", device=self.device),
            learning_rate=self.learning_rate,
            after_step=self._after_step,
            checkpoint=checkpoint,
            progress=type(self).__name__ if progress else None,
        )

    def _after_step(self, step: int) -> None:
        self.after_step(step)
        if self.watch is not None:
            self.watch(step + 1)

    def _scaled(self, data: Trajectories) -> Trajectories:
        following = data.next_observations
        return Trajectories(
            self.nets.states(data.observations),
            self.nets.actions.scale(data.actions),
            data.rewards,
            data.terminals,
            data.timeouts,
            next_observations=None if following is None else self.nets.states(following),
        )

    def decide(self, observations: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """What :meth:`choose` says, between the scales of the data."""
        return self.nets.actions.unscale(self.choose(self.nets.states(observations), generator))


def batch_of(batch: Transitions) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(s, a, r, s', 1 - terminal) of a batch, the last as a factor."""
    return batch.observations, batch.actions, batch.rewards, batch.next_observations, (~batch.terminals).float()
