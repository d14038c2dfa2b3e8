"""New candidates of one state, and the law of what is selected among them: in Python what redraws.js does in the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sfbc_core.book.widgets.numerics import candidate_weights, hashed_uniforms

AVERAGED = 4  # how many candidates "mean_of_best" is of, if there are as many


@dataclass(frozen=True)
class Redraws:
    """Draws of candidates of one state, numbered from 1.

    The first are the candidates given. The others come from the density on its grid, by the inverse of its distribution
    function, and are the same on every page: their uniform numbers are hashes.
    """

    actions: Float[np.ndarray, " M"]  # given
    q: Float[np.ndarray, " M"]  # given, for the setting `given_q_index`
    curves: dict[str, Float[np.ndarray, "..."]]  # grid, density and q, as checked_curves returns them; none: no redraws
    given_q_index: int

    def between(
        self, first: int, last: int, q_index: int
    ) -> tuple[Float[np.ndarray, "draws M"], Float[np.ndarray, "draws M"]]:
        """Actions of the draws ``first`` to ``last``, and their Q for a setting, interpolated on the grid."""
        actions, q = self.actions[None], self.q[None]
        if q_index != self.given_q_index:
            q = self.value(actions, q_index)
        if last > 1:
            others = self._drawn(max(first, 2), last)
            given = slice(0, 1 if first == 1 else 0)
            actions = np.concatenate([actions[given], others])
            q = np.concatenate([q[given], self.value(others, q_index)])
        return actions, q

    def value(self, actions: Float[np.ndarray, "..."], q_index: int) -> Float[np.ndarray, "..."]:
        """Q on the grid, interpolated."""
        return np.interp(actions, self.curves["grid"], self.curves["q"][q_index])

    def _drawn(self, first: int, last: int) -> Float[np.ndarray, "draws M"]:
        grid, density, total = self.curves["grid"], self.curves["density"], self.actions.size
        pieces = (density[1:] + density[:-1]) / 2 * np.diff(grid)  # trapezoids
        integral = np.concatenate([[0.0], pieces.cumsum()])
        uniforms = hashed_uniforms((first - 2) * total, (last - first + 1) * total)
        return np.interp(uniforms * integral[-1], integral, grid).reshape(-1, total)


def mode_weights(q: Float[np.ndarray, "*batch M"], alpha: float, mode: str) -> Float[np.ndarray, "*batch M"]:
    """What each candidate counts in the choice; modes are those of ``sfbc_core.select_actions``."""
    if mode == "sample":
        return candidate_weights(q, alpha)
    count = 1 if mode == "greedy" else min(AVERAGED, q.shape[-1])
    weights = np.zeros_like(q)
    np.put_along_axis(weights, np.argsort(-q, axis=-1, kind="stable")[..., :count], 1 / count, axis=-1)
    return weights


def selected_law(
    actions: Float[np.ndarray, "draws M"],
    q: Float[np.ndarray, "draws M"],
    alpha: float,
    mode: str,
    limits: tuple[float, float],
    bins: int,
) -> Float[np.ndarray, " bins"]:
    """The probability of each of equal bins under the law of the selected action, a mean over draws of candidates."""
    weights = mode_weights(q, alpha, mode)
    if mode == "mean_of_best":  # one action, which none of the four need be
        actions, weights = (weights * actions).sum(axis=-1, keepdims=True), np.ones((len(actions), 1))
    inside = np.clip(actions, *limits)
    return np.histogram(inside, bins, range=limits, weights=weights)[0] / len(actions)
