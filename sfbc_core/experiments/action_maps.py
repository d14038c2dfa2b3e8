"""What an agent does in every state of a 2-D grid, as in the paper's Figure 3."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.evaluation import Agent


def state_grid(x_values: Float[np.ndarray, " X"], y_values: Float[np.ndarray, " Y"]) -> Float[Tensor, "S 2"]:
    """All states of a 2-D grid, row by row in y: shape (Y · X, 2), to be reshaped to (Y, X) afterwards."""
    x, y = np.meshgrid(x_values, y_values)
    return torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32))


def action_map(
    agent: Agent, x_values: Float[np.ndarray, " X"], y_values: Float[np.ndarray, " Y"], generator: torch.Generator
) -> Float[np.ndarray, "Y X"]:
    """The first coordinate of the action that an agent takes at every state of a 2-D grid, shape (Y, X)."""
    actions = agent.act(state_grid(x_values, y_values), generator)
    return actions[:, 0].reshape(len(y_values), len(x_values)).cpu().numpy()
