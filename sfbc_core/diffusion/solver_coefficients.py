"""Every solver as a list of stages with precomputed float64 scalars.

In the variable λ = log(α/σ) the probability-flow ODE has the exact solution (Lu et al., 2022, Eq. 3.4; 2022b, Eq. 8)

    x_t = (α_t/α_s) x_s - σ_t ∫ e^(λ_t-λ) ε(λ) dλ        noise prediction
    x_t = (σ_t/σ_s) x_s + α_t ∫ e^(λ-λ_t) x̂_0(λ) dλ     data prediction (DPM-Solver++)

over λ_s … λ_t. Replacing the model output by a polynomial in λ gives the solvers; its integrals against the exponential
are h φ_1, h φ_2, … of z = ±h, with h = λ_t - λ_s. All of them are then the same kind of update: a multiple of the state at
the start of the step plus a weighted sum of recent model outputs. Methods differ by numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, get_args

from sfbc_core.diffusion.schedule import VPSchedule
from sfbc_core.diffusion.spacings import Spacing, step_times

Method = Literal["singlestep", "multistep", "heun"]
Prediction = Literal["noise", "data"]


@dataclass(frozen=True)
class Stage:
    """One model evaluation and the update after it: x ← scale · (x at the step's start) + Σ_j weights_j · output_j."""

    time: float  # where the model is evaluated
    alpha: float  # α at that time
    sigma: float  # σ at that time
    scale: float
    weights: tuple[float, ...]  # for the model outputs, newest first
    ends_step: bool  # whether the result is the start of the next step


def singlestep_orders(evaluations: int, order: int) -> list[int]:
    """Orders of successive singlestep updates that spend exactly `evaluations` network evaluations.

    For order 3 these are [3, 2], [3, 3, 3, 1], [3, 3, 3, 3, 2, 1], [3]*8 + [1] at the paper's D = 5, 10, 15, 25
    (Lu et al., 2022, Section 3.4).
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order must be 1, 2 or 3, got {order}")
    if evaluations < 1:
        raise ValueError(f"expected at least 1 network evaluation, got {evaluations}")
    if order < 3:
        return [order] * (evaluations // order) + [1] * (evaluations % order)
    if evaluations % 3 == 0:
        return [3] * (evaluations // 3 - 1) + [2, 1]
    return [3] * (evaluations // 3) + [evaluations % 3]


def solver_stages(
    schedule: VPSchedule,
    evaluations: int,
    order: int = 3,
    method: Method = "singlestep",
    spacing: Spacing = "log_snr",
    prediction: Prediction = "noise",
    t_start: float = 1.0,
    t_end: float = 1e-3,
    high_order_start: bool = False,
) -> list[Stage]:
    """The stages of a solver, one for each network evaluation. See :func:`sfbc_core.diffusion.solvers.dpm_solver`."""
    if prediction not in get_args(Prediction):
        raise ValueError(f"prediction must be one of {get_args(Prediction)}, got {prediction!r}")
    if high_order_start and method != "multistep":
        raise ValueError(f"high_order_start is for method 'multistep', got {method!r}")
    if method == "heun":
        if prediction != "noise":
            raise ValueError(f"method 'heun' is defined for prediction 'noise', got {prediction!r}")
        orders = singlestep_orders(evaluations, 2)
    elif method == "singlestep":
        orders = singlestep_orders(evaluations, order)
    elif method == "multistep":
        orders = _multistep_orders(evaluations, order, high_order_start)
    else:
        raise ValueError(f"method must be one of {get_args(Method)}, got {method!r}")

    # One grid for all: as many intervals as evaluations. A step spans as many as it spends, and evaluates where they start
    # (Heun's step a second time where it ends).
    costs = (
        [2] + [1] * (len(orders) - 1) if high_order_start else [1] * len(orders) if method == "multistep" else orders
    )
    times = step_times(schedule, [i / evaluations for i in range(evaluations + 1)], spacing, t_start, t_end)
    ends = pairwise(accumulate(costs, initial=0))
    steps = [(times[first : last + 1], p) for (first, last), p in zip(ends, orders, strict=True)]
    if method == "heun":
        return [stage for nodes, p in steps for stage in _heun_step(schedule, nodes[0], nodes[-1], p)]
    form = _ExponentialForm(schedule, prediction)
    if method == "singlestep":
        return [stage for nodes, _ in steps for stage in _singlestep(form, nodes)]
    return list(_multistep(form, steps))


def phi(k: int, z: float) -> float:
    """φ_k(z) = ∫₀¹ e^((1-u)z) u^(k-1)/(k-1)! du: φ_1(z) = (e^z - 1)/z and φ_(k+1)(z) = (φ_k(z) - 1/k!)/z."""
    if abs(z) < 0.5:  # the recursion cancels near 0; the series converges fast there
        return sum(z**j / math.factorial(j + k) for j in range(20))
    value = math.expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value


class _ExponentialForm:
    """The two exact forms above, which differ in signs and in the roles of α and σ."""

    def __init__(self, schedule: VPSchedule, prediction: Prediction) -> None:
        self.schedule = schedule
        self.noise = prediction == "noise"

    def integrals(self, s: float, t: float) -> tuple[float, float, float, float, float]:
        """(scale, h, g h φ_1, g h φ_2, g h φ_3) of a step from s to t, where g is -σ_t or α_t."""
        schedule = self.schedule
        h = schedule.log_snr(t) - schedule.log_snr(s)
        if self.noise:
            scale, gain, z = math.exp(schedule.log_alpha(t) - schedule.log_alpha(s)), -schedule.sigma(t), h
        else:
            scale, gain, z = schedule.sigma(t) / schedule.sigma(s), schedule.alpha(t), -h
        return scale, h, gain * h * phi(1, z), gain * h * phi(2, z), gain * h * phi(3, z)

    def stage(self, time: float, scale: float, weights: Sequence[float], ends_step: bool) -> Stage:
        return Stage(
            time, self.schedule.alpha(time), self.schedule.sigma(time), scale, tuple(weights), ends_step=ends_step
        )


def _singlestep(form: _ExponentialForm, nodes: Sequence[float]) -> list[Stage]:
    """DPM-Solver-1, -2, -3 (Lu et al., 2022, Eq. 3.7, Algorithms 1 and 2) and their data-prediction twins.

    `nodes` are the times of the evaluations and, last, of the end. The paper's r_1 and r_2 are the shares of the way in λ
    at which the inner ones lie: 1/3 and 2/3 on a grid uniform in λ. On another they come near that as the steps get short,
    so that the order of the method stays.
    """
    s, *inner, t = nodes
    scale, h, first, second, _ = form.integrals(s, t)
    if not inner:
        return [form.stage(s, scale, [first], True)]
    start = form.schedule.log_snr(s)
    r1, *rest = ((form.schedule.log_snr(node) - start) / h for node in inner)
    scale_1, _, first_1, *_ = form.integrals(s, inner[0])
    stages = [form.stage(s, scale_1, [first_1], False)]
    if not rest:
        # φ_1/2 stands for φ_2, as in Lu et al.'s Algorithm 1: equal up to the order of the method.
        slope = first / (2 * r1)
        return [*stages, form.stage(inner[0], scale, [slope, first - slope], True)]
    [r2] = rest
    scale_2, _, first_2, second_2, _ = form.integrals(s, inner[1])
    slope_2 = second_2 * r2 / r1
    slope = second / r2
    return [
        *stages,
        form.stage(inner[0], scale_2, [slope_2, first_2 - slope_2], False),
        form.stage(inner[1], scale, [slope, 0.0, first - slope], True),
    ]


def _multistep_orders(evaluations: int, order: int, high_order_start: bool) -> list[int]:
    singlestep_orders(evaluations, order)  # the same checks
    if high_order_start and order == 1:
        raise ValueError("high_order_start starts with order 2, which order 1 cannot use")
    if not high_order_start:
        return [min(order, i + 1) for i in range(evaluations)]
    if evaluations < 2:
        raise ValueError(f"high_order_start spends 2 evaluations on the first step, got {evaluations} in all")
    return [min(order, i + 2) for i in range(evaluations - 1)]


def _multistep(form: _ExponentialForm, steps: Sequence[tuple[Sequence[float], int]]) -> Iterator[Stage]:
    """Exponential Adams-Bashforth in λ; order 2 on data is DPM-Solver++(2M) of Lu et al. (2022b, Algorithm 2)."""
    evaluated: list[float | None] = []  # λ of past evaluations at step starts, newest first; None for one inside a step
    for nodes, order in steps:
        s, *inner, t = nodes
        start = form.schedule.log_snr(s)
        if inner:
            # One singlestep update of order 2 has the local error that multistep-3 needs; a first-order start has not.
            yield from _singlestep(form, nodes)
            evaluated = [None, start]
            continue
        scale, h, first, second, third = form.integrals(s, t)
        evaluated = [start, *evaluated]
        past = [(j, (start - value) / h) for j, value in enumerate(evaluated) if value is not None][:order]
        weights = _adams_weights([distance for _, distance in past], first, second, third)
        spread = [0.0] * (past[-1][0] + 1)
        for (j, _), weight in zip(past, weights, strict=True):
            spread[j] = weight
        yield form.stage(s, scale, spread, True)


def _adams_weights(distances: Sequence[float], first: float, second: float, third: float) -> list[float]:
    """Weights of outputs at distances 0, d_1, d_2 (in steps h) behind the current one, from Newton interpolation."""
    if len(distances) == 1:
        return [first]
    d1 = distances[1]
    if len(distances) == 2:
        slope = first / (2 * d1)
        return [first + slope, -slope]
    d2 = distances[2]
    # Second divided difference c·m; the polynomial has slope (m_0 - m_1)/d1 + d1 (c·m) and curvature 2 (c·m) at 0.
    curvature = (1 / (d1 * d2), -1 / (d1 * (d2 - d1)), 1 / (d2 * (d2 - d1)))
    slope = (1 / d1 + d1 * curvature[0], -1 / d1 + d1 * curvature[1], d1 * curvature[2])
    constant = (1.0, 0.0, 0.0)
    return [first * c + second * b + 2 * third * a for c, b, a in zip(constant, slope, curvature, strict=True)]


def _heun_step(schedule: VPSchedule, s: float, t: float, order: int) -> list[Stage]:
    """Heun's step on dx̄/dσ̄ = ε with x̄ = x/α, σ̄ = σ/α (Karras et al., 2022, Algorithm 1); order 1 is Euler, that is DDIM."""
    form = _ExponentialForm(schedule, "noise")
    scale = math.exp(schedule.log_alpha(t) - schedule.log_alpha(s))
    change = schedule.alpha(t) * (math.exp(-schedule.log_snr(t)) - math.exp(-schedule.log_snr(s)))
    if order == 1:
        return [form.stage(s, scale, [change], True)]
    return [form.stage(s, scale, [change], False), form.stage(t, scale, [change / 2, change / 2], True)]
