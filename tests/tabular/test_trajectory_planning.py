"""Eq. 12 in expectation: against all episodes written out, against Eq. 11, and against the sampled algorithm."""

import numpy as np
import pytest
import torch

from sfbc_core.book.sampled_planning import as_trajectories, sampled_plan
from sfbc_core.planning import planned_returns
from sfbc_core.tabular import (
    bellman_operator,
    empirical_policy,
    gridworld,
    optimal_q,
    plan,
    planning_operator,
    policy_q,
    random_mdp,
    random_policy,
    sample_episodes,
    softmax_policy,
    trajectory_planning_operator,
)


def written_out(mdp, behavior, values, state, action, horizon):
    """All episodes from (s, a) with their probabilities and planned returns, by recursion."""
    for following in np.flatnonzero(mdp.transition[state, action]):
        chance, reward = mdp.transition[state, action, following], mdp.reward[state, action, following]
        if mdp.terminal[following]:
            yield chance, reward
        elif horizon == 1:
            yield chance, reward + mdp.discount * values[following]
        else:
            for next_action in np.flatnonzero(behavior[following]):
                for share, later in written_out(mdp, behavior, values, following, next_action, horizon - 1):
                    best = max(later, values[following])
                    yield chance * behavior[following, next_action] * share, reward + mdp.discount * best


@pytest.mark.parametrize("seed", range(8))
def test_is_the_mean_over_all_episodes(seed):
    rng = np.random.default_rng(seed)
    mdp, behavior = random_mdp(rng, 3, 2, branching=2, num_terminal=seed % 2), random_policy(rng, 3, 2)
    values = np.where(mdp.terminal, 0.0, rng.normal(size=3))
    found = trajectory_planning_operator(mdp, behavior, values, horizon=4)
    for s in np.flatnonzero(~mdp.terminal):
        for a in range(2):
            episodes = list(written_out(mdp, behavior, values, s, a, 4))
            assert sum(chance for chance, _ in episodes) == pytest.approx(1)
            assert found[s, a] == pytest.approx(sum(chance * value for chance, value in episodes), abs=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_eq_11_where_an_episode_is_determined(seed):
    """Deterministic MDP, deterministic μ: nothing is averaged, and the order of maximum and mean does not matter."""
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 5, 3, branching=1, discount=0.5)
    behavior = np.eye(3)[rng.integers(3, size=5)]
    policy, q = random_policy(rng, 5, 3), rng.normal(size=(5, 3))
    by_recursion = trajectory_planning_operator(mdp, behavior, (policy * q).sum(1), horizon=45)
    np.testing.assert_allclose(by_recursion, planning_operator(mdp, behavior, policy, q).values, atol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_is_never_below_eq_11_and_in_a_deterministic_mdp_never_above_the_optimum(seed):
    """Jensen: a mean of maxima is at least the maximum of means. Without luck, the best recorded episode can be repeated."""
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 4, 2, branching=1 + seed % 2, discount=0.5)
    behavior = random_policy(rng, 4, 2)
    q = policy_q(mdp, behavior)
    policy = softmax_policy(behavior, q, 3.0)
    recursion = trajectory_planning_operator(mdp, behavior, (policy * q).sum(1), horizon=7)
    plans = planning_operator(mdp, behavior, policy, q, max_steps=6).values
    assert (recursion - plans).min() > -1e-9
    if mdp.is_deterministic:
        assert (recursion - optimal_q(mdp)).max() < 1e-9


def test_planned_returns_of_drawn_episodes_average_to_it():
    """Within five standard errors, for each of the 16 pairs; one run in 100 000 would have one outside."""
    rng = np.random.default_rng(0)
    world = gridworld(["S.#", "..G"], slip=0.2, discount=0.9)
    mdp, size = world.mdp, (world.mdp.num_states, 4)
    behavior = random_policy(rng, *size)
    values = np.where(mdp.terminal, 0.0, rng.uniform(0, 0.8, size=size[0]))
    starts = rng.choice(np.flatnonzero(~mdp.terminal), 20_000)
    drawn = sample_episodes(mdp, behavior, starts, 10_000, rng)
    assert not drawn.timeouts.any()
    targets = planned_returns(as_trajectories(drawn), torch.from_numpy(values)[drawn.states], 0.9).numpy()
    exact = trajectory_planning_operator(mdp, behavior, values, horizon=200)
    first = np.concatenate([[True], drawn.terminals[:-1]])  # one transition an episode: they are independent
    checked = 0
    for s in np.flatnonzero(~mdp.terminal):
        for a in range(4):
            mine = targets[first & (drawn.states == s) & (drawn.actions == a)]
            if len(mine) > 50:
                checked += 1
                assert abs(mine.mean() - exact[s, a]) < 5 * mine.std() / np.sqrt(len(mine)) + 1e-6
    assert checked >= 12


def test_sampled_algorithm_tends_to_the_exact_one():
    """Sixteen times the episodes, a quarter of the error; the ratio of two errors is itself noisy, hence the wide bounds."""
    world = gridworld(["S.#", "..G"], slip=0.1, discount=0.9)
    mdp = world.mdp
    behavior = np.full((mdp.num_states, 4), 0.25)
    exact = plan(mdp, behavior, 10.0, 3, target="recursion", horizon=100)

    def error(episodes, seed):
        rng = np.random.default_rng(seed)
        drawn = sample_episodes(mdp, behavior, rng.choice(np.flatnonzero(~mdp.terminal), episodes), 10_000, rng)
        found = sampled_plan(
            drawn, empirical_policy(drawn, mdp.num_states, 4), 0.9, 10.0, 3, 256, torch.Generator().manual_seed(seed)
        )
        return (found[-1] - exact[-1])[~mdp.terminal]

    few, many = (np.sqrt(np.mean([error(n, seed) ** 2 for seed in range(5)])) for n in (100, 1600))
    assert 2 < few / many < 8
    # What it tends to is Eq. 12, not Eq. 11, whose third iterate is further away than all the sampling error.
    assert np.abs(plan(mdp, behavior, 10.0, 3)[-1] - exact[-1]).max() > 5 * many


def test_the_weights_of_few_candidates_are_less_sharp():
    """With one candidate α plays no part; with more, the soft value approaches that of the sharp policy from below."""
    world = gridworld(["S.#", "..G"], slip=0.1, discount=0.9)
    mdp, rng = world.mdp, np.random.default_rng(0)
    behavior = np.full((mdp.num_states, 4), 0.25)
    drawn = sample_episodes(mdp, behavior, rng.choice(np.flatnonzero(~mdp.terminal), 5_000), 10_000, rng)

    def sampled(alpha, candidates):
        return sampled_plan(drawn, behavior, 0.9, alpha, 3, candidates, torch.Generator().manual_seed(0))[-1]

    np.testing.assert_array_equal(sampled(0.0, 1), sampled(50.0, 1))
    start = world.find("S")[0]
    values = [sampled(50.0, m)[start].max() for m in (1, 4, 64)]
    assert values == sorted(values)


def test_refuses_bad_arguments(untyped):
    rng = np.random.default_rng(0)
    mdp, behavior = random_mdp(rng, 3, 2, branching=3), random_policy(rng, 3, 2)
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        trajectory_planning_operator(mdp, behavior, np.zeros(3), 0)
    with pytest.raises(RuntimeError, match=r"values, more than 50"):
        trajectory_planning_operator(mdp, behavior, np.zeros(3), 10, max_atoms=50)
    drawn = sample_episodes(mdp, behavior, np.zeros(5, dtype=int), 5, rng)
    with pytest.raises(ValueError, match=r">= 1, got 0 and 1"):
        sampled_plan(drawn, behavior, 0.9, 1.0, 0, 1, torch.Generator())
    few = sample_episodes(mdp, np.eye(2)[[0, 0, 0]], np.zeros(5, dtype=int), 5, rng)
    with pytest.raises(ValueError, match="not in the data"):
        sampled_plan(few, behavior, 0.9, 1.0, 2, 16, torch.Generator().manual_seed(0))


def test_one_step_horizon_is_the_one_step_operator():
    rng = np.random.default_rng(2)
    mdp, behavior, q = random_mdp(rng, 4, 3), random_policy(rng, 4, 3), rng.normal(size=(4, 3))
    one_step = trajectory_planning_operator(mdp, behavior, (behavior * q).sum(1), horizon=1)
    np.testing.assert_allclose(one_step, bellman_operator(mdp, behavior, q), atol=1e-10)
