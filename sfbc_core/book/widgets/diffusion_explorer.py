"""The diffusion explorer: choose a solver, and see how far the samples come on their way from noise to data.

Data that are a mixture of Gaussians on a line have an exact score at every noise level, so whatever goes wrong on the way
is the solver's fault. Solving for 200 points is arithmetic of milliseconds: the page does it anew at every move of a slider
(dpm_solver.js). The starting points and their exact end points travel with the page, in float64.
"""

from __future__ import annotations

import io
from itertools import accumulate
from typing import Any, get_args

import numpy as np
import torch
import traitlets
from jaxtyping import Float

from sfbc_core.book.widgets.book_widget import BookWidget, load_module
from sfbc_core.book.widgets.inputs import finite_array
from sfbc_core.book.widgets.packing import encode
from sfbc_core.diffusion import GaussianMixture
from sfbc_core.diffusion.exact import OFF_DATA_DEVIATIONS
from sfbc_core.diffusion.solver_coefficients import Prediction, singlestep_orders, solver_stages
from sfbc_core.diffusion.solvers import run_stages
from sfbc_core.diffusion.spacings import Spacing

T_START, T_END = 1.0, 1e-3  # as dpm_solver
NUM_SAMPLES = 200
DEVIATIONS_SHOWN = 3.0  # of the noise; more of the axis would be empty
_BLUE, _ORANGE = "#0b62b8", "#a34a00"


class DiffusionExplorer(BookWidget):
    """Explore how samples flow from noise to data by singlestep DPM-Solver with the exact score of a mixture.

    The state has the names of :func:`sfbc_core.diffusion.solvers.dpm_solver`, and the numbers are its numbers.

    Example:
        >>> explorer = DiffusionExplorer(steps=5, order=3, spacing="time")
        >>> exploded = explorer.summary()["rms_error"]
        >>> explorer.prediction = "data"
        >>> exploded > 4 * explorer.summary()["rms_error"]
        True

    Attributes:
        steps: evaluations D of the score, from 1 to ``max_steps``.
        order: 1 (DDIM), 2 or 3.
        spacing: where the evaluations lie, ``"time"``, ``"quadratic"``, ``"log_snr"`` or ``"edm"``.
        prediction: what is kept polynomial on a step, ``"noise"`` or ``"data"``.
        time: until when the samples have come, from 1 (noise) to 0.001 (data). They are shown where the last step ended
            that did not go past it.
    """

    _esm = load_module("dpm_solver.js", "diffusion_explorer.js")
    STATE = ("steps", "order", "spacing", "prediction", "time")

    steps = traitlets.Int(10).tag(sync=True)
    order = traitlets.Enum((1, 2, 3), default_value=3).tag(sync=True)
    spacing = traitlets.Enum(get_args(Spacing), default_value="time").tag(sync=True)
    prediction = traitlets.Enum(get_args(Prediction), default_value="noise").tag(sync=True)
    time = traitlets.Float(T_END).tag(sync=True)

    def __init__(
        self,
        mixture: GaussianMixture | None = None,
        *,
        start: Float[np.ndarray, " N"] | None = None,
        steps: int = 10,
        order: int = 3,
        spacing: str = "time",
        prediction: str = "noise",
        time: float = T_END,
        max_steps: int = 50,
        title: str = "From noise to data",
        x_label: str = "action",
    ):
        """Find the exact end points, and pack them with the starting points.

        Args:
            mixture: the data, on a line. Default: two equal modes at -0.55 and 0.55, of deviation 0.1.
            start: points at t = 1. Default: 200 quantiles of N(0, 1) at equal distances in probability, so that no
                difference between samples and density is due to chance.
            steps: initial D.
            order: initial order.
            spacing: initial placement.
            prediction: initial prediction.
            time: initial time reached. Default: the end.
            max_steps: right end of the slider of D.
            title: heading of the widget.
            x_label: name of the coordinate.

        Raises:
            ValueError: a mixture of more than one dimension, starting points that are no vector of finite numbers, or
                `max_steps` below 1.
            traitlets.TraitError: an initial value of the state is out of range.
        """
        mixture = GaussianMixture([0.5, 0.5], [-0.55, 0.55], 0.1) if mixture is None else mixture
        if mixture.dim != 1:
            raise ValueError(f"mixture must have 1 dimension, which is what the plots show; got {mixture.dim}")
        points = noise_quantiles(NUM_SAMPLES) if start is None else finite_array("start", start)
        if points.ndim != 1 or points.size == 0:
            raise ValueError(f"start must have shape (N,) with N >= 1; got {points.shape}")
        if max_steps < 1:
            raise ValueError(f"max_steps must be at least 1; got {max_steps}")
        self._mixture, self._start, self._max_steps = mixture, points, max_steps
        self._exact = mixture.flow(torch.from_numpy(points), T_START, T_END).numpy()
        means, deviations = mixture.means[:, 0].numpy(), mixture.deviations.numpy()
        reach = OFF_DATA_DEVIATIONS * deviations
        self._limits = (
            min(-DEVIATIONS_SHOWN, float((means - reach).min())),
            max(DEVIATIONS_SHOWN, float((means + reach).max())),
        )
        data = {
            "mixture": {
                "weights": mixture.weights.tolist(),
                "means": means.tolist(),
                "deviations": deviations.tolist(),
            },
            "betas": [mixture.schedule.beta_min, mixture.schedule.beta_max],
            "times": [T_START, T_END],
            "start": encode(points, "<f8"),
            "exact": encode(self._exact, "<f8"),
            "off_data_deviations": OFF_DATA_DEVIATIONS,
            "limits": list(self._limits),
            "max_steps": max_steps,
            "title": title,
            "x_label": x_label,
        }
        super().__init__(data=data, steps=steps, order=order, spacing=spacing, prediction=prediction, time=time)

    @traitlets.validate("steps")
    def _validate_steps(self, proposal: dict[str, Any]) -> int:
        if not 1 <= proposal["value"] <= self._max_steps:
            raise traitlets.TraitError(f"steps must be between 1 and {self._max_steps}; got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("time")
    def _validate_time(self, proposal: dict[str, Any]) -> float:
        if not T_END <= proposal["value"] <= T_START:
            raise traitlets.TraitError(f"time must be between {T_END} and {T_START}; got {proposal['value']}")
        return proposal["value"]

    def paths(self) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S N"]]:
        """The times at the start and after every step, and the samples there, by the package's solver."""
        stages = solver_stages(
            self._mixture.schedule, self.steps, self.order, spacing=self.spacing, prediction=self.prediction
        )
        x = torch.from_numpy(self._start)[:, None]
        times, states, first = [T_START], [self._start], 0
        for last in accumulate(singlestep_orders(self.steps, self.order)):
            x = run_stages(self._mixture.noise, x, stages[first:last], self.prediction)
            times.append(stages[last].time if last < len(stages) else T_END)
            states.append(x[:, 0].numpy())
            first = last
        return np.array(times), np.stack(states)

    def summary(self) -> dict[str, float]:
        """The numbers under the figure.

        Returns:
            ``shown_time``, where the last step ended that did not go past :attr:`time`; of the end points, ``rms_error``,
            their RMS distance to the exact ones, and ``off_data``, how many are more than 4 deviations from every mode.
        """
        times, states = self.paths()
        return self._summary_of(times, states)

    def _summary_of(self, times: Float[np.ndarray, " S"], states: Float[np.ndarray, "S N"]) -> dict[str, float]:
        end = states[-1]
        return {
            "shown_time": float(times[self._shown(times)]),
            "rms_error": float(np.sqrt(((end - self._exact) ** 2).mean())),
            "off_data": int(self._mixture.off_data(torch.from_numpy(end)[:, None]).sum()),
        }

    def _shown(self, times: Float[np.ndarray, " S"]) -> int:
        """How many steps did not go past the time reached; a time of the solver itself counts as reached."""
        return int((times >= self.time * (1 - 1e-9)).sum()) - 1

    def preview_png(self) -> bytes:
        """A still picture: the paths up to the time reached, and the samples there."""
        import matplotlib  # only needed here, and slow to import
        from matplotlib.figure import Figure

        times, states = self.paths()
        shown = self._shown(times)
        log_snr = [self._mixture.schedule.log_snr(time) for time in times.tolist()]
        grid = np.linspace(*self._limits, 400)
        density = self._mixture.log_density(torch.from_numpy(grid)[:, None], float(times[shown])).exp().numpy()
        with matplotlib.rc_context({"text.parse_math": False}):  # the page shows labels as they are: "$" is a dollar
            figure = Figure(figsize=(7.2, 3.0), layout="constrained")
            left, right = figure.subplots(1, 2)
            left.plot(log_snr[: shown + 1], states[: shown + 1], color=_BLUE, lw=0.5, alpha=0.5)
            left.set(xlabel="λ, noise to data", ylabel=self.data["x_label"], ylim=self._limits)
            left.set_xlim(log_snr[0], log_snr[-1])
            right.hist(states[shown], 100, range=self._limits, density=True, color="#8ab8e6")
            right.plot(grid, density, color=_ORANGE)
            right.set(xlabel=f"{self.data['x_label']} at t = {times[shown]:.3g}", ylabel="density")
            right.set_ylim(0, 2 * density.max())
            figure.suptitle(f"{self.data['title']}  ({self._settings()})", fontsize=10)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=80)
        return buffer.getvalue()

    def preview_description(self) -> str:
        """What the still picture shows, with the numbers of :meth:`summary`."""
        numbers = self.summary()
        return (
            f"“{self.data['title']}”, a still picture: paths of {len(self._start)} samples from noise to data, beside their "
            f"histogram at t = {numbers['shown_time']:.3g} with the exact density. {self._settings()}: at the end the RMS "
            f"distance to the exact end points is {numbers['rms_error']:.3g}, and {numbers['off_data']} of "
            f"{len(self._start)} are off the data."
        )

    def _settings(self) -> str:
        return f"D = {self.steps}, order {self.order}, {self.spacing}, {self.prediction} prediction"

    def __repr__(self) -> str:
        return f"DiffusionExplorer({len(self._start)} samples, {self._settings()}, time={self.time:g})"


def noise_quantiles(count: int) -> Float[np.ndarray, " count"]:
    """The quantiles (i + ½)/count of N(0, 1): points that lie as its samples do, without their chance."""
    return torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count).numpy()
