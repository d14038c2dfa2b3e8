"""What networks share: seeded initial weights, multilayer perceptrons, ensembles, averages of weights, scales of data."""

from __future__ import annotations

import copy
import itertools
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from sfbc_core.arrays import ROUNDING_OF_DOUBLES
from sfbc_core.trajectories import Trajectories

# A deviation below this share of the largest value is rounding, which in float32 is 6e-8 of a number.
ROUNDING = 1e-6

# Rows of one call of a multilayer perceptron. On a core what fits the cache takes half as long (see the benchmarks).
# A GPU wants many.
CHUNK_ROWS = {"cpu": 4096, "cuda": 1_048_576}

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_LAYERS_LOCK = threading.RLock()


@contextmanager
def seeded_layers(seed: int) -> Iterator[None]:
    """Layers made inside draw their initial weights from `seed`; the global CPU generator is left as it was.

    torch's layers know no generator of their own, and the global one belongs to all threads: one at a time.
    """
    with _LAYERS_LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def rows_at_once(device: torch.device, rows: Mapping[str, int] = CHUNK_ROWS) -> int:
    """Rows to give a network in one call: `rows` by kind of device, by default those of a multilayer perceptron."""
    return rows.get(device.type, rows["cuda"])


def mlp(widths: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A multilayer perceptron with an activation between its linear layers.

    Args:
        widths: features of the input, of each hidden layer and of the output.
        activation: the class of the nonlinearity.
    """
    layers = [layer for i, o in itertools.pairwise(widths) for layer in (nn.Linear(i, o), activation())]
    return nn.Sequential(*layers[:-1])


def log_tanh_slope(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """log tanh'(x) = log(1 - tanh² x), in a form that does not cancel for large |x|: a density's change under the tanh."""
    return 2 * (math.log(2) - x - softplus(-2 * x))


def dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Zero the share `rate` of `x` and scale up the rest, so that the mean stays; `x` itself where there is no generator.

    torch's own draws from the global generator, and a training that resumes would not draw the same again.
    """
    if generator is None or rate == 0:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - rate, generator=generator) / (1 - rate)


class Ensemble(nn.ModuleList):
    """Networks of one kind that differ in their initial weights and answer side by side."""

    def forward(self, *inputs: Tensor) -> Float[Tensor, "members *batch"]:
        """The answers of all members to the same inputs, stacked along a new first dimension."""
        return torch.stack([member(*inputs) for member in self])


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Losses that are computed inside lead through `networks` to their inputs and leave their parameters alone."""
    parameters = [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def slow_copy(network: ModuleT) -> ModuleT:
    """A target network: the same weights, which no optimiser moves; :func:`update_average` does."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, rate: float) -> None:
    """Move the weights of `average` by the share `rate` towards those of `network`: a target network's update."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), rate)


class Standardizer(nn.Module):
    """x ↦ (x - mean) / deviation per coordinate, in float32; the identity until :meth:`fit` is called.

    The mean is float64 where the data were, which float32 could not tell apart; so are then the `x` that it asks for.

    The paper feeds raw states. A standardised first layer represents the same functions and only starts training from a
    better-scaled point, so the models here use it unless their config turns it off.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    @torch.no_grad()
    def fit(self, data: Float[Tensor, "N dim"]) -> None:
        """Take mean and deviation from the rows of `data`, in float64 so that a million rows lose nothing.

        A coordinate that never moves in the data has no deviation, and dividing by its rounding would turn that into
        signal: its unit is its size, or 1 where it is 0.
        """
        rounding = ROUNDING_OF_DOUBLES if data.dtype is torch.float64 else ROUNDING
        self.mean = self.mean.to(data.dtype)
        data = data.double() if data.device.type != "mps" else data
        deviation, largest = data.std(0, correction=0), data.abs().amax(0)
        smallest = torch.finfo(self.deviation.dtype).tiny  # by less one cannot divide
        unit = torch.where(largest > smallest, largest, 1.0)
        self.mean.copy_(data.mean(0))
        self.deviation.copy_(torch.where(deviation > (rounding * largest).clamp_min(smallest), deviation, unit))

    def fit_bounds(self, low: Float[Tensor, " dim"], high: Float[Tensor, " dim"]) -> None:
        """Take the bounds to -1 and 1; the identity, to the bit, where they are there already."""
        self.mean.copy_(0.5 * (low + high))
        self.deviation.copy_(0.5 * (high - low))

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Standardised `x`."""
        return ((x - self.mean) / self.deviation).to(self.deviation.dtype)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        if (mean := state.get(f"{prefix}mean")) is not None and mean.dtype is torch.float64:
            self.mean = self.mean.double()
        super()._load_from_state_dict(state, prefix, *rest)


class ActionScaler(nn.Module):
    """Actions between the bounds of the data ↔ actions in [-1, 1], as networks see and give them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("low", -torch.ones(dim))
        self.register_buffer("high", torch.ones(dim))

    def fit(self, data: Trajectories) -> None:
        """Take over the declared bounds of the data."""
        self.low.copy_(data.action_low)
        self.high.copy_(data.action_high)

    def scale(self, actions: Float[Tensor, "*batch act"]) -> Float[Tensor, "*batch act"]:
        """Actions within the bounds, in [-1, 1]."""
        return (2 * (actions - self.low) / (self.high - self.low) - 1).clamp(-1, 1)

    def unscale(self, actions: Float[Tensor, "*batch act"]) -> Float[Tensor, "*batch act"]:
        """Actions in [-1, 1], within the bounds."""
        return torch.lerp(self.low, self.high, 0.5 * (actions + 1))  # exact at both bounds
