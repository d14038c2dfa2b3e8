"""The browser's arithmetic (its scripts, run by Node) against NumPy, PyTorch and the Python side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfbc_core.book.widgets.explorer import MODULE
from sfbc_core.book.widgets.numerics import map_values, state_uniforms
from sfbc_core.book.widgets.packing import pack_rows, unpack_rows


@pytest.fixture(scope="module")
def evaluate(node_module):
    return node_module(*MODULE)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


# ---- selection ----


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 20.0, 100.0, 1e6])
def test_softmax_agrees_with_torch(evaluate, rng, alpha):
    q = rng.normal(size=50) * 5 + 1000
    weights = evaluate("explorer.softmaxWeights(given.q, given.alpha)", q=q, alpha=alpha)
    gap = torch.from_numpy(q - q.max())
    np.testing.assert_allclose(weights, torch.softmax(alpha * gap, dim=0).numpy(), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("q", [[1e300, -1e300, 0.0], [-1e300, -1e300], [5.0]])
def test_softmax_is_finite_for_any_q(evaluate, q):
    weights = evaluate("explorer.softmaxWeights(given.q, 1e6)", q=q)
    assert np.isfinite(weights).all() and sum(weights) == pytest.approx(1.0)


def test_summary_agrees_with_numpy(evaluate, rng):
    actions, q = rng.uniform(-1, 1, size=30), rng.normal(size=30)
    summary = evaluate("explorer.summarize(given.actions, given.q, 2.5)", actions=actions, q=q)
    weights = np.exp(2.5 * q) / np.exp(2.5 * q).sum()
    np.testing.assert_allclose(summary["weights"], weights, rtol=1e-12)
    assert summary["meanAction"] == pytest.approx(weights @ actions)
    assert summary["expectedQ"] == pytest.approx(weights @ q)
    assert summary["ess"] == pytest.approx(1 / (weights**2).sum())
    assert summary["best"] == q.argmax()
    assert summary["bestAction"] == actions[q.argmax()]


def test_state_uniforms_agree_with_python(evaluate):
    uniforms = evaluate("Array.from({ length: 3000 }, (_, i) => explorer.stateUniform(i))")
    np.testing.assert_array_equal(uniforms, state_uniforms(3000))


@pytest.mark.parametrize("mode", ["mean", "greedy", "sampled"])
@pytest.mark.parametrize("alpha", [0.0, 3.0, 1e6])
def test_map_agrees_with_python(evaluate, rng, mode, alpha):
    actions, q = rng.uniform(-1, 1, size=(5, 7, 9)), rng.normal(size=(5, 7, 9))
    shown = evaluate(
        "given.actions.map((row, i) => explorer.shownAction(row, given.q[i], given.alpha, given.mode, i))",
        actions=actions.reshape(35, 9),
        q=q.reshape(35, 9),
        alpha=alpha,
        mode=mode,
    )
    np.testing.assert_allclose(np.reshape(shown, (5, 7)), map_values(actions, q, alpha, mode), rtol=1e-12, atol=1e-15)


def test_sample_index_by_hand(evaluate):
    indices = evaluate("[0, 0.24, 0.25, 0.74, 0.76, 1].map((u) => explorer.sampleIndex([0.25, 0.5, 0, 0.25], u))")
    assert indices == [0, 0, 1, 1, 3, 3]


# ---- the exact policy ----


@pytest.mark.parametrize("alpha", [0.0, 1.0, 10.0])
def test_exact_policy_of_a_gaussian_behavior_and_a_linear_q(evaluate, alpha):
    # N(m, s²) tilted by exp(alpha c a) is N(m + alpha c s², s²), so its mean and E[Q] are known.
    mean, deviation, slope = 0.1, 0.2, 0.7
    grid = np.linspace(-2, 4, 6001)
    density = np.exp(-0.5 * ((grid - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    exact = evaluate(
        "explorer.exactPolicy(given.grid, given.density, given.q, given.alpha)",
        grid=grid,
        density=density,
        q=slope * grid,
        alpha=alpha,
    )
    shifted = mean + alpha * slope * deviation**2
    expected = np.exp(-0.5 * ((grid - shifted) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(exact["policy"], expected, atol=1e-9)
    assert exact["meanAction"] == pytest.approx(shifted, abs=1e-9)
    assert exact["expectedQ"] == pytest.approx(slope * shifted, abs=1e-9)


def test_exact_policy_ignores_q_where_the_behavior_has_no_mass(evaluate):
    exact = evaluate("explorer.exactPolicy([0, 1, 2, 3], [1, 1, 0, 0], [0, 0, 0, 1e9], 1e6)")
    assert np.isfinite(exact["policy"]).all()
    assert exact["policy"][2:] == [0, 0] and exact["policy"][0] > 0


def test_resampled_law_tends_to_the_exact_policy(evaluate, rng):
    grid = np.linspace(-1, 1, 401)
    actions = rng.uniform(-1, 1, size=20_000)
    expression = """(() => {
      const { grid, actions } = given, q = (a) => Math.sin(3 * a);
      const exact = explorer.exactPolicy(grid, grid.map(() => 0.5), grid.map(q), 2).policy;
      const target = explorer.binDensity(grid, exact, -1, 1, 40);
      return [20, 200, 2000, 20000].map((count) => {
        const used = actions.slice(0, count), weights = explorer.softmaxWeights(used.map(q), 2);
        return explorer.totalVariation(explorer.binCandidates(used, weights, -1, 1, 40), target);
      });
    })()"""
    distances = evaluate(expression, grid=grid, actions=actions)
    assert distances == sorted(distances, reverse=True)
    # Each of the 40 bins errs by about sqrt(p / ESS), so the sum of the halves by 0.5 * sqrt(40 / ESS) at most, and the
    # effective sample size is over a third of M here.
    assert distances[-1] < 0.5 * np.sqrt(40 / (20_000 / 3))


def test_binned_density_is_the_integral(evaluate):
    # Density 1/2 on [-1, 1], in bins of width 0.5 over [-2, 2]: half of them lie outside.
    mass = evaluate("explorer.binDensity([-1, 0, 1], [0.5, 0.5, 0.5], -2, 2, 8)")
    np.testing.assert_allclose(mass, [0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0], atol=1e-15)


def test_binned_candidates_by_hand(evaluate):
    mass = evaluate("explorer.binCandidates([-1, -0.1, 0.1, 1, 7], [0.1, 0.2, 0.3, 0.3, 0.1], -1, 1, 2)")
    np.testing.assert_allclose(mass, [0.3, 0.7])  # the right end and what lies beyond count in the last bin


# ---- sliders ----


@pytest.mark.parametrize("largest", [10.0, 100.0, 1000.0])
def test_alpha_slider_starts_at_zero_and_is_logarithmic(evaluate, largest):
    alphas = evaluate(
        "Array.from({ length: 101 }, (_, i) => explorer.posToAlpha(i, 0.1, given.largest))", largest=largest
    )
    assert alphas[0] == 0 and alphas[1] == 0.1 and alphas[-1] == largest
    expected = 0.1 * (largest / 0.1) ** (np.arange(100) / 99)
    np.testing.assert_allclose(alphas[1:], expected, rtol=0.0051)  # three digits: half a unit of the third of 1.00
    back = evaluate(
        "given.alphas.map((alpha) => explorer.alphaToPos(alpha, 0.1, given.largest))", alphas=alphas, largest=largest
    )
    assert back == list(range(101))


def test_alpha_beyond_the_slider_sits_at_its_end(evaluate):
    assert evaluate("[explorer.alphaToPos(1e6), explorer.alphaToPos(0.001), explorer.alphaToPos(0)]") == [100, 1, 0]


@pytest.mark.parametrize("total", [1, 2, 32, 64, 65, 96, 100, 1024])
def test_candidate_counts_increase_from_one_to_all(evaluate, total):
    counts = evaluate("explorer.candidateCounts(given.total)", total=total)
    assert counts[0] == 1 and counts[-1] == total
    assert (np.diff(counts) > 0).all()
    assert counts == list(range(1, total + 1)) if total <= 64 else len(counts) < 30


def test_count_between_two_positions_sits_at_the_nearest(evaluate):
    assert evaluate("explorer.countToPos([1, 2, 4, 8], 5)") == 2


# ---- packing, ticks and text ----


def test_unpacking_agrees_with_python(evaluate, rng):
    values = rng.normal(size=(6, 11)) * 10.0 ** np.arange(-3, 3)[:, None]
    packed = pack_rows(values)
    unpacked = evaluate("explorer.unpackRows(given.packed, 11)", packed=packed)
    np.testing.assert_array_equal(np.reshape(unpacked, (6, 11)), unpack_rows(packed, 11))


def test_numbers_as_text(evaluate):
    text = evaluate("[0, -1e-17, -0.25, 1.23456, 1234567, 100].map((value) => explorer.formatNumber(value))")
    assert text == ["0", "0", "−0.25", "1.23", "1230000", "100"]


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 1), (0, 0.0313), (37.5, 40.9), (-0.07, 0.07), (-1000, 2500), (3, 3.000001)]
)
def test_ticks_are_few_round_and_inside(evaluate, low, high):
    ticks = evaluate("explorer.niceTicks(given.low, given.high, 5)", low=low, high=high)
    values = np.array([tick["value"] for tick in ticks])
    margin = 1e-6 * (high - low)
    assert 2 <= len(ticks) <= 6
    assert low - margin <= values[0] and values[-1] <= high + margin
    labels = [float(tick["label"].replace("−", "-")) for tick in ticks]
    np.testing.assert_allclose(labels, values, atol=margin)


def test_color_map_is_blue_white_red(evaluate):
    low, middle, high = evaluate("[-1, 0.5, 2].map((fraction) => explorer.mapColor(fraction))")
    assert low == [5, 48, 97] and middle == [247, 247, 247] and high == [103, 0, 31]
