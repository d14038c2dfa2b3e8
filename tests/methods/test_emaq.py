"""EMaQ: its histogram of behavior against the data, and its values against the exact operator of a finite MDP."""

import numpy as np
import pytest
import torch
from hand_made import BRIEF, LEFT, RIGHT, bandit, living_states, recorded, small_world

from sfbc_core import TrainingConfig, Trajectories
from sfbc_core.methods.emaq import AutoregressiveBehavior, EMaQ, EMaQConfig
from sfbc_core.tabular import emaq_operator, policy_q


def tiny(**options) -> EMaQConfig:
    sizes = {"hidden": (32, 32), "target_rate": 0.05, "bins": 20, "num_candidates": 8}
    return EMaQConfig(**({"training": BRIEF, **sizes} | options))


@pytest.fixture
def histogram() -> AutoregressiveBehavior:
    """Two coordinates of four bins whose laws do not depend on the state: ¼, ½, ⅛, ⅛ and 1, 0, 0, 0."""
    behavior = AutoregressiveBehavior(1, 2, (4,), 4)
    with torch.no_grad():
        for parameter in behavior.parameters():
            parameter.zero_()
        behavior.factors[0][-1].bias.copy_(torch.tensor([0.25, 0.5, 0.125, 0.125]).log())
        behavior.factors[1][-1].bias.copy_(torch.tensor([0.0, -1e9, -1e9, -1e9]))
    return behavior


def test_draws_invert_the_histogram(histogram):
    uniform = torch.tensor([[[0.0, 0.0], [0.5, 0.5]], [[0.249, 0.5], [0.999, 0.0]], [[0.25, 0.5], [0.0, 1.0]]])
    uniform = torch.cat([uniform, torch.tensor([[[0.9, 0.5], [0.5, 0.5]]])])
    drawn = histogram.draw(torch.zeros(4, 1), uniform)
    # A bin is ½ wide: the first from -1 on, the second from -½ on, the last from ½ on.
    assert drawn[:, 0].tolist() == pytest.approx([-1.0, -0.75, -0.25, 0.75])
    assert drawn[:, 1].tolist() == pytest.approx([-0.75, -1.0, -0.5, -0.75])


def test_the_likelihood_is_that_of_the_bins(histogram):
    actions = torch.tensor([[-0.9, -0.9], [-0.1, -0.6], [1.0, -1.0]])  # bins 0, 1 and 3 of the first coordinate
    expected = -np.log([0.25, 0.5, 0.125]).mean()
    assert float(histogram.loss(torch.zeros(3, 1), actions)) == pytest.approx(expected, rel=1e-5)


def test_coordinates_that_depend_on_each_other_are_learned():
    """Both coordinates are equal, and left or right: a product of two histograms would mix them."""
    n = 400
    side = torch.where(torch.arange(n) % 2 == 1, RIGHT, LEFT)[:, None]
    ends = torch.ones(n, dtype=torch.bool)
    data = Trajectories(torch.zeros(n, 1), side.expand(n, 2), torch.zeros(n), ends, ~ends)
    agent = EMaQ(tiny(num_candidates=1)).fit(data)
    drawn = agent.act(torch.zeros(500, 1))
    assert ((drawn[:, 0] - drawn[:, 1]).abs() < 0.11).float().mean() > 0.97
    right = float((drawn[:, 0] > 0).float().mean())
    assert abs(right - 0.5) < 4 * 0.5 / np.sqrt(500) + 0.03  # four standard errors, and what is left to learn


@pytest.mark.parametrize(("n", "expected"), [(1, None), (20, RIGHT)])
def test_with_one_draw_it_is_behavior_and_with_many_the_best(n, expected):
    agent = EMaQ(tiny(num_candidates=n)).fit(bandit())
    drawn = agent.act(torch.zeros(400, 1))[:, 0]
    near = ((drawn - LEFT).abs() < 0.1) | ((drawn - RIGHT).abs() < 0.1)
    assert near.float().mean() > 0.95
    right = float((drawn > 0).float().mean())
    assert right == pytest.approx(0.5, abs=4 * 0.5 / 20 + 0.03) if expected is None else right > 0.97


# Tolerances: as in the tests of IQL, some 15,000 transitions give a standard error of 0.03 for returns of deviation 0.6.
@pytest.mark.parametrize("n", [1, 16])
def test_values_are_those_of_the_exact_operator(n):
    mdp, behavior = small_world()
    exact = np.zeros((mdp.num_states, mdp.num_actions))
    for _ in range(200):
        exact = emaq_operator(mdp, behavior, exact, n)
    if n == 1:
        assert exact == pytest.approx(policy_q(mdp, behavior))  # that of behavior
    training = TrainingConfig(gradient_steps=2500, batch_size=256, learning_rate=1e-3, cosine_decay=True)
    config = tiny(num_candidates=n, members=1, discount=mdp.discount, training=training)
    agent = EMaQ(config).fit(recorded(mdp, behavior))
    living = living_states(mdp)
    states = agent.nets.states(torch.eye(mdp.num_states)[living])
    actions = (2 * torch.eye(mdp.num_actions) - 1).expand(len(living), -1, -1)
    with torch.no_grad():
        q = agent.nets["q"](states[:, None].expand(-1, mdp.num_actions, -1), actions).mean(0).numpy()
    taken = behavior[living] > 0
    assert q[taken] == pytest.approx(exact[living][taken], abs=0.15)
    others = policy_q(mdp, behavior) if n > 1 else 10 * exact
    assert np.abs(others[living][taken] - exact[living][taken]).max() > 0.4  # the answers are apart


@pytest.mark.parametrize("options", [{"num_candidates": 0}, {"members": 0}, {"bins": 0}, {"discount": -0.1}])
@pytest.mark.usefixtures("untyped")
def test_impossible_values_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must"):
        EMaQConfig(**options)
