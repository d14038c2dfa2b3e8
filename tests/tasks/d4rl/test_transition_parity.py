"""The physics are gymnasium's: locomotion steps agree with its -v4 environments, whose physics are the same as gym's v2."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from sfbc_core.tasks.d4rl.environments import make_d4rl_env

STEPS = 400


@pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning", "ignore:.*is out of date:UserWarning")
@pytest.mark.parametrize(
    ("name", "other"), [("hopper", "Hopper-v4"), ("halfcheetah", "HalfCheetah-v4"), ("walker2d", "Walker2d-v4")]
)
def test_400_transitions_agree_to_1e_9(name, other):
    """Each step is taken from the same state in both, so the difference is that of one step: rounding, far below 1e-9."""
    import mujoco

    rng = np.random.default_rng(0)
    ours, theirs = make_d4rl_env(f"{name}-medium-v2"), gymnasium.make(other).unwrapped
    theirs.reset(seed=0)
    ours.reset(seed=0)
    ended = 0
    for _ in range(STEPS):
        simulation = ours.d4rl_env.sim.data
        positions, velocities = simulation.qpos.copy(), simulation.qvel.copy()
        # From a clean state, so that neither solver begins with what the step before has left it.
        mujoco.mj_resetData(theirs.model, theirs.data)
        ours.d4rl_env.sim.reset()
        theirs.set_state(positions, velocities)
        ours.d4rl_env.set_state(positions, velocities)
        # In double precision: D4RL rescales actions by (a + 1) / 2, which rounds single precision to some 1e-7.
        action = rng.uniform(-1, 1, ours.action_space.shape)
        observation, reward, terminated, _, _ = ours.step(action)
        expected = theirs.step(action)
        np.testing.assert_allclose(observation, expected[0], rtol=0, atol=1e-9)
        assert reward == pytest.approx(expected[1], abs=1e-9) and terminated == expected[2]
        if terminated:
            ended += 1
            ours.reset()
    assert (ended > 0) == (name != "halfcheetah"), "the steps include falls, where a robot can fall"
