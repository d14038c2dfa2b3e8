"""Where a singlestep update evaluates: on the grid of the spacing. Held against the published solver and a plain loop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import GaussianMixture, VPSchedule, dpm_solver

SCHEDULE = VPSchedule()
SPACINGS = {
    "time": (lambda t: t, lambda u: u),
    "quadratic": (math.sqrt, lambda u: u * u),
    "log_snr": (SCHEDULE.log_snr, SCHEDULE.time),
    "edm": (lambda t: math.exp(-SCHEDULE.log_snr(t) / 7), lambda u: SCHEDULE.time(-7 * math.log(u))),
}
# End points of the published DPM-Solver for `field`; `_about` says how they were made.
PUBLISHED = json.loads((Path(__file__).parent / "solver_end_points.json").read_text())


def field(x, t):
    return torch.tanh(2 * x + math.sin(3 * t))


def grid(spacing: str, count: int) -> list[float]:
    there, back = SPACINGS[spacing]
    return [back(u) for u in np.linspace(there(1.0), there(1e-3), count + 1)]


def orders(count: int) -> list[int]:
    """Lu et al. (2022), Section 3.4, for order 3."""
    threes, rest = divmod(count, 3)
    return [3] * (threes - 1) + [2, 1] if rest == 0 else [3] * threes + [rest]


def plain_solver(model, x: np.ndarray, times: list[float], prediction: str) -> np.ndarray:
    """Algorithms 1 and 2 of Lu et al. (2022) and their data-prediction twins, node by node, in float64 of NumPy."""

    def output(x, t):
        noise = model(torch.as_tensor(x), t).numpy()
        return noise if prediction == "noise" else (x - SCHEDULE.sigma(t) * noise) / SCHEDULE.alpha(t)

    def partial(x, s, t):
        """Factor of x, factor of the outputs, and the length of the step, with the sign that its form has."""
        h = SCHEDULE.log_snr(t) - SCHEDULE.log_snr(s)
        if prediction == "noise":
            return SCHEDULE.alpha(t) / SCHEDULE.alpha(s) * x, -SCHEDULE.sigma(t), h
        return SCHEDULE.sigma(t) / SCHEDULE.sigma(s) * x, -SCHEDULE.alpha(t), -h

    position = 0
    for order in orders(len(times) - 1):
        nodes = times[position : position + order + 1]
        position += order
        s, t = nodes[0], nodes[-1]
        λ = [SCHEDULE.log_snr(node) for node in nodes]
        m_s = output(x, s)
        if order > 1:
            r1 = (λ[1] - λ[0]) / (λ[-1] - λ[0])
            base, factor, h1 = partial(x, s, nodes[1])
            m_1 = output(base + factor * np.expm1(h1) * m_s, nodes[1])
        if order > 2:
            r2 = (λ[2] - λ[0]) / (λ[-1] - λ[0])
            base, factor, h2 = partial(x, s, nodes[2])
            bend = np.expm1(h2) / h2 - 1
            m_2 = output(base + factor * (np.expm1(h2) * m_s + r2 / r1 * bend * (m_1 - m_s)), nodes[2])
        base, factor, h = partial(x, s, t)
        x = base + factor * np.expm1(h) * m_s
        if order == 2:
            x = x + factor * np.expm1(h) / (2 * r1) * (m_1 - m_s)
        if order == 3:
            x = x + factor * (np.expm1(h) / h - 1) / r2 * (m_2 - m_s)
    return x


@pytest.mark.parametrize("case", PUBLISHED["end_points"], ids=lambda case: "-".join(map(str, list(case.values())[:-1])))
def test_the_published_solver_ends_at_the_same_points(case):
    start = torch.tensor(PUBLISHED["x"], dtype=torch.float64)[:, None]
    end = dpm_solver(
        field, start, SCHEDULE, case["steps"], case["order"], case["method"], case["spacing"], case["prediction"]
    )
    np.testing.assert_allclose(end[:, 0].numpy(), case["x_end"], rtol=0, atol=1e-10)


@given(st.integers(1, 16), st.sampled_from([*SPACINGS]), st.sampled_from(["noise", "data"]))
def test_a_plain_loop_ends_at_the_same_points(count, spacing, prediction):
    # Of a mixture rather than of `field`, whose data prediction grows at every step and its rounding errors with it.
    mixture = GaussianMixture([0.6, 0.4], [-0.8, 0.8], 0.4)
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    end = dpm_solver(mixture.noise, start, SCHEDULE, count, 3, spacing=spacing, prediction=prediction)
    expected = plain_solver(mixture.noise, start.numpy(), grid(spacing, count), prediction)
    np.testing.assert_allclose(end.numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("method", ["singlestep", "multistep", "heun"])
def test_evaluations_lie_on_the_grid(spacing, method):
    visited = []

    def model(x, t):
        visited.append(t)
        return torch.zeros_like(x)

    dpm_solver(model, torch.ones(1, 1), SCHEDULE, 15, 3, method, spacing)
    if method == "heun":  # the second evaluation of a step is at its end, where the next begins
        visited = visited[::2]
        expected = grid(spacing, 15)[:15:2]
    else:
        expected = grid(spacing, 15)[:15]
    np.testing.assert_allclose(visited, expected, rtol=1e-9)


@pytest.mark.parametrize("prediction", ["noise", "data"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_third_order_on_every_grid(spacing, prediction):
    """Slope of log error against log step over three halvings; 3n + 2 evaluations end on a step of order 2."""
    gaussian = GaussianMixture([1.0], [0.5], 0.4)
    x = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None]
    exact = gaussian.flow(x[:, 0], 0.3, 0.02)
    counts, errors = [24, 48, 96, 192], []
    for count in counts:
        end = dpm_solver(
            gaussian.noise, x, SCHEDULE, 3 * count + 2, 3, "singlestep", spacing, prediction, t_start=0.3, t_end=0.02
        )
        errors.append((end[:, 0] - exact).square().mean().sqrt().item())
    assert -np.polyfit(np.log(counts), np.log(errors), 1)[0] > 2.6
