"""The action evaluation model Q(s, a), regressed onto planned targets (Section 4.2, Appendix B.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.data import TensorDataset

from sfbc_core.arrays import (
    ArrayLike,
    as_floats,
    as_given,
    as_tensor,
    check_finite,
    warn_of_collapse,
    warn_the_caller,
)
from sfbc_core.configuration import config_dataclass
from sfbc_core.files import join_parts, split_parts
from sfbc_core.loss_log import loss_history
from sfbc_core.networks import ROUNDING, Ensemble, Standardizer, mlp, rows_at_once, seeded_layers
from sfbc_core.randomness import make_generator
from sfbc_core.ranges import check_ranges
from sfbc_core.training import TrainingConfig, train
from sfbc_core.trajectories import Trajectories


@config_dataclass
class CriticConfig:
    """Sizes and training of Q."""

    hidden: tuple[int, ...] = (256, 256)  # the paper's; antmaze-large adds a layer of 512: (512, 256, 256)
    members: int = 1  # networks whose mean is Q; the paper has one
    minimum_deviation: float = 0.1  # floor of the targets' deviation, in units of reward; 0 makes Q free of that unit
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(epochs=100, batch_size=256, learning_rate=1e-3)
    )  # epochs and rate are the paper's
    standardize_states: bool = True  # the paper does not say

    def __post_init__(self) -> None:
        check_ranges(self, widths=["hidden"], count=["members"], nonnegative=["minimum_deviation"])

    def scale_of(self, targets: Float[Tensor, " N"]) -> float:
        """The deviation of targets or returns, in which α is meant, with the floor; warns where the floor is what counts.

        Targets that are all the same are no reason to warn. They are kept from being blown up even without a floor.
        """
        deviation, rounding = float(targets.std(correction=0)), ROUNDING * float(targets.abs().max())
        if rounding < deviation < self.minimum_deviation:
            warn_the_caller(
                f"the deviation of the returns or targets, {deviation:.3g}, is below minimum_deviation = "
                f"{self.minimum_deviation:g}: Q is learned as if they were that wide, and α counts for less. Where "
                "rewards have small units, set minimum_deviation=0 in the CriticConfig"
            )
        return max(deviation, self.minimum_deviation, rounding) or 1.0

    @classmethod
    def small(cls, gradient_steps: int = 2000) -> CriticConfig:
        """The paper's network with a budget for a CPU."""
        return cls(training=TrainingConfig.small(gradient_steps, batch_size=256))


class _QNetwork(nn.Module):
    """MLP with SiLU on (state, action), its first layer split so that the state's part is computed once a state."""

    def __init__(self, observation_dim: int, action_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.state_layer = nn.Linear(observation_dim, hidden[0])
        self.action_layer = nn.Linear(action_dim, hidden[0], bias=False)
        self.rest = nn.Sequential(nn.SiLU(), *mlp([*hidden, 1], nn.SiLU))

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """`states` broadcasts against the leading dimensions of `actions`."""
        if states.shape[:-1] == actions.shape[:-1]:
            # One action a state, as in training: then one product of both is faster than two and their sum.
            weight = torch.cat([self.state_layer.weight, self.action_layer.weight], dim=1)
            first = linear(torch.cat([states, actions], dim=-1), weight, self.state_layer.bias)
        else:
            first = self.state_layer(states) + self.action_layer(actions)
        return self.rest(first).squeeze(-1)


class QCritic:
    """Q(s, a) in units of reward.

    The regression is on targets normalised to mean 0 and deviation 1, with a floor on the deviation; :attr:`scale` is the
    deviation, in which the paper's α is meant: softmax(αQ) uses α / scale. There is no target network, and by default, as in
    the paper, no ensemble: with `members` > 1, Q is the mean of networks that differ in their initial weights and learn from
    the same batches, each for itself; errors that only one of them makes count less. :meth:`fit` always starts from fresh
    weights, as the paper does at each value iteration.

    Args:
        config: sizes and training.
        seed: of the initial weights and the batches.
        device: where the weights are.
    """

    def __init__(self, config: CriticConfig | None = None, seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.config = config or CriticConfig()
        self.seed = seed
        self.device = torch.device(device)
        self.network: Ensemble | None = None
        self.history: list[float] = []

    def fit(
        self,
        trajectories: Trajectories,
        targets: Float[Tensor, " N"] | ArrayLike,
        *,
        rows: Int[Tensor, " R"] | ArrayLike | None = None,
        checkpoint: Path | None = None,
        progress: bool = False,
    ) -> QCritic:
        """Least squares on (s_n, a_n) ↦ target_n.

        Args:
            trajectories: the data set.
            targets: shape (N,), in units of reward.
            rows: the transitions whose targets are learned; all if not given. States are standardised over all of them
                in either case.
            checkpoint: file for the state of an unfinished training.
            progress: whether to show a progress bar.

        Raises:
            TypeError: targets or rows that are no real numbers.
            ValueError: a wrong number of targets, targets that are not finite, or no rows.
        """
        # In double precision, which not every device has.
        targets = as_tensor("targets", targets, 1, torch.float64, torch.device("cpu"))
        if targets.shape != (len(trajectories),):
            raise ValueError(
                f"expected one target for each of the {len(trajectories)} transitions, got {tuple(targets.shape)}"
            )
        check_finite("targets", targets)
        chosen = slice(None) if rows is None else as_tensor("rows", rows, 1, torch.int64, torch.device("cpu"))
        targets = targets[chosen]
        if not len(targets):
            raise ValueError("expected at least one transition to learn from, got no rows")
        trajectories = trajectories.to(self.device)
        self._build(trajectories.observation_dim, trajectories.action_dim)
        self.offset = float(targets.mean())
        self.scale = self.config.scale_of(targets)
        if self.config.standardize_states:
            self.standardizer.fit(trajectories.observations)
        else:
            warn_of_collapse("observations", trajectories.observations)
        self.actions.fit_bounds(trajectories.action_low, trajectories.action_high)
        normalised = ((targets - self.offset) / self.scale).float().to(self.device)

        def losses(batch: tuple[Tensor, ...], step: int, generator: torch.Generator) -> dict[str, Tensor]:
            states, actions, target = batch
            return {"q": (self.network(states, actions) - target).square().mean()}

        states = self.standardizer(trajectories.observations)[chosen]
        history = train(
            {"network": self.network},
            losses,
            TensorDataset(states, self.actions(trajectories.actions)[chosen], normalised),
            self.config.training,
            make_generator(self.seed, "critic", device=self.device),
            checkpoint=checkpoint,
            progress="QCritic" if progress else None,
        )
        self.history = history["q"]
        return self

    @torch.no_grad()
    def q(
        self, states: Float[Tensor, "S obs"] | ArrayLike, actions: Float[Tensor, "S M act"] | ArrayLike
    ) -> Float[Tensor, "S M"] | Float[np.ndarray, "S M"]:
        """Q of M actions for each state, in units of reward.

        Args:
            states: shape (S, obs): a tensor, or an array, lists or a DataFrame of numbers.
            actions: shape (S, M, act), likewise.

        Returns:
            float32, shape (S, M): on the device of the states where they are a tensor, or else a numpy array.

        Raises:
            RuntimeError: the critic is not fitted.
            TypeError: states or actions that are no real numbers.
            ValueError: shapes that do not fit the data or each other, or NaN or infinity.
        """
        self._require_fitted()
        asked, shape = states, ("S", len(self.standardizer.mean))
        states = as_floats("states", states, shape, dtype=self.observation_dtype)
        actions = as_floats("actions", actions, (len(states), "M", self.network[0].action_layer.in_features))
        chunk = max(1, rows_at_once(self.device) // max(1, actions.shape[1]))
        result = torch.empty(actions.shape[:2], device=self.device)
        for first in range(0, len(states), chunk):
            part = slice(first, first + chunk)
            inputs = self.standardizer(states[part].to(self.device))[:, None]
            given = self.actions(actions[part].to(self.device))
            result[part] = self.network(inputs, given).mean(0)
        return as_given(result * self.scale + self.offset, asked)

    @property
    def observation_dtype(self) -> torch.dtype:
        """In which states are asked for: float32, or float64 where those of the data were."""
        return self.standardizer.mean.dtype

    def member(self, index: int) -> QCritic:
        """The critic that is one of the members alone; it shares the weights and the scale.

        Raises:
            RuntimeError: the critic is not fitted.
            IndexError: there is no such member.
        """
        self._require_fitted()
        if not 0 <= index < self.config.members:
            raise IndexError(f"index must lie between 0 and {self.config.members - 1}, got {index}")
        alone = QCritic(replace(self.config, members=1), self.seed, self.device)
        alone.network = Ensemble([self.network[index]])
        alone.standardizer, alone.actions = self.standardizer, self.actions
        alone.offset, alone.scale = self.offset, self.scale
        return alone

    def tensors(self) -> dict[str, Tensor]:
        """Everything that :meth:`q` needs, by name, for a safetensors file."""
        self._require_fitted()
        scalars = {"offset": self.offset, "scale": self.scale, "history": self.history}
        parts = {name: getattr(self, name).state_dict() for name in ("network", "standardizer", "actions")}
        parts |= {"training": {name: torch.tensor(value, dtype=torch.float64) for name, value in scalars.items()}}
        return join_parts(parts)

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> QCritic:
        """Take over what :meth:`tensors` gave, of a critic with the same config."""
        parts = split_parts(tensors)
        network, training = parts["network"], parts["training"]
        self._build(network["0.state_layer.weight"].shape[1], network["0.action_layer.weight"].shape[1])
        for name in ("network", "standardizer", "actions"):
            getattr(self, name).load_state_dict(parts[name])
        self.offset, self.scale = float(training["offset"]), float(training["scale"])
        self.history = loss_history({"history": training["history"]})["history"]
        self.network.eval()
        return self

    def _require_fitted(self) -> None:
        if self.network is None:
            raise RuntimeError("this QCritic is not fitted yet: call fit(trajectories, targets) first")

    def _build(self, observation_dim: int, action_dim: int) -> None:
        self.standardizer = Standardizer(observation_dim).to(self.device)
        self.actions = Standardizer(action_dim).to(self.device)  # to [-1, 1], whatever the bounds
        with seeded_layers(self.seed):
            members = [_QNetwork(observation_dim, action_dim, self.config.hidden) for _ in range(self.config.members)]
        self.network = Ensemble(members).to(self.device)
