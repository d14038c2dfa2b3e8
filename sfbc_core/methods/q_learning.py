"""What the methods share that learn Q by bootstrapping: some networks of it side by side, and their loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.networks import Ensemble, mlp


class EnsembleQ(Ensemble):
    """Q(s, a) by `members` networks, of which the smallest or a mixture counts: a maximum over noise is too high."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: Sequence[int], members: int = 2) -> None:
        super().__init__(mlp([obs_dim + act_dim, *hidden, 1]) for _ in range(members))

    def forward(
        self, states: Float[Tensor, "*batch obs"], actions: Float[Tensor, "*batch act"]
    ) -> Float[Tensor, "members *batch"]:
        """Q of every member."""
        return super().forward(torch.cat([states, actions], -1))[..., 0]

    def first(
        self, states: Float[Tensor, "*batch obs"], actions: Float[Tensor, "*batch act"]
    ) -> Float[Tensor, "*batch"]:
        """Q of the first member alone, which policies are improved by."""
        return self[0](torch.cat([states, actions], -1))[..., 0]

    def smallest(
        self, states: Float[Tensor, "*batch obs"], actions: Float[Tensor, "*batch act"]
    ) -> Float[Tensor, "*batch"]:
        """The smallest of the members' Q."""
        return self(states, actions).amin(0)


def q_loss(q: Float[Tensor, "members B"], target: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """The mean squared error over the batch, summed over the members: each is fitted to the same target."""
    return (target - q).square().sum(0).mean()


def for_each(states: Float[Tensor, "B obs"], n: int) -> Float[Tensor, "B n obs"]:
    """Each state n times, as a view: to stand beside n actions."""
    return states[:, None].expand(-1, n, -1)


def best_of(actions: Float[Tensor, "B n act"], q: Float[Tensor, "B n"]) -> Float[Tensor, "B act"]:
    """The action of the largest Q in each row."""
    return actions[torch.arange(len(q), device=q.device), q.argmax(1)]
