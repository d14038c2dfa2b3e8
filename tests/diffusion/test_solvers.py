"""Solvers by their order of convergence on a problem with a known solution, and by what they spend."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from sfbc_core import GaussianMixture, VPSchedule, dpm_solver, rk45
from sfbc_core.diffusion.solver_coefficients import phi, singlestep_orders, solver_stages
from sfbc_core.diffusion.spacings import step_times

GAUSSIAN = GaussianMixture([1.0], [0.5], 0.4)
BIMODAL = GaussianMixture([0.6, 0.4], [-0.7, 0.6], 0.1)
SCHEDULE = VPSchedule()
# Away from t = 1, where the ODE of a Gaussian is nearly linear and low-order errors hide.
T_START, T_END = 0.3, 0.02


def slope(order: int, method: str, prediction: str, steps_of, **options) -> float:
    """Slope of log error against log step, least squares over four halvings of the step."""
    x = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None]
    exact = GAUSSIAN.flow(x[:, 0], T_START, T_END)
    counts = [32, 64, 128, 256]
    errors = []
    for count in counts:
        result = dpm_solver(
            GAUSSIAN.noise,
            x,
            SCHEDULE,
            steps_of(count),
            order=order,
            method=method,
            prediction=prediction,
            t_start=T_START,
            t_end=T_END,
            **options,
        )
        errors.append((result[:, 0] - exact).square().mean().sqrt().item())
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


@pytest.mark.parametrize(
    ("order", "method", "steps_of", "expected", "options"),
    [
        (1, "singlestep", lambda n: n, 1, {}),
        (2, "singlestep", lambda n: 2 * n, 2, {}),
        # 3n + 2 evaluations end on a step of order 2, whose local error is of third order; 3n would end on order 1.
        (3, "singlestep", lambda n: 3 * n + 2, 3, {}),
        (2, "multistep", lambda n: n, 2, {}),
        (3, "multistep", lambda n: n, 2, {}),  # held to 2 by its first-order start
        (3, "multistep", lambda n: n, 3, {"high_order_start": True}),
        (2, "heun", lambda n: 2 * n, 2, {}),
    ],
)
@pytest.mark.parametrize("prediction", ["noise", "data"])
def test_order_of_convergence(order, method, steps_of, expected, options, prediction):
    if method == "heun" and prediction == "data":
        pytest.skip("Heun's method is defined for noise prediction")
    measured = slope(order, method, prediction, steps_of, **options)
    if (order, method, prediction) == (3, "singlestep", "data"):
        # A small third-order constant lets the last second-order step show: 2.7 here, rising to 3 with finer steps.
        assert 2.6 < measured < 3.15
    else:
        assert measured == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(
    ("evaluations", "orders"),
    [(5, [3, 2]), (10, [3, 3, 3, 1]), (15, [3, 3, 3, 3, 2, 1]), (25, [3] * 8 + [1]), (3, [2, 1]), (1, [1])],
)
def test_order_schedule_of_the_paper(evaluations, orders):
    assert singlestep_orders(evaluations, 3) == orders


@given(
    st.integers(2, 40),
    st.integers(1, 3),
    st.sampled_from(["singlestep", "multistep", "heun"]),
    st.sampled_from(["time", "quadratic", "log_snr", "edm"]),
    st.booleans(),
)
def test_exactly_the_given_number_of_evaluations_is_spent(steps, order, method, spacing, high_start):
    times: list[float] = []

    def model(x, t):
        times.append(t)
        return torch.zeros_like(x)

    dpm_solver(
        model,
        torch.ones(2, 1),
        SCHEDULE,
        steps,
        order,
        method,
        spacing,
        high_order_start=high_start and method == "multistep" and order > 1,
    )
    assert len(times) == steps
    assert times[0] == 1.0 and all(1e-3 - 1e-12 <= t <= 1 for t in times)


@pytest.mark.parametrize("method", ["singlestep", "multistep", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_no_signal_is_scaled_as_the_closed_form_says(method, steps):
    """With ε ≡ 0 the ODE is dx/dt = -½βx, so x(t_end) = x · α_end/α_start for every method."""
    result = dpm_solver(lambda x, t: torch.zeros_like(x), torch.ones(1, 1).double(), SCHEDULE, steps, method=method)
    assert result.item() == pytest.approx(SCHEDULE.alpha(1e-3) / SCHEDULE.alpha(1.0), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("method", ["singlestep", "multistep"])
def test_constant_data_is_found_at_once(order, method):
    """If all data is one point, data prediction is constant and every order integrates it exactly."""
    point = 0.3
    end = dpm_solver(
        lambda x, t: (x - SCHEDULE.alpha(t) * point) / SCHEDULE.sigma(t),
        torch.tensor([[2.0]], dtype=torch.float64),
        SCHEDULE,
        6,
        order=order,
        method=method,
        prediction="data",
    )
    start_noise = (2.0 - SCHEDULE.alpha(1.0) * point) / SCHEDULE.sigma(1.0)
    exact = SCHEDULE.alpha(1e-3) * point + SCHEDULE.sigma(1e-3) * start_noise
    assert end.item() == pytest.approx(exact, rel=1e-11)


@given(st.integers(1, 3), st.floats(-12, 12))
def test_phi_is_its_integral(k, z):
    integral, _ = quad(lambda u: math.exp((1 - u) * z) * u ** (k - 1) / math.factorial(k - 1), 0, 1, epsrel=1e-12)
    assert phi(k, z) == pytest.approx(integral, rel=1e-9)


@given(st.sampled_from(["time", "quadratic", "log_snr", "edm"]), st.integers(1, 50))
def test_times_fall_from_start_to_end(spacing, steps):
    times = step_times(SCHEDULE, [i / steps for i in range(steps + 1)], spacing, 1.0, 1e-3)
    assert times[0] == 1.0 and times[-1] == 1e-3
    assert all(a > b for a, b in itertools.pairwise(times))


def test_log_snr_steps_are_equal_in_log_snr():
    times = step_times(SCHEDULE, [0.0, 0.25, 0.5, 0.75, 1.0], "log_snr", 1.0, 1e-3)
    gaps = np.diff([SCHEDULE.log_snr(t) for t in times])
    np.testing.assert_allclose(gaps, gaps.mean(), rtol=1e-10)


def test_ddim_is_order_one():
    """Order 1 is DDIM: x̂_0 from the noise, then noised again to the next level (Song et al., 2021a, Eq. 12 at η = 0)."""
    x = torch.randn(5, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    times = step_times(SCHEDULE, [0.0, 1 / 3, 2 / 3, 1.0], "time", 1.0, 1e-3)
    by_hand = x
    for s, t in itertools.pairwise(times):
        noise = BIMODAL.noise(by_hand, s)
        clean = (by_hand - SCHEDULE.sigma(s) * noise) / SCHEDULE.alpha(s)
        by_hand = SCHEDULE.alpha(t) * clean + SCHEDULE.sigma(t) * noise
    torch.testing.assert_close(dpm_solver(BIMODAL.noise, x, SCHEDULE, 3, order=1, spacing="time"), by_hand)


def test_accurate_setting_beats_the_papers_at_every_d(generator):
    """The claim of chapter 3, on the exact end points of a bimodal mixture."""
    x = torch.randn(4000, 1, dtype=torch.float64, generator=generator)
    exact = BIMODAL.flow(x[:, 0], 1.0, 1e-3)

    def error(steps, **options):
        return (dpm_solver(BIMODAL.noise, x, SCHEDULE, steps, **options)[:, 0] - exact).square().mean().sqrt().item()

    for steps in (5, 10, 15, 25):
        paper = error(steps, spacing="time")
        accurate = error(steps, method="multistep", prediction="data", high_order_start=True)
        assert accurate < 0.6 * paper


def test_the_callers_noise_is_not_overwritten():
    x = torch.ones(3, 1)
    dpm_solver(lambda y, t: y, x, SCHEDULE, 6)
    assert (x == 1).all()


def test_rk45_reaches_the_exact_end_point_and_counts():
    x = torch.linspace(-2, 2, 11, dtype=torch.float64)[:, None]
    calls = 0

    def model(y, t):
        nonlocal calls
        calls += 1
        return BIMODAL.noise(y, t)

    end, evaluations = rk45(model, x, SCHEDULE, rtol=1e-8, atol=1e-8)
    assert evaluations == calls
    torch.testing.assert_close(end[:, 0], BIMODAL.flow(x[:, 0], 1.0, 1e-3), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 4}, "order must be 1, 2 or 3, got 4"),
        ({"steps": 0}, "at least 1 network evaluation, got 0"),
        ({"method": "euler"}, "method must be one of .*got 'euler'"),
        ({"spacing": "sqrt"}, "spacing must be one of .*got 'sqrt'"),
        ({"prediction": "velocity"}, "prediction must be one of .*got 'velocity'"),
        ({"t_end": 0.0}, "0 < t_end < t_start <= 1"),
        ({"method": "heun", "prediction": "data"}, "defined for prediction 'noise'"),
        ({"high_order_start": True}, "is for method 'multistep'"),
        ({"high_order_start": True, "method": "multistep", "order": 1}, "which order 1 cannot use"),
        ({"high_order_start": True, "method": "multistep", "steps": 1}, "spends 2 evaluations on the first step"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_options_are_refused(options, message):
    arguments = {"evaluations": options.pop("steps", 5), **options}
    with pytest.raises(ValueError, match=message):
        solver_stages(SCHEDULE, **arguments)
