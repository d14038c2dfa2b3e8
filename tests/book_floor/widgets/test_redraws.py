"""New candidates, ways to select and the mean law: the page's arithmetic against Python's, and both against the package."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import traitlets

from sfbc_core import GaussianMixture, select_actions
from sfbc_core.book.widgets import ActionExplorer
from sfbc_core.book.widgets.explorer import MODULE
from sfbc_core.book.widgets.redraws import mode_weights, selected_law

GRID = np.linspace(-1, 1, 401)
BEHAVIOR = GaussianMixture([0.5, 0.5], [-0.6, 0.6], 0.06)  # chapter 5's
DENSITY = BEHAVIOR.log_density(torch.from_numpy(GRID)[:, None]).exp().numpy()
DELTAS = (0.0, 0.05, 0.5)


def q_of(actions, delta=0.05):
    return np.exp(-(((actions + 0.6) / 0.25) ** 2)) + (1 - delta) * np.exp(-(((actions - 0.6) / 0.25) ** 2))


def make(**options) -> ActionExplorer:
    actions = BEHAVIOR.sample(16, torch.Generator().manual_seed(0))[0][:, 0].numpy()
    settings = {
        "density": (GRID, DENSITY),
        "q_grid": np.stack([q_of(GRID, delta) for delta in DELTAS]),
        "q_setting": ("δ", DELTAS),
        "q_index": 1,
        "action_limits": (-1.0, 1.0),
        "alpha": 10.0,
    }
    return ActionExplorer(actions, q_of(actions), **(settings | options))


@pytest.fixture(scope="module")
def evaluate(node_module):
    return node_module(*MODULE)


# ---- ways to select, as in the package ----


@pytest.mark.parametrize("count", [2, 4, 20])
def test_what_is_certain_is_what_the_package_selects(evaluate, count):
    rng = np.random.default_rng(count)
    actions, q = rng.uniform(-1, 1, size=count), rng.normal(size=count)
    candidates, values = torch.from_numpy(actions)[None, :, None], torch.from_numpy(q)[None]
    for mode in ("greedy", "mean_of_best"):
        expected = float(select_actions(candidates, values, mode=mode, averaged=min(4, count)))
        script = f"explorer.summarize(given.actions, given.q, 3, '{mode}').meanAction"
        assert evaluate(script, actions=actions, q=q) == pytest.approx(expected, abs=1e-12)
        assert mode_weights(q, 3.0, mode) @ actions == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mode", ["sample", "greedy", "mean_of_best"])
def test_mean_law_is_that_of_the_package(mode):
    # 20 000 selections of the package against the mean of laws over 2 000 draws: each bin within 5 standard errors.
    explorer = make(selection=mode, draws=2_000, q_index=1)
    generator = torch.Generator().manual_seed(1)
    candidates = BEHAVIOR.sample(20_000 * 16, generator)[0].reshape(-1, 16, 1)
    q = torch.from_numpy(q_of(candidates[..., 0].numpy()))
    selected = select_actions(candidates, q, 10.0, mode, averaged=4, generator=generator)[:, 0].numpy()
    measured = np.histogram(selected, 20, range=(-1, 1))[0] / len(selected)
    law = explorer.law(20)
    assert law.sum() == pytest.approx(1)
    errors = np.sqrt(law * (1 - law) * (1 / 20_000 + 1 / 2_000))
    assert (np.abs(law - measured) <= 5 * errors + 1e-3).all()


# ---- the page and Python agree ----


@pytest.mark.parametrize("mode", ["sample", "greedy", "mean_of_best"])
def test_draws_and_mean_law_agree_with_python(evaluate, mode):
    explorer = make(selection=mode, draws=40, q_index=1, num_candidates=12)
    actions, q = explorer._redraws.between(1, 40, 2)
    script = """(() => {
      const { grid, density, qs, actions, q, mode } = given, f = (values) => Float64Array.from(values);
      const curves = { grid: f(grid), density: f(density), qs: qs.map(f) };
      const draws = explorer.candidateDraws(curves, [f(actions), f(q)], 1), average = explorer.lawAverage(-1, 1, 40);
      const state = { alpha: 10, num_candidates: 12, selection: mode, q_index: 2, draws: 25 };
      average.advance(draws.of, state, Infinity);
      average.advance(draws.of, { ...state, q_index: 1 }, Infinity);
      average.advance(draws.of, state, Infinity);
      const mean = average.advance(draws.of, { ...state, draws: 40 }, Infinity);
      return { drawn: [1, 2, 40].map((draw) => draws.of(draw, 2)), mean };
    })()"""
    explorer.q_index = 2
    found = evaluate(
        script,
        grid=explorer._curves["grid"],
        density=explorer._curves["density"],
        qs=explorer._curves["q"],
        actions=explorer._actions[0, 0],
        q=explorer._q[0, 0],
        mode=mode,
    )
    for (there, value), number in zip(found["drawn"], (1, 2, 40), strict=True):
        np.testing.assert_allclose(there, actions[number - 1], atol=1e-12)
        np.testing.assert_allclose(value, q[number - 1], atol=1e-12)
    assert found["mean"]["count"] == 40
    np.testing.assert_allclose(found["mean"]["law"], explorer.law(), atol=1e-12)


def test_a_mean_that_takes_long_is_shared_out_over_frames(evaluate):
    script = """(() => {
      const values = Float64Array.from({ length: 64 }, (_, i) => i / 64), average = explorer.lawAverage(0, 1, 8);
      const state = { alpha: 1, num_candidates: 64, selection: "sample", q_index: 0, draws: 100 };
      return [0, 0, Infinity].map((budget) => average.advance(() => [values, values], state, budget).count);
    })()"""
    assert evaluate(script) == [16, 32, 100]


def test_draws_follow_the_density():
    actions, _ = make()._redraws.between(2, 1001, 1)
    integral = np.concatenate([[0], ((DENSITY[1:] + DENSITY[:-1]) / 2 * np.diff(GRID)).cumsum()])
    expected = np.interp(np.sort(actions.ravel()), GRID, integral / integral[-1])
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is the 0.1 % point.
    assert np.abs(expected - np.arange(actions.size) / actions.size).max() < 1.95 / np.sqrt(actions.size)


def test_mean_of_the_best_four_lies_between_two_equal_modes():
    # Chapter 5: four tosses of a coin; all on one side with probability 1/8.
    law = make(selection="mean_of_best", draws=4_000, q_index=1)
    law.q_index = 0
    assert law.law(3)[[0, 2]].sum() == pytest.approx(1 / 8, abs=4 * np.sqrt(7 / 64 / 4_000))


def test_law_by_hand():
    actions, q = np.array([[-0.5, 0.5], [0.5, 0.9]]), np.array([[0.0, np.log(3)], [1.0, 0.0]])
    np.testing.assert_allclose(selected_law(actions, q, 1.0, "greedy", (-1.0, 1.0), 2), [0, 1])
    law = selected_law(actions, q, 1.0, "sample", (-1.0, 1.0), 2)
    np.testing.assert_allclose(law, [1 / 8, 7 / 8])
    np.testing.assert_allclose(selected_law(actions, q, 1.0, "mean_of_best", (-1.0, 1.0), 4), [0, 0, 0.5, 0.5])


# ---- traits ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 0}, "draws must be between 1 and 10000; got 0"),
        ({"draws": 10_001}, "draws must be between 1 and 10000; got 10001"),
        ({"q_index": 3}, "q_index must be between 0 and 2; got 3"),
        ({"selection": "best"}, "best"),
    ],
)
def test_traits_are_checked(change, message):
    with pytest.raises(traitlets.TraitError, match=message):
        make(**change)


@pytest.mark.parametrize("change", [{"draws": 2}, {"selection": "greedy"}, {"q_index": 1}])
def test_nothing_is_drawn_without_a_density_and_q(change):
    with pytest.raises(traitlets.TraitError):
        make(density=None, q_grid=None, q_setting=None, **({"q_index": 0} | change))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"q_grid": q_of(GRID)}, r"q_grid must have the shape of the grid, \(3, 401\); got \(401,\)"),
        ({"q_grid": None}, "q_setting needs q_grid"),
    ],
)
def test_settings_of_q_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_summary_tells_the_value_of_the_mean_not_the_mean_of_the_values():
    explorer = make(selection="mean_of_best", draws=3, q_index=1)
    explorer.q_index = 0
    numbers = explorer.summary()
    assert numbers["expected_q"] == pytest.approx(q_of(numbers["mean_action"], 0.0), abs=1e-4)
    assert numbers["effective_sample_size"] == pytest.approx(4)
    assert explorer.preview_png().startswith(b"\x89PNG")


# ---- in a browser ----


@pytest.fixture(scope="module")
def fragments() -> list[str]:
    return [make().to_html()]


def test_redrawing_on_the_page(open_page):
    from playwright.sync_api import expect

    explorer = open_page().locator(".sfbc-explorer")
    pictures = [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in explorer.locator("canvas").all()]
    explorer.get_by_role("button", name="Draw new candidates").press("Enter")
    expect(explorer).to_have_attribute("data-draws", "2")
    after = [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in explorer.locator("canvas").all()]
    assert all(a != b for a, b in zip(pictures, after, strict=True))
    explorer.get_by_role("button", name="1000 more").press("Enter")
    expect(explorer).to_have_attribute("data-draws-done", "1002")
    expect(explorer.get_by_text("Law of the selected action, mean over 1002 draws", exact=True)).to_be_visible()
    text = explorer.get_by_role("status").inner_text()
    one_draw, mean = re.search(r"([\d.]+) for this draw, ([\d.]+) for the mean over 1002 draws", text).groups()
    assert float(mean) < float(one_draw) / 3
    for mode, slider in (("greedy", "Home"), ("mean_of_best", "End")):
        explorer.get_by_role("combobox", name="Select").select_option(mode)
        expect(explorer).to_have_attribute("data-selection", mode)
        explorer.get_by_role("slider", name="δ").press(slider)
        expect(explorer).to_have_attribute("data-draws-done", "1002")
    expect(explorer).to_have_attribute("data-q-index", "2")
    explorer.get_by_role("button", name="Start over").press("Enter")
    expect(explorer).to_have_attribute("data-draws", "1")
    expected = make(selection="mean_of_best", q_index=1)
    expected.q_index = 2
    assert float(explorer.get_attribute("data-mean-action")) == pytest.approx(
        expected.summary()["mean_action"], abs=1e-3
    )


def test_nothing_is_shown_finer_than_its_axis(open_page):
    explorer = open_page(fragment="#sfbc-action?alpha=0&draws=2000").locator(".sfbc-explorer")
    text = explorer.get_by_role("status").inner_text()
    assert "e-" not in text and "e−" not in text


def test_an_address_opens_a_draw(open_page):
    from playwright.sync_api import expect

    explorer = open_page(fragment="#sfbc-action?selection=greedy&draws=7&q_index=2").locator(".sfbc-explorer")
    expect(explorer).to_have_attribute("data-draws-done", "7")
    expect(explorer).to_have_attribute("data-selection", "greedy")
    expect(explorer.get_by_role("slider", name="δ")).to_have_attribute("aria-valuetext", "0.5")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    results = axe.Axe().run(open_page(theme))
    assert results.violations_count == 0, results.generate_report()
