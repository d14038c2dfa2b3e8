"""Evaluation: episodes in lock-step give what episodes alone give."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from sfbc_core import SfBC, evaluate, load_task
from sfbc_core.randomness import standard_normal

CAR = load_task("bidirectional-car")


class Noisy:
    """Drives right with noise of its own in each row."""

    def __init__(self):
        self.calls = []

    def act(self, observations, generator=None):
        self.calls.append(len(observations))
        return (0.9 + 0.3 * standard_normal((len(observations), 1), generator)).clamp(-1, 1)


def test_results_do_not_depend_on_how_many_run_together():
    runs = [evaluate(Noisy(), CAR, 7, seed=5, side_by_side=side_by_side) for side_by_side in (1, 3, 7, None)]
    for other in runs[1:]:
        for name in ("returns", "lengths", "final_observations", "terminated"):
            np.testing.assert_array_equal(getattr(runs[0], name), getattr(other, name))
    first_two = evaluate(Noisy(), CAR, 2, seed=5)
    np.testing.assert_array_equal(first_two.lengths, runs[0].lengths[:2])


def test_a_learned_agent_does_not_depend_on_company_either(tiny_sfbc, walk):
    """The car's states and actions have 2 and 1 coordinates: cut the tiny data set to fit."""
    from sfbc_core import Trajectories

    data = walk.tensors()
    data["observations"], data["actions"] = data["observations"][:, :2], data["actions"][:, :1]
    agent = SfBC(tiny_sfbc).fit(Trajectories(**data))
    alone, together = (evaluate(agent, CAR, 2, seed=1, side_by_side=n) for n in (1, 2))
    np.testing.assert_array_equal(alone.lengths, together.lengths)
    # A matrix product may round a row differently in another batch: the last float32 digits are all that may differ.
    np.testing.assert_allclose(alone.final_observations, together.final_observations, atol=1e-4)


def test_another_seed_gives_other_episodes():
    first, second = evaluate(Noisy(), CAR, 4, seed=0), evaluate(Noisy(), CAR, 4, seed=1)
    assert not np.array_equal(first.final_observations, second.final_observations)


def test_one_call_a_step_and_finished_episodes_drop_out():
    agent = Noisy()
    results = evaluate(agent, CAR, 6, seed=2)
    assert len(agent.calls) == results.lengths.max()
    assert sum(agent.calls) == results.lengths.sum()
    assert results.terminated.all() and (results.returns == 1).all()


class CountingEnv(gymnasium.Env):
    """Reward 1, 2, 3, …; ends by itself after a drawn number of steps, or is cut after 4."""

    observation_space = gymnasium.spaces.Box(-10, 10, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    max_episode_steps = 4

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.steps = int(self.np_random.integers(1, 7)), 0
        return np.array([self.left], dtype=np.float32), {}

    def step(self, action):
        self.steps += 1
        done = self.steps == self.left
        return np.array([self.steps], dtype=np.float32), float(self.steps), done, self.steps == 4 and not done, {}


class CountingTask:
    def make_env(self):
        return CountingEnv()


class Still:
    def __init__(self, action=None):
        self.action = action

    def act(self, observations, generator=None):
        return torch.zeros(len(observations), 1) if self.action is None else self.action


def test_returns_lengths_and_endings_add_up():
    results = evaluate(Still(), CountingTask(), 30, seed=0)
    assert set(results.lengths) == {1, 2, 3, 4}
    np.testing.assert_array_equal(results.returns, results.lengths * (results.lengths + 1) / 2)
    assert results.terminated[results.lengths < 4].all()
    assert not results.terminated.all(), "the draw should include episodes that were cut"


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("action", "episodes", "message"),
    [
        (torch.zeros(2, 1), 3, r"actions of shape \(3, 1\), got \(2, 1\)"),
        (torch.full((3, 1), torch.nan), 3, "NaN or infinite"),
        (None, 0, "episodes must be at least 1, got 0"),
    ],
)
def test_bad_agents_are_reported(action, episodes, message):
    with pytest.raises(ValueError, match=message):
        evaluate(Still(action), CountingTask(), episodes, seed=0)


@pytest.mark.usefixtures("untyped")
def test_an_agent_that_answers_tensors_by_an_array_is_told_so():
    with pytest.raises(TypeError, match="must answer tensors of observations by a tensor, got ndarray"):
        evaluate(Still(np.zeros((3, 1))), CountingTask(), 3, seed=0)


class Remembering:
    """Pushes in proportion to all that it has earned in an episode so far: an agent with a memory."""

    def act(self, observations, generator=None):
        raise AssertionError("an episode is played by what start returns")

    def start(self, episodes):
        earned = torch.zeros(episodes)

        class Memory:
            def step(self, rows, observations, rewards, generators):
                earned[rows] += rewards
                assert len(rows) == len(observations) == len(generators)
                return earned[rows, None] / 10

        return Memory()


def test_an_agent_with_a_memory_is_told_the_rewards_of_its_own_episode():
    """In CountingEnv the step t earns t: before step t the episode has earned t(t - 1)/2, whoever else still runs."""
    pushed = []

    class Task(CountingTask):
        def make_env(self):
            env = CountingEnv()
            step, actions = env.step, []
            pushed.append(actions)
            env.step = lambda action: (actions.append(float(action[0])), step(action))[1]
            return env

    results = evaluate(Remembering(), Task(), 12, seed=0)
    assert len(set(results.lengths)) > 1
    for actions, length in zip(pushed, results.lengths, strict=True):
        np.testing.assert_allclose(actions, [t * (t - 1) / 20 for t in range(1, length + 1)], rtol=1e-6)
