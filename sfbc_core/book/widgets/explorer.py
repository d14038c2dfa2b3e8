"""The action explorer: move α and M, and see which action SfBC selects.

SfBC draws M candidate actions from the behavior policy μ(·|s) and plays candidate i with probability
``softmax(α Q(s, a_i))`` (Eq. 8). Once candidates and their values are known, everything that α and M change is
arithmetic, so it needs no model and no Python: the browser redoes it at every move of a slider.

Arrays travel as 16-bit codes, scaled for each state by itself: the softmax sees differences of Q *within* a state,
and these can be far smaller than the differences between states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Num

from sfbc_core.book.widgets.book_widget import BookWidget, load_module
from sfbc_core.book.widgets.explorer_preview import preview_png
from sfbc_core.book.widgets.inputs import checked_axis, checked_candidates, checked_curves, checked_limits
from sfbc_core.book.widgets.packing import encode, pack_rows
from sfbc_core.book.widgets.redraws import Redraws, mode_weights, selected_law

ArrayLike = np.ndarray | torch.Tensor

MODULE = (
    *("selection.js", "law.js", "redraws.js", "action_sliders.js"),  # arithmetic
    *("explorer_plots.js", "action_page.js", "explorer.js"),
)
MAP_MODES = ("mean", "greedy", "sampled")
SELECTIONS = ("sample", "greedy", "mean_of_best")
MAX_DRAWS = 10_000
SMALLEST_ALPHA = 0.1  # the first slider position after 0


class ActionExplorer(BookWidget):
    """Explore how the inverse temperature α and the number of candidates M shape the selected action.

    The shape of ``q`` chooses the layout:

    * ``(M,)``, one state: probabilities of the candidates, and the law of the selected action. With ``density`` and
      ``q_grid`` the exact policy π ∝ μ exp(αQ) is drawn beside it, and the reader can draw new candidates and see the mean
      of the law over many draws.
    * ``(ny, nx, M)``, a grid of states: a map of the selected action, and the candidates of the state that the reader
      picks by a click or with the arrow keys.

    Moving M uses the *first* M candidates of every state, so samples of different size are nested.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> actions = rng.uniform(-1, 1, size=64)
        >>> explorer = ActionExplorer(actions, -(actions**2), alpha=10.0)
        >>> explorer.num_candidates = 8
        >>> round(explorer.summary()["effective_sample_size"], 1) < 8
        True

    Attributes:
        alpha: Inverse temperature, finite and ≥ 0. Any value may be set; the slider ends at ``max_alpha``.
        num_candidates: M, from 1 to the number of candidates given.
        x_index: Column of the chosen state (0 for a single state).
        y_index: Row of the chosen state (0 for a single state).
        map_mode: What the map shows: ``"mean"`` action, ``"greedy"`` action (highest Q) or one ``"sampled"`` action.
        selection: One state with ``q_grid``: ``"sample"``, ``"greedy"`` or ``"mean_of_best"`` (of four), as in
            :func:`sfbc_core.selection.select_actions`.
        draws: One state with ``q_grid``: over how many draws of candidates the law is a mean; the last one is shown. Draw 1
            is that of the candidates given.
        q_index: Position on the values of ``q_setting``.
    """

    _esm = load_module(*MODULE)
    STATE = ("alpha", "num_candidates", "x_index", "y_index", "map_mode", "selection", "draws", "q_index")

    alpha = traitlets.Float(1.0).tag(sync=True)
    num_candidates = traitlets.Int(1).tag(sync=True)
    x_index = traitlets.Int(0).tag(sync=True)
    y_index = traitlets.Int(0).tag(sync=True)
    map_mode = traitlets.Enum(MAP_MODES, default_value="mean").tag(sync=True)
    selection = traitlets.Enum(SELECTIONS, default_value="sample").tag(sync=True)
    draws = traitlets.Int(1).tag(sync=True)
    q_index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        actions: Num[ArrayLike, "..."],
        q: Num[ArrayLike, "..."],
        *,
        alpha: float = 1.0,
        num_candidates: int | None = None,
        x_index: int | None = None,
        y_index: int | None = None,
        map_mode: str = "mean",
        selection: str = "sample",
        draws: int = 1,
        q_index: int = 0,
        x_values: Num[ArrayLike, "..."] | None = None,
        y_values: Num[ArrayLike, "..."] | None = None,
        density: tuple[Num[ArrayLike, "..."], Num[ArrayLike, "..."]] | None = None,
        q_grid: Num[ArrayLike, "..."] | None = None,
        q_setting: tuple[str, Sequence[Any]] | None = None,
        title: str = "Which action does SfBC select?",
        x_label: str = "x",
        y_label: str = "y",
        action_label: str = "action",
        action_limits: tuple[float, float] | None = None,
        max_alpha: float = 100.0,
    ):
        """Pack the arrays and start at the given α and M.

        Args:
            actions: Candidates drawn from the behavior policy, in the order drawn: ``(M,)`` or ``(ny, nx, M)``,
                with or without a last axis of length 1.
            q: Values Q(s, a) of the candidates, ``(M,)`` or ``(ny, nx, M)``.
            alpha: Initial inverse temperature.
            num_candidates: Initial M. Default: all candidates.
            x_index: Initial column of the chosen state. Default: the middle.
            y_index: Initial row of the chosen state. Default: the middle.
            map_mode: Initial map, ``"mean"``, ``"greedy"`` or ``"sampled"``.
            selection: Initial way to select.
            draws: Initial number of draws.
            q_index: Initial setting of Q, which is that of ``q``.
            x_values: State coordinate of each column, ``(nx,)``, increasing. Default: 0, 1, 2…
            y_values: State coordinate of each row, ``(ny,)``, increasing. Default: 0, 1, 2…
            density: One state only: ``(grid, mu)``, increasing actions ``(G,)`` and the behavior density there ``(G,)``
                (any scale).
            q_grid: One state only: Q on the grid of ``density``, ``(G,)``, or ``(settings, G)`` with ``q_setting``.
            q_setting: One state only: name and values of a slider that changes Q.
            title: Heading of the widget.
            x_label: Name of the state coordinate along x.
            y_label: Name of the state coordinate along y.
            action_label: Name of the action.
            action_limits: Ends of the action axis and of the colour scale. Default: the range of the actions (and of
                the density's grid), made symmetric when it contains 0.
            max_alpha: Right end of the α slider.

        Raises:
            ValueError: Shapes disagree, no candidate is given, or a number is not finite; the message says what was
                expected and what came.
            traitlets.TraitError: An initial α, M, state index or map mode is out of range.
        """
        actions_array, q_array = checked_candidates(actions, q)
        ny, nx, total = q_array.shape
        is_map = np.ndim(q) == 3
        if not is_map and (x_values is not None or y_values is not None):
            raise ValueError("x_values and y_values need a grid of states: q of shape (ny, nx, M); got q of shape (M,)")
        if is_map and (density is not None or q_grid is not None):
            raise ValueError(f"density and q_grid need a single state: q of shape (M,); got {tuple(np.shape(q))}")
        if not (np.isfinite(max_alpha) and max_alpha > SMALLEST_ALPHA):
            raise ValueError(f"max_alpha must be finite and greater than {SMALLEST_ALPHA}; got {max_alpha}")

        curves = checked_curves(density, q_grid, q_setting)
        grid = curves.get("grid", actions_array)
        limits = checked_limits(action_limits, np.concatenate([actions_array.ravel(), grid.ravel()]))

        self._actions, self._q, self._limits, self._curves = actions_array, q_array, limits, curves
        self._redraws = Redraws(actions_array[0, 0], q_array[0, 0], curves, q_index)
        self._x_values = checked_axis("x_values", x_values, nx)
        self._y_values = checked_axis("y_values", y_values, ny)
        data: dict[str, Any] = {
            "layout": "map" if is_map else "policy",
            "shape": [ny, nx, total],
            "actions": pack_rows(actions_array.reshape(ny * nx, total)),
            "q": pack_rows(q_array.reshape(ny * nx, total)),
            "curves": {name: encode(values, "<f8") for name, values in curves.items()},
            "x_values": encode(self._x_values, "<f8"),
            "y_values": encode(self._y_values, "<f8"),
            "title": title,
            "x_label": x_label,
            "y_label": y_label,
            "action_label": action_label,
            "action_limits": list(limits),
            "smallest_alpha": SMALLEST_ALPHA,
            "max_alpha": float(max_alpha),
            "q_setting": q_setting and [q_setting[0], [f"{value:g}" for value in q_setting[1]]],
            "given_q_index": q_index,
        }
        super().__init__(
            data=data,
            alpha=alpha,
            num_candidates=total if num_candidates is None else num_candidates,
            x_index=nx // 2 if x_index is None else x_index,
            y_index=ny // 2 if y_index is None else y_index,
            map_mode=map_mode,
            selection=selection,
            draws=draws,
            q_index=q_index,
        )

    @traitlets.validate("alpha")
    def _validate_alpha(self, proposal: dict[str, Any]) -> float:
        alpha = proposal["value"]
        if not (np.isfinite(alpha) and alpha >= 0):
            raise traitlets.TraitError(f"alpha must be finite and >= 0; got {alpha}")
        return alpha

    @traitlets.validate("selection")
    def _validate_selection(self, proposal: dict[str, Any]) -> str:
        if proposal["value"] != "sample" and "q" not in self._curves:
            raise traitlets.TraitError(f"selection {proposal['value']!r} needs one state, density and q_grid")
        return proposal["value"]

    @traitlets.validate("num_candidates", "x_index", "y_index", "draws", "q_index")
    def _validate_counts(self, proposal: dict[str, Any]) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        ny, nx, total = self._q.shape
        settings = len(self._curves.get("q", [()]))
        low, high = {
            "num_candidates": (1, total),
            "x_index": (0, nx - 1),
            "y_index": (0, ny - 1),
            "draws": (1, MAX_DRAWS if "q" in self._curves else 1),  # without density and Q nothing can be drawn
            "q_index": (0, settings - 1),
        }[name]
        if not low <= value <= high:
            raise traitlets.TraitError(f"{name} must be between {low} and {high}; got {value}")
        return value

    def summary(self) -> dict[str, float]:
        """The numbers under the figure, for the chosen state and draw and the current settings.

        They come from the exact arrays; the page computes its own from the 16-bit codes.

        Returns:
            ``mean_action`` and ``expected_q`` of what is selected, ``best_action`` (the candidate with the highest Q) and
            ``effective_sample_size``, 1 / Σ w².
        """
        actions, q = self._chosen_candidates()
        weights = mode_weights(q, self.alpha, self.selection)
        mean_action, expected_q = float(weights @ actions), float(weights @ q)
        if self.selection == "mean_of_best":  # the value of the mean, not the mean of the values
            expected_q = float(self._redraws.value(np.array([mean_action]), self.q_index)[0])
        return {
            "mean_action": mean_action,
            "best_action": float(actions[q.argmax()]),
            "expected_q": expected_q,
            "effective_sample_size": float(1.0 / (weights**2).sum()),
        }

    def law(self, bins: int = 40) -> Float[np.ndarray, " bins"]:
        """The probability of each of equal bins between the action limits, a mean over all draws. One state only."""
        actions, q = (values[:, : self.num_candidates] for values in self._redraws.between(1, self.draws, self.q_index))
        return selected_law(actions, q, self.alpha, self.selection, self._limits, bins)

    def preview_png(self) -> bytes:
        """A still picture of the current state."""
        return preview_png(self)

    def preview_description(self) -> str:
        """What the still picture shows, with the numbers of :meth:`summary`."""
        if self.data["layout"] == "map":
            what = (
                f"map of the {self.map_mode} action over {self.data['x_label']} and {self.data['y_label']}, beside the "
                "selection probabilities of the candidates at one state"
            )
        else:
            what = "selection probabilities of the candidates, beside the density of the selected action"
        numbers = self.summary()
        return (
            f"“{self.data['title']}”, a still picture: {what}. α = {self.alpha:.3g}, M = {self.num_candidates}: "
            f"mean action {numbers['mean_action']:.3g}, best action {numbers['best_action']:.3g}, "
            f"E[Q] = {numbers['expected_q']:.4g}, effective sample size {numbers['effective_sample_size']:.4g}."
        )

    def _chosen_candidates(self) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
        """Actions and values of the first M candidates, of the chosen state or of the last draw."""
        actions, q = self._actions[self.y_index, self.x_index], self._q[self.y_index, self.x_index]
        if self.data["layout"] == "policy":
            actions, q = (values[0] for values in self._redraws.between(self.draws, self.draws, self.q_index))
        return actions[: self.num_candidates], q[: self.num_candidates]

    def __repr__(self) -> str:
        ny, nx, total = self._q.shape
        states = "one state" if self.data["layout"] == "policy" else f"{ny} x {nx} states"
        return f"ActionExplorer({states}, alpha={self.alpha:g}, num_candidates={self.num_candidates} of {total})"
