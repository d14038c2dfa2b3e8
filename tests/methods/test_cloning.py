"""Behavior cloning: the mean of what was done, and which episodes %BC keeps, by hand."""

import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit

from sfbc_core import Trajectories
from sfbc_core.methods.cloning import BC, BCConfig, best_episodes


def tiny(**options) -> BCConfig:
    return BCConfig(**({"hidden": (32, 32), "training": BRIEF} | options))


def four_episodes() -> Trajectories:
    """Episodes of 1, 2, 3 and 4 steps with returns of 5, 1, 9 and 5."""
    ends = torch.tensor([1, 0, 1, 0, 0, 1, 0, 0, 0, 1], dtype=torch.bool)
    rewards = torch.tensor([5.0, 0, 1, 0, 0, 9, 5, 0, 0, 0])
    states = torch.arange(10.0)[:, None]
    return Trajectories(states, torch.zeros(10, 1), rewards, ends, ~ends & False)


@pytest.mark.parametrize(
    ("share", "episodes"),
    [(0.01, [2]), (0.3, [2]), (0.31, [0, 2]), (0.4, [0, 2]), (0.41, [0, 2, 3]), (0.8, [0, 2, 3]), (1.0, [0, 1, 2, 3])],
)
def test_the_best_episodes_that_hold_a_share_of_the_transitions(share, episodes):
    starts, lengths = [0, 1, 3, 6], [1, 2, 3, 4]
    expected = [float(starts[e] + i) for e in episodes for i in range(lengths[e])]
    assert best_episodes(four_episodes(), share).observations[:, 0].tolist() == expected


def test_it_learns_from_those_alone():
    agent = BC(tiny(best_share=0.3))
    assert agent.rows(four_episodes()).observations[:, 0].tolist() == [3.0, 4.0, 5.0]


# A batch of 128 has a mean with a standard error of 0.06; the falling rate averages over about 100 of them.
@pytest.mark.parametrize(("share", "expected"), [(1.0, (LEFT + RIGHT) / 2), (0.5, RIGHT)])
def test_of_two_modes_it_is_the_mean_and_of_the_best_the_best(share, expected):
    agent = BC(tiny(best_share=share)).fit(bandit())
    assert float(agent.act(torch.zeros(1, 1))) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("options", [{"best_share": 0.0}, {"best_share": 1.1}, {"hidden": ()}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        BCConfig(**options)
