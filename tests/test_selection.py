"""Selection: the law of the chosen action, its limits, and safety at extreme temperatures."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import effective_sample_size, select_actions, selection_weights
from sfbc_core.selection import draw_without_replacement


def test_resampling_has_the_softmax_law(generator):
    q = torch.tensor([[0.0, 1.0, 0.5, -2.0]])
    n, alpha = 100_000, 1.5
    candidates = torch.arange(4.0)[None, :, None].expand(n, -1, -1)
    chosen = select_actions(candidates, q.expand(n, -1), alpha, generator=generator)[:, 0]
    expected = (alpha * q[0].double()).exp() / (alpha * q[0].double()).exp().sum()
    shares = torch.bincount(chosen.long(), minlength=4) / n
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt()).all()  # 5 standard errors


def test_drawing_without_replacement_has_the_law_of_drawing_one_after_the_other(generator):
    """Ordered pairs out of four: P(i, j) = w_i · w_j / (1 - w_i), where the weights sum to 1."""
    weights = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    n = 200_000
    drawn = draw_without_replacement(weights.log().expand(n, -1), 2, generator)
    counts = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16).reshape(4, 4)
    for i, j in itertools.product(range(4), repeat=2):
        expected = 0.0 if i == j else float(weights[i] * weights[j] / (1 - weights[i]))
        error = math.sqrt(expected * (1 - expected) / n)
        assert abs(counts[i, j] / n - expected) <= 5 * error, (i, j)  # 5 standard errors; no index twice


def test_the_mean_of_a_sample_is_between_the_mean_of_all_and_of_the_best(generator):
    q = torch.randn(50, 8, generator=generator)
    candidates = torch.randn(50, 8, 2, generator=generator)

    def mean_of(averaged, alpha, mode="mean_of_sample"):
        return select_actions(candidates, q, alpha, mode, averaged=averaged, generator=generator)

    torch.testing.assert_close(mean_of(8, 1.0), candidates.mean(1))  # all, in whatever order
    torch.testing.assert_close(mean_of(3, 1e7), mean_of(3, 1.0, "mean_of_best"))


def test_the_mean_of_one_drawn_has_the_law_of_a_sample(generator):
    q = torch.tensor([[0.0, 1.0, 0.5, -2.0]])
    n, alpha = 100_000, 1.5
    candidates = torch.arange(4.0)[None, :, None].expand(n, -1, -1)
    chosen = select_actions(candidates, q.expand(n, -1), alpha, "mean_of_sample", averaged=1, generator=generator)
    expected = selection_weights(q, alpha)[0].double()
    shares = torch.bincount(chosen[:, 0].long(), minlength=4) / n
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt()).all()  # 5 standard errors


@pytest.mark.parametrize("mode", ["sample", "mean_of_sample"])
def test_the_largest_alpha_still_tells_candidates_apart(mode, generator):
    q = torch.tensor([[10.0, 11.0, 9.0]]).expand(100, -1)
    candidates = torch.arange(3.0).expand(100, -1)[:, :, None]
    chosen = select_actions(candidates, q, 3e38, mode, averaged=1, generator=generator)
    assert (chosen == 1).all()


def test_each_state_has_its_own_stream():
    candidates, q = torch.arange(32.0).expand(3, -1)[:, :, None], torch.zeros(3, 32)

    def streams(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    together = select_actions(candidates, q, 1.0, generator=streams(1, 2, 3))
    alone = select_actions(candidates[:1], q[:1], 1.0, generator=streams(2))
    assert together[1] == alone[0]


def test_greedy_and_mean_of_best_by_hand():
    candidates = torch.tensor([[[1.0, 0.0], [2.0, 4.0], [3.0, 8.0]]])
    q = torch.tensor([[0.1, 0.3, 0.2]])
    assert select_actions(candidates, q, mode="greedy").tolist() == [[2.0, 4.0]]
    assert select_actions(candidates, q, mode="mean_of_best", averaged=2).tolist() == [[2.5, 6.0]]
    assert select_actions(candidates, q, mode="mean_of_best", averaged=1).tolist() == [[2.0, 4.0]]


@given(st.integers(1, 40), st.floats(0.0, 1e6), st.floats(-1e4, 1e4), st.integers(0, 1000))
def test_weights_are_a_distribution_at_any_temperature(m, alpha, offset, seed):
    q = torch.randn(5, m, generator=torch.Generator().manual_seed(seed)) + offset
    weights = selection_weights(q, alpha)
    assert torch.isfinite(weights).all() and (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(5))
    size = effective_sample_size(q, alpha)
    assert (size >= 1 - 1e-5).all() and (size <= m + 1e-3).all()
    chosen = select_actions(torch.arange(float(m)).expand(5, -1)[:, :, None], q, alpha, generator=torch.Generator())
    assert (weights.gather(1, chosen.long()) > 0).all(), "an action of weight zero was chosen"


def test_a_large_alpha_is_greedy_and_zero_is_indifferent(generator):
    q = torch.randn(50, 8, generator=generator)
    candidates = torch.randn(50, 8, 2, generator=generator)
    greedy = select_actions(candidates, q, mode="greedy")
    assert (select_actions(candidates, q, 1e6, generator=generator) == greedy).all()
    torch.testing.assert_close(selection_weights(q, 0.0), torch.full((50, 8), 1 / 8))
    torch.testing.assert_close(effective_sample_size(q, 0.0), torch.full((50,), 8.0))
    torch.testing.assert_close(effective_sample_size(q, 1e6), torch.ones(50))


def test_effective_sample_size_by_hand():
    q = torch.tensor([[0.0, math.log(3.0)]])  # weights 1/4, 3/4
    assert effective_sample_size(q, 1.0).item() == pytest.approx(1 / (1 / 16 + 9 / 16), rel=1e-6)


CANDIDATES, Q = torch.zeros(2, 3, 1), torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((CANDIDATES, Q[:, :2]), {}, r"expected q of shape \(2, 3\) for these candidates, got \(2, 2\)"),
        ((CANDIDATES, Q), {"mode": "best"}, "mode must be one of .*got 'best'"),
        ((CANDIDATES, Q), {"mode": "sample"}, "needs a generator, got None"),
        ((CANDIDATES, Q), {"mode": "mean_of_sample", "averaged": 2}, "needs a generator, got None"),
        (
            (CANDIDATES, Q),
            {"mode": "mean_of_sample", "averaged": 4, "generator": torch.Generator()},
            "between 1 and the 3 candidates, got 4",
        ),
        ((CANDIDATES, Q), {"mode": "mean_of_best", "averaged": 4}, "between 1 and the 3 candidates, got 4"),
        ((CANDIDATES, Q * math.nan), {"mode": "greedy"}, "q must be finite, found NaN or infinity"),
        ((CANDIDATES, Q * math.nan), {"generator": torch.Generator()}, "q must be finite, found NaN or infinity"),
        ((CANDIDATES[:, :0], Q[:, :0]), {"generator": torch.Generator()}, "at least one candidate a state, got 0"),
        ((CANDIDATES, Q), {"alpha": -1.0, "generator": torch.Generator()}, "alpha must be finite and >= 0, got -1"),
        ((CANDIDATES, Q), {"alpha": math.inf, "generator": torch.Generator()}, "alpha must be finite"),
        ((CANDIDATES, Q), {"generator": [torch.Generator()]}, "one generator for each of the 2 rows, got 1"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_selection_input_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        select_actions(*arguments, **options)
