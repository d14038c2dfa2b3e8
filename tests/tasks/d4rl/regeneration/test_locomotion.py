"""Locomotion's recipe, with policies of random weights: hoppers that fall."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sfbc_core.tasks.d4rl.environments import D4RLEnv
from sfbc_core.tasks.d4rl.regeneration.locomotion import LocomotionRecorder
from sfbc_core.tasks.d4rl.regeneration.policies import load_policy


@pytest.fixture
def policies(policy_file):
    """Two policies: one pushes in one direction, the other in the opposite one."""
    return tuple(load_policy(policy_file(11, 3, mean=mean), 11, 3)[0] for mean in (2.0, -2.0))


def test_transitions_are_the_environments_and_falls_are_terminals(policies):
    columns = LocomotionRecorder("hopper-medium-v2", 0, 600, policies[:1]).record(600)
    ends = columns["terminals"] | columns["timeouts"]
    assert columns["terminals"].sum() > 3 and columns["timeouts"].tolist() == [False] * 599 + [
        not columns["terminals"][-1]
    ]
    inside = ~ends[:-1]
    np.testing.assert_array_equal(columns["next_observations"][:-1][inside], columns["observations"][1:][inside])
    env = D4RLEnv("hopper-medium-v2")
    env.reset(seed=0)
    for row in np.random.default_rng(0).choice(600, 100, replace=False):
        env.d4rl_env.sim.reset()
        env.d4rl_env.set_state(columns["infos/qpos"][row], columns["infos/qvel"][row])
        observation, reward, terminated, _, _ = env.step(columns["actions"][row].astype(np.float64))
        np.testing.assert_allclose(observation, columns["next_observations"][row], rtol=1e-6, atol=1e-6)
        assert reward == pytest.approx(columns["rewards"][row], rel=1e-6, abs=1e-6)
        assert terminated == columns["terminals"][row]


def test_a_robot_that_does_not_fall_is_cut_by_the_time_limit(policy_file):
    policy, _ = load_policy(policy_file(17, 6), 17, 6)
    columns = LocomotionRecorder("halfcheetah-expert-v2", 0, 1100, (policy,)).record(1100)
    assert np.flatnonzero(columns["timeouts"]).tolist() == [999, 1099] and not columns["terminals"].any()


def test_medium_expert_is_half_of_each_cut_between_them(policies):
    columns = LocomotionRecorder("hopper-medium-expert-v2", 0, 1000, policies).record(1000)
    assert (columns["actions"][:500].mean(axis=0) > 0.5).all() and (columns["actions"][500:].mean(axis=0) < -0.5).all()
    assert columns["terminals"][499] or columns["timeouts"][499]
    assert len(columns["rewards"]) == 1000


def test_it_goes_on_from_any_episode_to_the_bit_and_seeds_differ(policies):
    def make(seed=3):
        return LocomotionRecorder("hopper-medium-expert-v2", seed, 800, policies)

    expected = make().record(800)
    first, second = make(), make()
    done = sum(len(first.record(150)["rewards"]) for _ in range(3))
    second.restore(json.loads(json.dumps(first.state())))
    for name, values in second.record(800).items():
        np.testing.assert_array_equal(values, expected[name][done:], strict=True)
    assert (make(4).record(10)["actions"][:10] != expected["actions"][:10]).any()
