import numpy as np
import pytest

from sfbc_core.tabular import (
    ACTIONS,
    gridworld,
    lottery,
    optimal_q,
    policy_q,
    random_mdp,
    random_policy,
    stay_or_leave,
    stitching_chain,
)


def test_gridworld_moves_and_walls():
    world = gridworld(["S.", "#G"])
    assert world.cells.tolist() == [[0, 0], [0, 1], [1, 1]]
    assert world.find("S") == [0]
    assert world.find("G") == [2]
    to = {name: world.mdp.transition[0, i].argmax() for i, name in enumerate(ACTIONS)}
    assert to == {"up": 0, "right": 1, "down": 0, "left": 0}  # walls and edges hold the walker back
    assert world.mdp.reward[1, ACTIONS.index("down"), 2] == 1
    assert world.mdp.terminal.tolist() == [False, False, True]
    picture = world.to_map(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(picture, [[1, 2], [np.nan, 3]])


def test_gridworld_slips_to_the_sides_only():
    world = gridworld(["...", "...", "..."], slip=0.2)
    middle = 4
    right = world.mdp.transition[middle, ACTIONS.index("right")]
    np.testing.assert_allclose(right[[5, 1, 7]], [0.8, 0.1, 0.1])  # ahead, up, down; never back


def test_cliff_is_avoided_the_wider_the_more_it_slips():
    """Along the cliff it is shorter; with slips, the best way leaves the edge."""
    layout = ["......", "S....G", "CCCCCC"]
    start = ACTIONS.index("right"), ACTIONS.index("up")
    for slip, along_the_edge in ((0.0, True), (0.3, False)):
        world = gridworld(layout, slip=slip)
        q = optimal_q(world.mdp)[world.find("S")[0]]
        assert (q[start[0]] > q[start[1]]) == along_the_edge


def test_chain_by_hand():
    mdp, behavior = stitching_chain(3)
    np.testing.assert_allclose(optimal_q(mdp)[:3, 0], [0.81, 0.9, 1], atol=1e-12)
    # Half of those who come by give up: V^μ = (1/2)(0.9/2)^k from the end.
    np.testing.assert_allclose(policy_q(mdp, behavior)[:3, 0], [0.45**2, 0.45, 1], atol=1e-12)


def test_lottery_and_stay_or_leave_by_hand():
    np.testing.assert_allclose(optimal_q(lottery())[:2], [[0, 0.1], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(optimal_q(stay_or_leave())[0], [10, 0], atol=1e-12)


def test_random_worlds_are_what_they_say():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng, 6, 3, branching=2, discount=0.7, num_terminal=2)
    assert ((mdp.transition[:4] > 0).sum(2) == 2).all()
    assert mdp.terminal.sum() == 2
    assert np.abs(mdp.reward).max() <= 1
    policies = np.stack([random_policy(rng, 6, 3, full_support=False) for _ in range(50)])
    assert 0.3 < (policies == 0).mean() < 0.5  # half of them, but one action a state is always taken
    assert (random_policy(rng, 6, 3) > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gridworld(["S.", "."]), r"one length, got \[2, 1\]"),
        (lambda: gridworld(["SX"]), r"got \['X'\]"),
        (lambda: gridworld(["##"]), "no free cell"),
        (lambda: gridworld(["S."], slip=2.0), r"\[0, 1\], got 2.0"),
        (lambda: random_mdp(np.random.default_rng(0), 2, 1, branching=3), "2, 1, 3 and 0"),
        (lambda: stitching_chain(0), "at least 1, got 0"),
    ],
)
def test_refuses_bad_arguments(call, message, untyped):
    with pytest.raises(ValueError, match=message):
        call()
