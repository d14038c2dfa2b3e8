"""The schedule against quadrature of β, and its inverse."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from sfbc_core import VPSchedule

SCHEDULE = VPSchedule()
times = st.floats(1e-6, 1.0)


@given(times)
def test_alpha_is_the_exponential_of_the_integral(t):
    integral, _ = quad(SCHEDULE.beta, 0, t, epsabs=1e-14, epsrel=1e-13)
    assert SCHEDULE.alpha(t) == pytest.approx(math.exp(-integral / 2), rel=1e-12)
    assert SCHEDULE.sigma(t) == pytest.approx(math.sqrt(-math.expm1(-integral)), rel=1e-12)


@given(times)
def test_variance_is_preserved_and_log_snr_is_their_ratio(t):
    alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
    assert alpha**2 + sigma**2 == pytest.approx(1, abs=1e-15)
    assert SCHEDULE.log_snr(t) == pytest.approx(math.log(alpha / sigma), rel=1e-12, abs=1e-12)


@given(times)
def test_time_inverts_log_snr(t):
    # λ is resolved to a few units in the last place; what that is in t follows from the slope dλ/dt = -β / (2σ²).
    slope = SCHEDULE.beta(t) / (2 * SCHEDULE.sigma(t) ** 2)
    rounding = 4e-16 * (1 + abs(SCHEDULE.log_snr(t))) / slope
    assert SCHEDULE.time(SCHEDULE.log_snr(t)) == pytest.approx(t, rel=2e-14, abs=4 * rounding)


@given(st.floats(-5.02, 300.0))
def test_log_snr_inverts_time(log_snr):
    assert SCHEDULE.log_snr(SCHEDULE.time(log_snr)) == pytest.approx(log_snr, rel=1e-13, abs=1e-12)


def test_log_snr_falls_and_ends_where_the_formulas_say():
    t = torch.linspace(1e-4, 1, 1000, dtype=torch.float64)
    assert (SCHEDULE.log_snr(t).diff() < 0).all()
    log_alpha = -(20 - 0.1) / 4 - 0.1 / 2
    assert SCHEDULE.alpha(1.0) == pytest.approx(math.exp(log_alpha), rel=1e-14)
    assert SCHEDULE.sigma(0.0) == 0 and SCHEDULE.alpha(0.0) == 1 and SCHEDULE.log_snr(0.0) == math.inf


def test_tensors_keep_their_dtype_and_agree_with_numbers():
    t = torch.tensor([0.01, 0.3, 1.0])
    for name in ("alpha", "sigma", "log_snr", "beta"):
        values = getattr(SCHEDULE, name)(t)
        assert values.dtype is torch.float32
        exact = [getattr(SCHEDULE, name)(float(x)) for x in t]
        torch.testing.assert_close(values.double(), torch.tensor(exact, dtype=torch.float64), rtol=2e-5, atol=1e-6)


def test_constant_beta_has_an_inverse_too():
    flat = VPSchedule(2.0, 2.0)
    assert flat.time(flat.log_snr(0.37)) == pytest.approx(0.37, rel=1e-13)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_bad_rates_are_refused(low, high):
    with pytest.raises(ValueError, match="0 < beta_min <= beta_max"):
        VPSchedule(low, high)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        SCHEDULE.log_snr(float("nan"))
