"""The explorer's arithmetic in Python, for the still picture: what selection.js does for the page."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from sfbc_core.selection import selection_weights


def candidate_weights(q: Float[np.ndarray, "*batch M"], alpha: float) -> Float[np.ndarray, "*batch M"]:
    """Selection probabilities softmax(αQ) over the last axis (Eq. 8), from ``sfbc_core.selection``."""
    rows = torch.from_numpy(np.ascontiguousarray(q.reshape(-1, q.shape[-1])))  # (S, M)
    return selection_weights(rows, alpha).numpy().reshape(q.shape)


def hashed_uniforms(start: int, count: int) -> Float[np.ndarray, " count"]:
    """Fixed numbers in (0, 1): hashes of the indices from ``start`` on."""
    bits = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = ((bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)) & mask
    return (bits.astype(np.float64) + 0.5) / 2.0**32


def state_uniforms(count: int) -> Float[np.ndarray, " count"]:
    """One fixed number in (0, 1) for each state, so that a sampled map does not flicker."""
    return hashed_uniforms(0, count)


def map_values(
    actions: Float[np.ndarray, "ny nx M"], q: Float[np.ndarray, "ny nx M"], alpha: float, mode: str
) -> Float[np.ndarray, "ny nx"]:
    """The action that the map shows at every state: the mean, the greedy or one sampled action."""
    ny, nx, total = q.shape
    weights = candidate_weights(q, alpha)
    if mode == "mean":
        return (weights * actions).sum(axis=-1)
    if mode == "greedy":
        chosen = q.argmax(axis=-1)
    else:
        uniforms = state_uniforms(ny * nx).reshape(ny, nx, 1)
        # The last cumulative sum may fall short of 1 by rounding: never look past the last candidate.
        chosen = np.minimum((weights.cumsum(axis=-1) <= uniforms).sum(axis=-1), total - 1)
    return np.take_along_axis(actions, chosen[..., None], axis=-1)[..., 0]
