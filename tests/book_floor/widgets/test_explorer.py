"""The Python side of the action explorer: packing, validation, traits and the HTML fragment."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
import traitlets

from sfbc_core.book.widgets import ActionExplorer
from sfbc_core.book.widgets.numerics import map_values, state_uniforms
from sfbc_core.book.widgets.packing import pack_rows, unpack_rows

GRID = np.linspace(-1.0, 1.0, 5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def make_policy(rng: np.random.Generator, total: int = 16, **options) -> ActionExplorer:
    actions = rng.uniform(-1, 1, size=total)
    return ActionExplorer(actions, -(actions**2), **options)


def make_map(rng: np.random.Generator, ny: int = 3, nx: int = 4, total: int = 8, **options) -> ActionExplorer:
    return ActionExplorer(rng.uniform(-1, 1, size=(ny, nx, total)), rng.normal(size=(ny, nx, total)), **options)


# ---- packing ----


def test_packing_error_is_at_most_half_a_step_of_each_row(rng):
    # Rows of very different size: a common scale would lose all of the small one, whose Q decide its softmax.
    values = rng.normal(size=(3, 500)) * np.array([[1e-3], [1.0], [1e4]]) + np.array([[100.0], [0.0], [-5e4]])
    half_step = np.ptp(values, axis=1, keepdims=True) / 65535 / 2
    error = np.abs(unpack_rows(pack_rows(values), 500) - values)
    assert (error <= half_step * (1 + 1e-6)).all()  # 1e-6: rounding of float64 at the ends of a row


def test_packing_keeps_constant_rows_exactly():
    values = np.array([[3.7, 3.7], [0.0, 0.0]])
    np.testing.assert_array_equal(unpack_rows(pack_rows(values), 2), values)


# ---- validation: every message says what was expected and what came ----


@pytest.mark.parametrize(
    ("actions", "q", "message"),
    [
        (np.zeros(3), np.zeros(4), r"actions must have the shape of q, \(4,\).*got \(3,\)"),
        (np.zeros((2, 2, 3, 2)), np.zeros((2, 2, 3)), r"got \(2, 2, 3, 2\).*one component at a time"),
        (np.zeros((2, 3)), np.zeros((2, 3)), r"q must have shape \(M,\) or \(ny, nx, M\); got \(2, 3\)"),
        (np.zeros(0), np.zeros(0), r"at least one candidate.*got shape \(0,\)"),
        (np.zeros((2, 2, 0)), np.zeros((2, 2, 0)), r"at least one candidate.*got shape \(2, 2, 0\)"),
        (np.array([0.0, np.nan]), np.zeros(2), "actions must be finite; got 1 NaN or infinite of 2 numbers"),
        (np.zeros(2), np.array([np.inf, np.nan]), "q must be finite; got 2 NaN or infinite of 2 numbers"),
    ],
)
def test_candidates_are_checked(actions, q, message):
    with pytest.raises(ValueError, match=message):
        ActionExplorer(actions, q)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": (GRID, np.ones(4))}, r"one shape \(G,\).*got \(5,\) and \(4,\)"),
        ({"density": (GRID[::-1].copy(), np.ones(5))}, "grid of density must increase strictly"),
        ({"density": (GRID, -np.ones(5))}, "mu of density must be >= 0"),
        ({"density": (GRID, np.zeros(5))}, "positive integral"),
        ({"density": (GRID, np.full(5, np.nan))}, "mu of density must be finite"),
        ({"density": (GRID, np.ones(5)), "q_grid": np.ones(6)}, r"q_grid must have .*\(5,\); got \(6,\)"),
        ({"q_grid": np.ones(5)}, "q_grid needs density"),
        ({"x_values": GRID}, "need a grid of states"),
        ({"max_alpha": 0.1}, "max_alpha must be finite and greater than 0.1; got 0.1"),
        ({"action_limits": (1.0, -1.0)}, r"low < high; got \(1.0, -1.0\)"),
    ],
)
def test_options_of_one_state_are_checked(rng, options, message):
    with pytest.raises(ValueError, match=message):
        make_policy(rng, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x_values": np.zeros(3)}, r"x_values must have shape \(4,\).*got \(3,\)"),
        ({"y_values": np.zeros(3)}, "y_values must increase strictly; got"),
        ({"density": (GRID, np.ones(5))}, r"need a single state.*got \(3, 4, 8\)"),
    ],
)
def test_options_of_a_map_are_checked(rng, options, message):
    with pytest.raises(ValueError, match=message):
        make_map(rng, **options)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alpha", -1.0, "alpha must be finite and >= 0; got -1.0"),
        ("alpha", float("nan"), "alpha must be finite"),
        ("num_candidates", 0, "num_candidates must be between 1 and 8; got 0"),
        ("num_candidates", 9, "num_candidates must be between 1 and 8; got 9"),
        ("x_index", 4, "x_index must be between 0 and 3; got 4"),
        ("y_index", -1, "y_index must be between 0 and 2; got -1"),
        ("map_mode", "median", "median"),
    ],
)
def test_traits_are_checked_at_the_start_and_later(rng, name, value, message):
    with pytest.raises(traitlets.TraitError, match=message):
        make_map(rng, **{name: value})
    explorer = make_map(rng)
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


# ---- traits and numbers ----


def test_defaults_use_all_candidates_and_the_middle_state(rng):
    explorer = make_map(rng, ny=3, nx=4, total=8)
    assert (explorer.alpha, explorer.num_candidates, explorer.map_mode) == (1.0, 8, "mean")
    assert (explorer.x_index, explorer.y_index) == (2, 1)


def test_everything_the_reader_moves_is_synced(rng):
    synced = make_policy(rng).keys
    assert {"alpha", "num_candidates", "x_index", "y_index", "map_mode", "data"} <= set(synced)


def test_tensors_with_a_last_axis_are_taken(rng):
    actions, q = torch.linspace(-1, 1, 6, requires_grad=True)[:, None], torch.arange(6.0)
    explorer = ActionExplorer(actions, q, alpha=0.0)
    assert explorer.data["shape"] == [1, 1, 6]
    assert explorer.summary()["best_action"] == 1.0


def test_action_limits_are_symmetric_when_the_actions_have_both_signs():
    q = np.zeros(2)
    assert ActionExplorer(np.array([-0.5, 2.0]), q).data["action_limits"] == [-2.0, 2.0]
    assert ActionExplorer(np.array([1.0, 2.0]), q).data["action_limits"] == [1.0, 2.0]
    assert ActionExplorer(np.array([1.0, 1.0]), q).data["action_limits"] == [0.5, 1.5]


def test_summary_by_hand():
    # softmax(ln 3 * [1, 0]) = [3/4, 1/4]; the third candidate is beyond M.
    explorer = ActionExplorer(
        np.array([2.0, -2.0, 9.0]), np.array([1.0, 0.0, 5.0]), alpha=np.log(3.0), num_candidates=2
    )
    assert explorer.summary() == pytest.approx(
        {"mean_action": 1.0, "best_action": 2.0, "expected_q": 0.75, "effective_sample_size": 1.6}
    )


def test_summary_survives_a_huge_alpha(rng):
    explorer = make_policy(rng, alpha=1e6)
    assert explorer.summary()["effective_sample_size"] == pytest.approx(1.0)


def test_sampled_map_follows_the_weights():
    # One candidate has 80 % of the probability, so it shows at that share of the states; 4 standard errors allowed.
    ny, nx = 60, 60
    actions = np.broadcast_to([0.0, 1.0], (ny, nx, 2)).copy()
    q = np.broadcast_to([0.0, np.log(4.0)], (ny, nx, 2)).copy()
    share = map_values(actions, q, 1.0, "sampled").mean()
    assert abs(share - 0.8) < 4 * np.sqrt(0.8 * 0.2 / (ny * nx))


def test_state_uniforms_are_fixed_and_uniform():
    uniforms = state_uniforms(2000)
    np.testing.assert_array_equal(uniforms[:10], state_uniforms(10))
    assert 0 < uniforms.min() and uniforms.max() < 1
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is the 0.1 % point.
    assert np.abs(np.sort(uniforms) - np.arange(2000) / 2000).max() < 1.95 / np.sqrt(2000)


# ---- the HTML fragment ----


def test_fragment_loads_nothing_from_elsewhere(rng):
    html = make_map(rng).to_html()
    assert not re.search(r"https?://", html)
    assert not re.search(r"""\bsrc=["'](?!data:)""", html)
    assert "import " not in ActionExplorer._esm


def test_fragment_holds_the_data_and_the_state(rng):
    explorer = make_map(rng, alpha=3.0, num_candidates=5, x_index=1, y_index=2, map_mode="greedy")
    payload = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', explorer.to_html(), re.DOTALL)[1]
    content = json.loads(payload)
    assert content["data"] == explorer.data
    given = {"alpha": 3.0, "num_candidates": 5, "x_index": 1, "y_index": 2, "map_mode": "greedy"}
    assert content["state"] == {**given, "selection": "sample", "draws": 1, "q_index": 0}


def test_labels_cannot_end_the_script_or_the_attribute(rng):
    hostile = '</script><!-- "quoted" <b>$x$'
    html = make_map(rng, title=hostile, x_label=hostile, action_label=hostile).to_html()
    assert html.count("</script>") == 2  # the data and the module: none of the labels
    assert "<!--" not in html and "<b>" not in html
    alt = re.search(r'<img alt="([^"]*)"', html)[1]
    assert "&lt;/script&gt;" in alt and "&quot;quoted&quot;" in alt


def test_module_can_be_inlined():
    source = ActionExplorer._esm
    assert "</script" not in source and "<!--" not in source
    assert 'className: "row"' not in source  # the book's theme lays out .row as a grid


def test_every_fragment_has_its_own_id(rng):
    explorer = make_policy(rng)
    ids = [re.search(r'<div id="([^"]+)"', explorer.to_html())[1] for _ in range(2)]
    assert ids[0] != ids[1]


def test_alternative_text_tells_the_numbers(rng):
    explorer = make_map(rng, alpha=2.0, num_candidates=4, x_label="position", y_label="velocity")
    alt = re.search(r'<img alt="([^"]*)"', explorer.to_html())[1]
    assert "map of the mean action over position and velocity" in alt
    assert f"α = 2, M = 4: mean action {explorer.summary()['mean_action']:.3g}" in alt


@pytest.mark.parametrize("mode", ["mean", "greedy", "sampled"])
@pytest.mark.parametrize(("ny", "nx"), [(3, 4), (1, 4), (3, 1)])
def test_preview_is_a_png_for_any_grid(rng, mode, ny, nx):
    assert make_map(rng, ny=ny, nx=nx, map_mode=mode).preview_png().startswith(b"\x89PNG\r\n")


def test_display_offers_widget_html_and_picture(rng):
    bundle, _ = make_policy(rng)._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "image/png", "text/plain"} <= bundle.keys()
    assert bundle["text/plain"] == "ActionExplorer(one state, alpha=1, num_candidates=16 of 16)"


def test_page_weight(rng):
    # The budget of a book page: 0.6 MB for the largest map that a chapter shows.
    html = make_map(rng, ny=31, nx=41, total=32).to_html()
    assert len(html.encode()) < 0.6e6
