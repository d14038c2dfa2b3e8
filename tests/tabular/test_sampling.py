import numpy as np
import pytest

from sfbc_core.tabular import (
    empirical_policy,
    gridworld,
    policy_q,
    random_mdp,
    random_policy,
    sample_episodes,
    stitching_chain,
)


def test_drawn_transitions_follow_the_probabilities():
    """Counts against 5 standard errors of a binomial."""
    rng = np.random.default_rng(0)
    mdp, behavior = random_mdp(rng, 4, 3, branching=3), random_policy(rng, 4, 3)
    drawn = sample_episodes(mdp, behavior, np.zeros(2000, dtype=int), 20, rng)
    assert len(drawn) == 40_000
    assert drawn.timeouts.sum() == 2000
    assert not drawn.terminals.any()
    policy = empirical_policy(drawn, 4, 3)
    visits = np.bincount(drawn.states, minlength=4)[:, None]
    assert (np.abs(policy - behavior) < 5 * np.sqrt(behavior * (1 - behavior) / visits) + 1e-9).all()
    inner = ~drawn.timeouts
    following = np.roll(drawn.states, -1)[inner]
    for s in range(4):
        for a in range(3):
            mine = following[(drawn.states == s)[inner] & (drawn.actions == a)[inner]]
            chance = mdp.transition[s, a]
            frequency = np.bincount(mine, minlength=4) / len(mine)
            assert (np.abs(frequency - chance) <= 5 * np.sqrt(chance * (1 - chance) / len(mine)) + 1e-9).all()


def test_returns_of_drawn_episodes_average_to_the_value():
    """Within 5 standard errors."""
    rng = np.random.default_rng(1)
    mdp, behavior = stitching_chain(3)
    drawn = sample_episodes(mdp, behavior, np.zeros(20_000, dtype=int), 100, rng)
    ends = np.flatnonzero(drawn.terminals)
    firsts = np.concatenate([[0], ends[:-1] + 1])
    returns = np.array(
        [(0.9 ** np.arange(e + 1 - f)) @ drawn.rewards[f : e + 1] for f, e in zip(firsts, ends, strict=True)]
    )
    value = (behavior * policy_q(mdp, behavior)).sum(1)[0]
    assert abs(returns.mean() - value) < 5 * returns.std() / np.sqrt(len(returns))


def test_episodes_are_contiguous_and_end_where_they_should():
    rng = np.random.default_rng(2)
    world = gridworld(["S..", "..G"], slip=0.3)
    drawn = sample_episodes(world.mdp, np.full((6, 4), 0.25), np.zeros(50, dtype=int), 12, rng)
    last = drawn.terminals | drawn.timeouts
    assert last.sum() == 50
    assert not (drawn.terminals & drawn.timeouts).any()
    assert (drawn.rewards[drawn.terminals] == 1).all()
    firsts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    assert (drawn.states[firsts] == 0).all()
    inner = np.flatnonzero(~last)
    assert (world.mdp.transition[drawn.states[inner], drawn.actions[inner], drawn.states[inner + 1]] > 0).all()


def test_same_seed_same_data():
    mdp, behavior = stitching_chain(4)
    one, two = (sample_episodes(mdp, behavior, np.zeros(9, dtype=int), 9, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.actions, two.actions)


def test_empirical_policy_is_uniform_where_nothing_is_known():
    mdp, _ = stitching_chain(2)
    always = np.tile([1.0, 0.0], (4, 1))
    drawn = sample_episodes(mdp, always, np.array([1]), 5, np.random.default_rng(0))
    np.testing.assert_array_equal(empirical_policy(drawn, 4, 2), [[0.5, 0.5], [1, 0], [0.5, 0.5], [0.5, 0.5]])


def test_refuses_bad_arguments(untyped):
    mdp, behavior = stitching_chain(2)
    rng = np.random.default_rng(0)
    for starts, horizon, message in (
        (np.zeros(0, dtype=int), 5, "got 0 and 5"),
        (np.zeros(1, dtype=int), 0, "got 1 and 0"),
        (np.array([2]), 5, "not terminal"),
        (np.array([9]), 5, "0 … 3"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_episodes(mdp, behavior, starts, horizon, rng)
