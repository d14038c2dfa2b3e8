"""Planned returns against hand-worked arrays and a plain loop; soft values against their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from sfbc_core import Trajectories, discounted_returns, planned_returns, soft_value
from sfbc_core.planning import lambda_returns, unknown_share


def episode_data(rewards, terminals, timeouts) -> Trajectories:
    n = len(rewards)
    return Trajectories(torch.zeros(n, 1), torch.zeros(n, 1), rewards, terminals, timeouts)


# Two episodes, worked out by hand with γ = 0.5: the first ends in a terminal, the second in a timeout.
REWARDS = [1.0, 0.0, 2.0, 0.0, 1.0]
DATA = episode_data(REWARDS, [0, 0, 1, 0, 0], [0, 0, 0, 0, 1])
VALUES = torch.tensor([9.0, 8.0, 1.0, 0.0, 4.0], dtype=torch.float64)


def test_discounted_returns_by_hand():
    #  R_2 = 2; R_1 = 0 + .5·2 = 1; R_0 = 1 + .5·1 = 1.5;  R_4 = 1; R_3 = 0 + .5·1 = .5
    assert discounted_returns(DATA, 0.5).tolist() == [1.5, 1.0, 2.0, 0.5, 1.0]


def test_the_unknown_share_by_hand():
    """Two steps to a terminal, three to a cut; a transition with both flags is a terminal."""
    zeros = torch.zeros(6)
    terminals = torch.tensor([0, 1, 0, 0, 0, 1]).bool()
    timeouts = torch.tensor([0, 0, 0, 0, 1, 1]).bool()
    share = unknown_share(Trajectories(zeros[:, None], zeros[:, None], zeros, terminals, timeouts), 0.5)
    torch.testing.assert_close(share, torch.tensor([0, 0, 0.125, 0.25, 0.5, 0], dtype=torch.float64))


@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_a_return_and_its_unknown_share_make_up_the_whole(walk, discount):
    """If every reward, recorded or not, were 1 - γ, the whole would be 1: the part up to the cut and what is unknown."""
    rewards = torch.full((len(walk),), 1 - discount)
    timeouts = walk.timeouts | walk.terminals
    steady = Trajectories(walk.observations, walk.actions, rewards, torch.zeros_like(timeouts), timeouts)
    whole = discounted_returns(steady, discount) + unknown_share(steady, discount)
    torch.testing.assert_close(whole, torch.ones(len(walk), dtype=torch.float64), atol=1e-6, rtol=0)


def test_planned_returns_by_hand():
    #  terminal: R_2 = 2.  R_1 = 0 + .5·max(2, V_2 = 1) = 1.  R_0 = 1 + .5·max(1, V_1 = 8) = 5
    #  timeout: R_4 = 1 + .5·V_4 = 3.  R_3 = 0 + .5·max(3, V_4 = 4) = 2
    assert planned_returns(DATA, VALUES, 0.5).tolist() == [5.0, 1.0, 2.0, 2.0, 3.0]
    #  cut: R_4 = 1, R_3 = .5·max(1, 4) = 2
    assert planned_returns(DATA, VALUES, 0.5, timeout="cut").tolist() == [5.0, 1.0, 2.0, 2.0, 1.0]


def test_the_maximum_on_the_current_step_by_hand():
    data = episode_data([0.0, 0.0, 1.0], [0, 0, 1], [0, 0, 0])
    values = torch.tensor([5.0, 0.0, 0.0], dtype=torch.float64)
    np.testing.assert_allclose(planned_returns(data, values, 0.99).numpy(), [0.99**2, 0.99, 1], rtol=1e-15)
    np.testing.assert_allclose(planned_returns(data, values, 0.99, max_on="current").numpy(), [5, 0.99, 1], rtol=1e-15)


def plain_loop(rewards, values, terminals, timeouts, discount, timeout, max_on):
    """Eq. 12 as one would write it on paper, in Python floats, which are float64."""
    result = [0.0] * len(rewards)
    for n in reversed(range(len(rewards))):
        if terminals[n]:
            target = rewards[n]
        elif timeouts[n]:
            target = rewards[n] + discount * (values[n] if timeout == "bootstrap" else 0.0)
        elif max_on == "next":
            target = rewards[n] + discount * max(result[n + 1], values[n + 1])
        else:
            target = rewards[n] + discount * result[n + 1]
        result[n] = target if max_on == "next" else max(target, values[n])
    return result


numbers = st.floats(-1e3, 1e3, width=32)


@examples(200)
@given(
    st.lists(st.tuples(numbers, numbers, st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.floats(0.0, 1.0),
    st.sampled_from(["bootstrap", "cut"]),
    st.sampled_from(["next", "current"]),
)
def test_equal_to_a_plain_loop_to_the_last_bit(rows, discount, timeout, max_on):
    rewards, values, terminals, timeouts = (list(column) for column in zip(*rows, strict=True))
    timeouts[-1] = True
    data = episode_data(rewards, terminals, timeouts)
    planned = planned_returns(data, torch.tensor(values, dtype=torch.float64), discount, timeout=timeout, max_on=max_on)
    assert planned.dtype is torch.float64
    assert planned.tolist() == plain_loop(rewards, values, terminals, timeouts, discount, timeout, max_on)


# The kinds of episodes: their number of steps, and with which flags the last one ends.
episode_kinds = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([(True, False), (False, True), (True, True)])), min_size=1, max_size=8
)


@given(episode_kinds, st.floats(0.0, 1.0), st.randoms(use_true_random=False))
def test_returns_and_unknown_shares_episode_by_episode(kinds, discount, random):
    """Each episode by itself, as lists: no row may look into the next episode, be it of one step or end with both flags."""
    rewards, terminals, timeouts, returns, shares, totals = [], [], [], [], [], []
    for length, (terminal, timeout) in kinds:
        own = [random.choice([-1.5, 0.0, 0.25, 8.0]) for _ in range(length)]
        rewards += own
        terminals += [False] * (length - 1) + [terminal]
        timeouts += [False] * (length - 1) + [timeout]
        totals.append(sum(own))
        for step in range(length):
            later, share = 0.0, 0.0 if terminal else 1.0
            for reward in reversed(own[step:]):
                later, share = reward + discount * later, discount * share
            returns.append(later)
            shares.append(share)
    data = episode_data(rewards, terminals, timeouts)
    assert discounted_returns(data, discount).tolist() == returns, "to the last bit"
    np.testing.assert_allclose(unknown_share(data, discount).numpy(), shares, rtol=1e-15)
    assert data.episode_lengths.tolist() == [length for length, _ in kinds]
    assert data.episode_returns.tolist() == totals, "sums of quarters are exact"


@pytest.mark.parametrize("length", [1_000_000, 1])
def test_one_long_episode_and_a_million_short_ones(length):
    n = 1_000_000
    last = (torch.arange(n) + 1) % length == 0
    rewards, values = torch.rand(n), torch.rand(n, dtype=torch.float64) * 3
    data = episode_data(rewards, last, torch.zeros(n, dtype=torch.bool))
    expected = plain_loop(
        rewards.double().tolist(), values.tolist(), last.tolist(), [False] * n, 0.99, "bootstrap", "next"
    )
    assert planned_returns(data, values, 0.99).tolist() == expected


@given(st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=30))
def test_planning_never_lowers_a_return_and_grows_with_the_values(rows):
    rewards, values, terminals = (list(column) for column in zip(*rows, strict=True))
    terminals[-1] = True
    data = episode_data(rewards, terminals, [False] * len(rewards))
    low = torch.tensor(values, dtype=torch.float64)
    planned = planned_returns(data, low, 0.9)
    assert (planned >= discounted_returns(data, 0.9)).all()
    assert (planned_returns(data, low + 1, 0.9) >= planned).all()


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (torch.zeros(4), {}, r"one value for each of the 5 transitions, got \(4,\)"),
        (torch.full((5,), math.nan), {}, "got NaN or infinity"),
        (torch.zeros(5), {"discount": 1.5}, r"discount must lie in \[0, 1\], got 1.5"),
        (torch.zeros(5), {"timeout": "drop"}, "timeout must be one of .*got 'drop'"),
        (torch.zeros(5), {"max_on": "last"}, "max_on must be one of .*got 'last'"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_bad_planning_input_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        planned_returns(DATA, values, **options)


def test_soft_value_limits_and_shift(generator):
    q = torch.randn(20, 16, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(soft_value(q, 0.0), q.mean(1))
    torch.testing.assert_close(soft_value(q, 1e6), q.max(1).values)
    torch.testing.assert_close(soft_value(q + 5, 3.0), soft_value(q, 3.0) + 5)
    torch.testing.assert_close(soft_value(q * 4, 3.0 / 4), soft_value(q, 3.0) * 4)
    steps = torch.stack([soft_value(q, alpha) for alpha in (0.0, 0.5, 1.0, 2.0, 10.0)])
    assert (steps.diff(dim=0) >= -1e-12).all(), "a greedier policy has a higher value on the same candidates"


def test_soft_value_tends_to_the_integral(generator):
    """a ~ U(-1, 1), Q(a) = -a²: the value of π ∝ exp(αQ) by quadrature, within 5 standard errors."""
    alpha, repeats, candidates = 3.0, 200, 2000

    def weighted(f):
        return quad(lambda a: f(a) * math.exp(-alpha * a * a), -1, 1)[0]

    exact = weighted(lambda a: -a * a) / weighted(lambda a: 1.0)
    actions = torch.rand(repeats, candidates, dtype=torch.float64, generator=generator) * 2 - 1
    values = soft_value(-actions.square(), alpha)
    # The bias of self-normalisation is O(1/M), here far below the standard error of the mean.
    assert abs(values.mean().item() - exact) < 5 * values.std().item() / math.sqrt(repeats)


@pytest.mark.parametrize("trace", [0.0, 0.4, 1.0])
def test_lambda_returns_are_the_mixture_of_all_n_step_returns(trace):
    """(1 - λ) Σ_n λ^(n-1) G^(n) with the last of the returns at full weight: the definition, against the recursion."""
    rng = np.random.default_rng(0)
    steps, discount = 6, 0.9
    for ends in ("terminal", "timeout"):
        rewards, values = rng.integers(-8, 8, steps) / 4, rng.normal(size=steps)
        last = np.arange(steps) == steps - 1
        cut = ends == "timeout"
        data = Trajectories(np.zeros((steps, 1)), np.zeros((steps, 1)), rewards, last & (not cut), last & cut)
        following = np.append(values[1:], values[-1] if cut else 0.0)  # V of the state after each step
        expected = []
        for start in range(steps):
            n_step = [
                sum(discount**k * rewards[start + k] for k in range(n)) + discount**n * following[start + n - 1]
                for n in range(1, steps - start + 1)
            ]
            mixed = sum((1 - trace) * trace**n * value for n, value in enumerate(n_step[:-1]))
            expected.append(mixed + trace ** (len(n_step) - 1) * n_step[-1])
        assert lambda_returns(data, values, discount, trace).tolist() == pytest.approx(expected)


def test_lambda_returns_stay_within_their_episode():
    # V = 8, 16, 32, γ = λ = 1/2: the first ends; the second is cut, 2 + ½ 16; the last is cut, 4 + ½ 32.
    data = Trajectories(torch.zeros(3, 1), torch.zeros(3, 1), [1.0, 2.0, 4.0], [1, 0, 0], [0, 1, 1])
    assert lambda_returns(data, [8.0, 16.0, 32.0], 0.5, 0.5).tolist() == [1.0, 10.0, 20.0]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_lambda_returns_of_values_that_are_not_finite_are_refused(wrong):
    data = Trajectories(torch.zeros(2, 1), torch.zeros(2, 1), [1.0, 2.0], [0, 1], [0, 0])
    with pytest.raises(ValueError, match="values"):
        lambda_returns(data, [0.0, wrong], 0.9, 0.5)


@pytest.mark.parametrize("trace", [-0.1, 1.1, float("nan")])
def test_a_trace_outside_0_and_1_is_refused(trace):
    data = Trajectories(torch.zeros(1, 1), torch.zeros(1, 1), [1.0], [1], [0])
    with pytest.raises(ValueError, match=r"trace must lie in \[0, 1\]"):
        lambda_returns(data, [0.0], 0.9, trace)
