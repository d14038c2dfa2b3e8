"""Where there are data: is a state, or what is done in it, near anything that was recorded?"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from sfbc_core.networks import ActionScaler, Standardizer
from sfbc_core.trajectories import Trajectories

INSIDE = 0.99  # share of held-out data that count as near the data


class DataSupport:
    """Says of states, and of pairs (state, action), whether they are farther from the data than data are from each other.

    Far is what is farther from its nearest recorded neighbor than 99 in 100 held-out states or pairs are from theirs: so of
    what the behavior does 1 % counts as far, whatever the data. Distances are Euclidean, of standardised states and of
    actions scaled to [-1, 1]; they tell something where these have few coordinates and the data lie close.

    Args:
        data: what was learned from.
        held_out: of the same kind and not in the data: generated with another seed, or episodes that were kept aside.

    Attributes:
        state_limit, pair_limit: the distances from which on a state and a pair are far.

    Raises:
        ValueError: `held_out` has other dimensions than the data.
    """

    def __init__(self, data: Trajectories, held_out: Trajectories) -> None:
        shapes = [(part.observation_dim, part.action_dim) for part in (data, held_out)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the held-out data must have the data's {shapes[0]} coordinates of states and actions, got {shapes[1]}"
            )
        self.standardizer, self.scaler = Standardizer(data.observation_dim), ActionScaler(data.action_dim)
        self.standardizer.fit(data.observations)
        self.scaler.fit(data)
        self._states, self._pairs = (cKDTree(points) for points in self._points(data.observations, data.actions))
        states, pairs = self._points(held_out.observations, held_out.actions)
        self.state_limit, self.pair_limit = (
            float(np.quantile(tree.query(points)[0], INSIDE))
            for tree, points in ((self._states, states), (self._pairs, pairs))
        )

    def _points(
        self, observations: Float[Tensor, "N obs"], actions: Float[Tensor, "N act"]
    ) -> tuple[Float[np.ndarray, "N obs"], Float[np.ndarray, "N both"]]:
        states = self.standardizer(observations)
        return states.cpu().numpy(), torch.cat([states, self.scaler.scale(actions)], dim=1).cpu().numpy()

    def far_states(self, observations: Float[Tensor, "N obs"]) -> Bool[np.ndarray, " N"]:
        """Which states are far from all that are recorded."""
        return self._states.query(self.standardizer(observations).cpu().numpy())[0] > self.state_limit

    def far_pairs(
        self, observations: Float[Tensor, "N obs"], actions: Float[Tensor, "N act"]
    ) -> Bool[np.ndarray, " N"]:
        """Of which states with their actions nothing like it is recorded."""
        return self._pairs.query(self._points(observations, actions)[1])[0] > self.pair_limit
