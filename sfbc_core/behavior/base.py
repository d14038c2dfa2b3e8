"""What every generative model of the behavior policy μ(a|s) shares: fitting, batched sampling, saving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from sfbc_core.arrays import ArrayLike, as_floats, as_given, as_tensor, warn_of_collapse
from sfbc_core.files import join_parts, split_parts
from sfbc_core.loss_log import loss_history
from sfbc_core.networks import ActionScaler, Standardizer, seeded_layers
from sfbc_core.randomness import RandomSource, make_generator, standard_normal
from sfbc_core.training import TrainingConfig, train
from sfbc_core.trajectories import Trajectories

SAMPLED_TOGETHER = {"cpu": 65_536, "cuda": 1_048_576}  # actions that are drawn and scaled at a time
JUDGED_ROWS = 4096  # held-out transitions whose loss is followed along a training


class BehaviorModel(ABC):
    """A model of μ(a|s): ``fit(trajectories)``, then ``sample(states, n)``.

    A new model is one file with a config and three methods: :meth:`make_network`, :meth:`loss` and :meth:`draw`. Those see
    standardised states and actions scaled to [-1, 1]; this class takes care of the scaling.

    Args:
        config: the model's frozen config, with a field `training`.
        seed: of the initial weights, the batches and the noise of the loss.
        device: where the weights are and the work is done.
    """

    config: Any

    def __init__(self, config: Any, seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        self.network: nn.Module | None = None
        self.history: list[float] = []  # the loss along the training, a mean for every `log_every` steps
        self.held_out_history: list[float] = []  # of held-out data, before the last step of each full interval
        self.sampling_generator = make_generator(seed, "sample", device=self.device)

    @abstractmethod
    def make_network(self, observation_dim: int, action_dim: int) -> nn.Module:
        """A freshly initialised network."""

    @abstractmethod
    def loss(
        self, states: Float[Tensor, "B obs"], actions: Float[Tensor, "B act"], generator: torch.Generator
    ) -> Float[Tensor, " B"]:
        """The loss of each row."""

    @abstractmethod
    def draw(self, states: Float[Tensor, "S obs"], noise: Float[Tensor, "S n *noise"]) -> Float[Tensor, "S n act"]:
        """Actions from standard normal noise of shape (S, n, :attr:`noise_dim`)."""

    @property
    def noise_dim(self) -> int:
        """Number of normal variables that one sample is made from; the number of action coordinates unless overridden."""
        return self.action_dim

    @property
    def observation_dim(self) -> int:
        """Number of state coordinates."""
        return self.standardizer.mean.shape[0]

    @property
    def observation_dtype(self) -> torch.dtype:
        """In which states are asked for: float32, or float64 where those of the data were."""
        return self.standardizer.mean.dtype

    @property
    def action_dim(self) -> int:
        """Number of action coordinates."""
        return self.scaler.low.shape[0]

    @property
    def training(self) -> TrainingConfig:
        """How the model is trained."""
        return self.config.training

    def fit(
        self,
        trajectories: Trajectories,
        *,
        weights: Float[Tensor, " N"] | ArrayLike | None = None,
        held_out: Trajectories | None = None,
        checkpoint: Path | None = None,
        progress: bool = False,
    ) -> BehaviorModel:
        """Learn μ from the actions in the data.

        Args:
            weights: non-negative weight of every transition in the loss, shape (N,); None weighs all alike.
            held_out: transitions that are not learned from, whose loss is followed along the training. It stops falling
                where more training has no more to give, and rises where the model learns the data by heart.
            checkpoint: where an unfinished training is kept; see :func:`sfbc_core.training.train`.
            progress: whether to show a progress bar.

        Raises:
            TypeError: `weights` that are no real numbers.
            ValueError: `weights` of another length, negative or not finite; `held_out` of other dimensions.
        """
        trajectories = trajectories.to(self.device)
        weights = _checked_weights(weights, trajectories)
        self._build(trajectories.observation_dim, trajectories.action_dim)
        self.scaler.fit(trajectories)
        if getattr(self.config, "standardize_states", True):
            self.standardizer.fit(trajectories.observations)
        else:
            warn_of_collapse("observations", trajectories.observations)
        states = self.standardizer(trajectories.observations)
        actions = self.scaler.scale(trajectories.actions)

        judge = None if held_out is None else self._judge(held_out)

        def losses(batch: tuple[Tensor, ...], step: int, generator: torch.Generator) -> dict[str, Tensor]:
            states, actions, weights = batch
            values = {"behavior": (weights * self.loss(states, actions, generator)).mean()}
            if judge is not None and (step + 1) % self.training.log_every == 0:
                values["held out"] = judge()  # a constant to the optimizer
            return values

        history = train(
            {"network": self.network},
            losses,
            TensorDataset(states, actions, weights),
            self.training,
            make_generator(self.seed, "training", device=self.device),
            checkpoint=checkpoint,
            progress=type(self).__name__ if progress else None,
        )
        self.history, self.held_out_history = history["behavior"], history.get("held out", [])
        return self

    @torch.no_grad()
    def sample(
        self, states: Float[Tensor, "S obs"] | ArrayLike, n: int, generator: RandomSource | None = None
    ) -> Float[Tensor, "S n act"] | Float[np.ndarray, "S n act"]:
        """Draw `n` actions from μ(·|s) for each state.

        Args:
            states: shape (S, obs): a tensor, or an array, lists or a DataFrame of numbers.
            n: samples a state, at least 1.
            generator: one, or one for each state; by default the model's own, seeded by its seed.

        Returns:
            float32, shape (S, n, act), for a tensor on its device, for anything else as a numpy array.

        Raises:
            RuntimeError: the model is not fitted.
            TypeError: states that are no real numbers.
            ValueError: states of another width than in the data, or NaN or infinity among them; n < 1; generators that are
                not one for each state.
        """
        inputs = self._standardized(states)
        if n < 1:
            raise ValueError(f"expected at least 1 sample a state, got {n}")
        source = self.sampling_generator if generator is None else generator
        shape = (len(inputs), n, self.noise_dim)
        noise = standard_normal(shape, source, self.device)
        # By parts: for a million states each intermediate would take as much memory as the result.
        part = max(1, SAMPLED_TOGETHER.get(self.device.type, SAMPLED_TOGETHER["cuda"]) // n)
        actions = torch.empty(len(inputs), n, self.action_dim, device=self.device)
        for target, given, drawn in zip(actions.split(part), inputs.split(part), noise.split(part), strict=True):
            target.copy_(self.scaler.unscale(self.draw(given, drawn).clamp_(-1, 1)))
        return as_given(actions, states)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, standardisation and bounds, by name, for a safetensors file."""
        self._require_fitted()
        parts = {"network": self.network.state_dict(), "standardizer": self.standardizer.state_dict()}
        parts |= {"scaler": self.scaler.state_dict()}
        parts["training"] = {"history": torch.tensor(self.history, dtype=torch.float64)}
        if self.held_out_history:
            parts["training"]["held out"] = torch.tensor(self.held_out_history, dtype=torch.float64)
        return join_parts(parts)

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> BehaviorModel:
        """Take over what :meth:`tensors` gave, of a model with the same config."""
        parts = split_parts(tensors)
        self._build(len(parts["standardizer"]["mean"]), len(parts["scaler"]["low"]))
        for name in ("network", "standardizer", "scaler"):
            getattr(self, name).load_state_dict(parts[name])
        histories = loss_history(parts["training"])
        self.history, self.held_out_history = histories["history"], histories.get("held out", [])
        self.network.eval()
        return self

    def _build(self, observation_dim: int, action_dim: int) -> None:
        self.standardizer = Standardizer(observation_dim).to(self.device)
        self.scaler = ActionScaler(action_dim).to(self.device)
        with seeded_layers(self.seed):
            self.network = self.make_network(observation_dim, action_dim).to(self.device)

    def _judge(self, held_out: Trajectories) -> Callable[[], Tensor]:
        """A function that gives the mean loss of held-out rows: always the same ones, with the same noise."""
        dims, own = (held_out.observation_dim, held_out.action_dim), (self.observation_dim, self.action_dim)
        if dims != own:
            raise ValueError(f"expected held-out data of dimensions {own}, got {dims}")
        rows = torch.randperm(len(held_out), generator=make_generator(self.seed, "held out"))[:JUDGED_ROWS]
        states = self.standardizer(held_out.observations[rows].to(self.device))
        actions = self.scaler.scale(held_out.actions[rows].to(self.device))

        @torch.no_grad()
        def judge() -> Tensor:
            return self.loss(states, actions, make_generator(self.seed, "judged", device=self.device)).mean()

        return judge

    def _standardized(self, states: Float[Tensor, "S obs"] | ArrayLike) -> Float[Tensor, "S obs"]:
        """Raw states as the network sees them."""
        self._require_fitted()
        shape = ("S", self.observation_dim)
        return self.standardizer(as_floats("states", states, shape, self.device, self.observation_dtype))

    def _require_fitted(self) -> None:
        if self.network is None:
            raise RuntimeError(f"this {type(self).__name__} is not fitted yet: call fit(trajectories) first")


def _checked_weights(weights: ArrayLike | None, trajectories: Trajectories) -> Tensor:
    if weights is None:
        return torch.ones_like(trajectories.rewards)
    weights = as_tensor("weights", weights, 1, torch.float32, trajectories.device)
    if weights.shape != trajectories.rewards.shape:
        raise ValueError(
            f"expected one weight for each of the {len(trajectories)} transitions, got {tuple(weights.shape)}"
        )
    if not (torch.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError("weights must be finite and non-negative, and not all zero")
    return weights / weights.mean()  # so that a learning rate means the same whatever the weights' scale
