"""The explorer's input: each check says what was expected and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float


def finite_array(name: str, values: Any) -> Float[np.ndarray, "..."]:
    """``values`` as float64 on the CPU; all numbers must be finite."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    array = np.asarray(values, dtype=np.float64)
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{name} must be finite; got {bad} NaN or infinite of {array.size} numbers")
    return array


def checked_candidates(actions: Any, q: Any) -> tuple[Float[np.ndarray, "ny nx M"], Float[np.ndarray, "ny nx M"]]:
    """Candidates and values in the common shape ``(ny, nx, M)``; a single state becomes a 1 x 1 grid."""
    actions_array, q_array = finite_array("actions", actions), finite_array("q", q)
    if q_array.ndim not in (1, 3):
        raise ValueError(f"q must have shape (M,) or (ny, nx, M); got {q_array.shape}")
    if q_array.size == 0:
        raise ValueError(f"q must hold at least one candidate for every state; got shape {q_array.shape}")
    if actions_array.shape not in (q_array.shape, (*q_array.shape, 1)):
        raise ValueError(
            f"actions must have the shape of q, {q_array.shape}, or {(*q_array.shape, 1)}; got {actions_array.shape}. "
            "Of a vector-valued action, show one component at a time: actions[..., i]"
        )
    shape = q_array.shape if q_array.ndim == 3 else (1, 1, q_array.size)
    return actions_array.reshape(shape), q_array.reshape(shape)


def checked_axis(name: str, values: Any, length: int) -> Float[np.ndarray, " length"]:
    """Coordinates of the columns or rows of the map; 0, 1, 2… when none are given."""
    if values is None:
        return np.arange(length, dtype=np.float64)
    array = finite_array(name, values)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), one number for each state; got {array.shape}")
    if not (np.diff(array) > 0).all():
        raise ValueError(f"{name} must increase strictly; got {np.array2string(array, threshold=6, precision=4)}")
    return array


def checked_curves(density: Any, q_grid: Any, q_setting: Any = None) -> dict[str, Float[np.ndarray, "..."]]:
    """The curves of one state, where given: ``grid``, ``density`` (integrating to 1) and ``q`` of shape (settings, G)."""
    if q_setting is not None and q_grid is None:
        raise ValueError("q_setting needs q_grid, with a row for each of its values; got none")
    if density is None:
        if q_grid is not None:
            raise ValueError("q_grid needs density=(grid, mu), which says at which actions it was taken; got none")
        return {}
    if len(density) != 2:
        raise ValueError(f"density must be a pair (grid, mu); got {len(density)} items")
    grid, mu = finite_array("the grid of density", density[0]), finite_array("mu of density", density[1])
    if grid.ndim != 1 or grid.size < 2 or mu.shape != grid.shape:
        raise ValueError(f"density must be two arrays of one shape (G,), G >= 2; got {grid.shape} and {mu.shape}")
    if not (np.diff(grid) > 0).all():
        raise ValueError("the grid of density must increase strictly; it does not")
    mass = float(((mu[1:] + mu[:-1]) / 2 * np.diff(grid)).sum())  # trapezoids
    if (mu < 0).any() or mass <= 0:
        raise ValueError(
            f"mu of density must be >= 0 with a positive integral; got minimum {mu.min()}, integral {mass}"
        )
    curves = {"grid": grid, "density": mu / mass}
    if q_grid is not None:
        curves["q"] = finite_array("q_grid", q_grid)
        expected = grid.shape if q_setting is None else (len(q_setting[1]), *grid.shape)
        if curves["q"].shape != expected:
            raise ValueError(f"q_grid must have the shape of the grid, {expected}; got {curves['q'].shape}")
        curves["q"] = curves["q"].reshape(-1, grid.size)  # a row for each setting
    return curves


def checked_limits(limits: tuple[float, float] | None, actions: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Ends of the action axis: as given, or the range of the actions, symmetric when it contains 0."""
    if limits is not None:
        low, high = (float(end) for end in limits)
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"action_limits must be finite with low < high; got {limits}")
        return low, high
    low, high = float(actions.min()), float(actions.max())
    if low < 0 < high:
        high = max(-low, high)
        return -high, high
    return (low, high) if low < high else (low - 0.5, high + 0.5)
