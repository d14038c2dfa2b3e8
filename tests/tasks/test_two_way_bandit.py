"""The two-way bandit: its Q by hand, its data against the mixture they come from, its environment."""

import math

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from sfbc_core import evaluate, load_task
from sfbc_core.tasks.two_way_bandit import BEHAVIOR, TwoWayBanditEnv, generate, true_q


class Always:
    """Plays one action."""

    def __init__(self, action: float) -> None:
        self.action = action

    def act(self, observations, generator=None):
        return torch.full((len(observations), 1), self.action)


def test_q_by_hand():
    actions = torch.tensor([-0.6, 0.6, 0.0, -0.35], dtype=torch.float64)
    far, near = math.exp(-(4.8**2)), math.exp(-(2.4**2))
    expected = [1 + 0.5 * far, 0.5 + far, 1.5 * near, math.exp(-1) + 0.5 * math.exp(-(3.8**2))]
    assert true_q(actions, delta=0.5).tolist() == pytest.approx(expected)


def test_the_environment_earns_q_in_one_step():
    task = load_task("two-way-bandit")
    for action in (-0.6, 0.1, 0.6):
        results = evaluate(Always(action), task, episodes=3, seed=0)
        assert results.lengths.tolist() == [1, 1, 1] and results.terminated.all()
        assert results.returns == pytest.approx(float(true_q(torch.tensor(action))))
    assert task.normalized_score(1.0) == 100


def test_the_environment_is_gymnasiums():
    check_env(TwoWayBanditEnv(), skip_render_check=True)


@pytest.mark.parametrize("action", [1.5, -1.001, math.nan])
def test_an_action_outside_the_bounds_is_refused(action):
    env = TwoWayBanditEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="must lie in"):
        env.step(np.array([action]))


def test_the_data_are_of_the_behavior_with_noisy_rewards():
    data = generate(20_000, seed=3)
    actions = data.actions[:, 0].double()
    assert data.terminals.all() and not data.timeouts.any() and (data.observations == 0).all()
    # Within five standard errors: of a share of one half, of the mean beside one mode, and of the noise's deviation.
    assert float((actions > 0).double().mean()) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(20_000))
    assert float(actions.abs().mean()) == pytest.approx(0.6, abs=5 * 0.06 / math.sqrt(20_000))
    noise = data.rewards.double() - true_q(actions)
    assert float(noise.mean()) == pytest.approx(0, abs=5 * 0.1 / math.sqrt(20_000))
    assert float(noise.std()) == pytest.approx(0.1, abs=5 * 0.1 / math.sqrt(40_000))
    assert float(BEHAVIOR.off_data(data.actions).double().mean()) < 1e-3
    quiet = generate(100, seed=3, delta=0.5, noise=0.0)
    assert torch.allclose(quiet.rewards.double(), true_q(quiet.actions[:, 0].double(), 0.5), atol=1e-6)


def test_the_same_seed_gives_the_same_data():
    assert torch.equal(generate(50, 1).actions, generate(50, 1).actions)
    assert not torch.equal(generate(50, 1).actions, generate(50, 2).actions)


@pytest.mark.parametrize(("options", "words"), [({"transitions": 0}, "transitions"), ({"seed": -1}, "seed")])
def test_impossible_sizes_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        generate(**options)
