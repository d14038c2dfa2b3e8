"""The browser's diffusion (dpm_solver.js, run by Node) against sfbc_core.diffusion, in float64 on both sides."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from sfbc_core.diffusion import GaussianMixture, VPSchedule, dpm_solver
from sfbc_core.diffusion.solver_coefficients import phi, singlestep_orders, solver_stages
from sfbc_core.diffusion.spacings import step_times

SCHEDULE = VPSchedule()
SPACINGS = ("time", "quadratic", "log_snr", "edm")
MIXTURES = {
    "two narrow modes": ([0.5, 0.5], [-0.55, 0.55], [0.1, 0.1]),
    "three modes that differ": ([0.2, 0.5, 0.3], [-1.0, 0.1, 0.9], [0.05, 0.2, 0.1]),
}
LINE = np.linspace(-4.0, 4.0, 81)
PRELUDE = "const schedule = explorer.vpSchedule(0.1, 20);"


@pytest.fixture(scope="module")
def evaluate(node_module):
    call = node_module("dpm_solver.js")
    return lambda body, **values: call(f"(() => {{ {PRELUDE} {body} }})()", **values)


def as_given(name):
    weights, means, deviations = MIXTURES[name]
    return {"weights": weights, "means": means, "deviations": deviations}


def test_schedule_is_the_packages(evaluate):
    times = [1e-3, 0.01, 0.1, 0.3, 0.7, 1.0]
    found = evaluate(
        "return given.t.map((t) => [schedule.logAlpha(t), schedule.alpha(t), schedule.sigma(t), schedule.logSnr(t)])",
        t=times,
    )
    functions = (SCHEDULE.log_alpha, SCHEDULE.alpha, SCHEDULE.sigma, SCHEDULE.log_snr)
    np.testing.assert_allclose(found, [[function(t) for function in functions] for t in times], rtol=1e-13)
    levels = [-40.0, -20.0, -5.0, 0.0, 4.6, 30.0]
    back = evaluate("return given.levels.map(schedule.time)", levels=levels)
    np.testing.assert_allclose(back, [SCHEDULE.time(level) for level in levels], rtol=1e-13)


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("t", [1e-3, 0.05, 0.4, 1.0])
def test_score_density_and_noise_are_in_closed_form(evaluate, name, t):
    found = evaluate(
        "const { density, score, noise } = explorer.mixtureAt(given.mixture, schedule, given.t);"
        "return given.x.map((x) => [density(x), score(x), noise(x)])",
        mixture=as_given(name),
        t=t,
        x=LINE,
    )
    mixture, x = GaussianMixture(*MIXTURES[name]), torch.from_numpy(LINE)[:, None]
    expected = np.stack(
        [mixture.log_density(x, t).exp().numpy(), mixture.score(x, t)[:, 0].numpy(), mixture.noise(x, t)[:, 0].numpy()],
        1,
    )
    # Where the density is 1e-300 its logarithm is -700: of that, rounding leaves twelve digits of the density.
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_times_of_the_steps_are_the_packages(evaluate, spacing):
    for count in (1, 5, 12):
        found = evaluate(
            "return explorer.stepTimes(schedule, given.n, given.spacing, 1, 1e-3)", n=count, spacing=spacing
        )
        fractions = [i / count for i in range(count + 1)]
        np.testing.assert_allclose(found, step_times(SCHEDULE, fractions, spacing, 1.0, 1e-3), rtol=1e-12)
        assert (found[0], found[-1]) == (1.0, 1e-3)


def test_orders_and_phi_are_the_packages(evaluate):
    asked = [[evaluations, order] for evaluations in range(1, 51) for order in (1, 2, 3)]
    found = evaluate("return given.asked.map(([d, order]) => explorer.singlestepOrders(d, order))", asked=asked)
    assert found == [singlestep_orders(*pair) for pair in asked]
    points = [[k, z] for k in (1, 2, 3) for z in (-9.6, -0.5, -0.1, 0.0, 1e-6, 0.49, 0.51, 9.6)]
    found = evaluate("return given.points.map(([k, z]) => explorer.phi(k, z))", points=points)
    np.testing.assert_allclose(found, [phi(*point) for point in points], rtol=1e-13)


@pytest.mark.parametrize("name", MIXTURES)
def test_end_points_are_the_packages(evaluate, name):
    """All placements and predictions, and all ways in which steps of an order make up D; with 5, 3 the solution explodes."""
    ways = [(1, 3), (5, 1), (5, 2), (4, 3), (5, 3), (11, 3)]
    settings = [
        {"steps": steps, "order": order, "spacing": spacing, "prediction": prediction}
        for (steps, order), spacing, prediction in itertools.product(ways, SPACINGS, ("noise", "data"))
    ]
    start = np.random.default_rng(0).normal(size=20)
    found = evaluate(
        "return given.settings.map((one) => explorer.solve(given.mixture, schedule, given.start, one, 1, 1e-3))",
        mixture=as_given(name),
        start=start,
        settings=settings,
    )
    mixture, x = GaussianMixture(*MIXTURES[name]), torch.from_numpy(start)[:, None]
    for one, solved in zip(settings, found, strict=True):
        end = dpm_solver(mixture.noise, x, SCHEDULE, **one)[:, 0].numpy()
        np.testing.assert_allclose(solved["states"][-1], end, rtol=1e-9, atol=1e-9, err_msg=str(one))
        options = {name: one[name] for name in ("order", "spacing", "prediction")}
        stages = solver_stages(SCHEDULE, one["steps"], **options)
        np.testing.assert_allclose(solved["evaluated"], [stage.time for stage in stages], rtol=1e-12)
        assert solved["spent"] == [0, *itertools.accumulate(solved["orders"])] and solved["spent"][-1] == one["steps"]


def test_far_from_all_modes_the_score_is_still_finite(evaluate):
    found = evaluate(
        "return explorer.mixtureAt(given.mixture, schedule, 1e-3).score(60)", mixture=as_given("two narrow modes")
    )
    expected = (
        GaussianMixture(*MIXTURES["two narrow modes"]).score(torch.tensor([60.0], dtype=torch.float64), 1e-3).item()
    )
    assert math.isfinite(found) and found == pytest.approx(expected, rel=1e-12)
