"""D4RL's environments do what they do in D4RL, and follow gymnasium's rules."""

from __future__ import annotations

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sfbc_core import load_task, task_names
from sfbc_core.environments import step_limit
from sfbc_core.tasks.d4rl.environments import make_d4rl_env

# Family: observation and action sizes and the time limits, as in D4RL's description of its tasks.
FAMILIES = {
    "hopper": (11, 3, 1000),
    "halfcheetah": (17, 6, 1000),
    "walker2d": (17, 6, 1000),
    "maze2d-umaze": (4, 2, 300),
    "maze2d-medium": (4, 2, 600),
    "maze2d-large": (4, 2, 800),
    "antmaze-umaze": (29, 8, 700),
    "antmaze-medium": (29, 8, 1000),
    "antmaze-large": (29, 8, 1000),
    "kitchen": (60, 9, 280),
}
NAMES = [name for name in task_names() if name.startswith(tuple(FAMILIES))]
ONE_OF_EACH = [
    "hopper-medium-v2",
    "halfcheetah-medium-v2",
    "walker2d-medium-v2",
    "maze2d-umaze-v1",
    "antmaze-umaze-v2",
    "antmaze-large-play-v2",
    "kitchen-complete-v0",
]


def sizes(name):
    return next(size for family, size in FAMILIES.items() if name.startswith(family))


def random_actions(env, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, *env.action_space.shape)).astype(np.float32)


def play(env, steps, seed=None):
    """Observations, rewards and endings of random actions; stops at the end of the episode."""
    rows = [env.reset(seed=seed)[0]]
    outcomes = []
    for action in random_actions(env, steps):
        observation, *outcome, _ = env.step(action)
        rows.append(observation)
        outcomes.append(outcome)
        if outcome[1] or outcome[2]:
            break
    return np.stack(rows), np.array(outcomes, dtype=float)


def test_there_are_21_tasks():
    assert len(NAMES) == 21


@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_made_reset_stepped_and_scored(name):
    task = load_task(name)
    observation_size, action_size, limit = sizes(name)
    env = task.make_env()
    try:
        assert env.observation_space.shape == (observation_size,) and env.action_space.shape == (action_size,)
        assert env.max_episode_steps == step_limit(env) == limit
        observations, outcomes = play(env, 3, seed=1)
        assert observations.dtype == np.float64 and np.isfinite(observations).all() and len(outcomes) == 3
    finally:
        env.close()
    import d4rl

    # D4RL's own formula, in hundredths.
    assert task.normalized_score(12.5) == pytest.approx(100 * d4rl.get_normalized_score(name, 12.5), abs=1e-12)
    low, high = task.reference_returns
    assert task.normalized_score(np.array([low, high])).tolist() == [0, 100]


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:gymnasium")  # it recommends bounded and float32 spaces
def test_the_environment_follows_the_api(name):
    env = make_d4rl_env(name)
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_seed_decides_an_episode_to_the_bit(name):
    """No matter what else draws from numpy's global state, before or during it, and how long the environment was in use."""
    steps = 8 if "kitchen" in name else 60
    first, second = make_d4rl_env(name), make_d4rl_env(name)
    np.random.seed(1)  # noqa: NPY002 the global state is what is tested
    expected = play(first, steps, seed=5)
    goal = getattr(first.d4rl_env, "target_goal", None)
    np.random.seed(2)  # noqa: NPY002
    second.reset()
    second.step(random_actions(second, 1)[0])
    np.random.uniform(size=3)  # noqa: NPY002
    again = play(second, steps, seed=5)
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert goal == getattr(second.d4rl_env, "target_goal", None)
    # The episode after it follows from the same seed.
    after = [env.reset()[0] for env in (first, second)]
    np.testing.assert_array_equal(*after)
    assert not np.array_equal(after[0], expected[0][0])
    assert goal is None or first.d4rl_env.target_goal == second.d4rl_env.target_goal != goal
    assert not np.array_equal(play(first, steps, seed=6)[0][0], expected[0][0])
    first.close()
    second.close()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_numpys_global_randomness_is_left_alone(name):
    def state():
        return np.random.get_state()[1].tolist()  # noqa: NPY002

    before = state()
    env = make_d4rl_env(name)
    play(env, 5, seed=0)
    env.reset()
    env.close()
    assert state() == before


def test_an_ant_maze_has_the_goal_and_start_that_d4rl_gives_for_the_same_seeds():
    """D4RL's own environment, with the same seed for it and for numpy's global state."""
    import gym

    ours = make_d4rl_env("antmaze-medium-play-v2")
    expected, _ = ours.reset(seed=3)
    theirs = gym.make("antmaze-medium-play-v2")
    theirs.unwrapped.wrapped_env.seed(3)
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(expected, theirs.reset())
    assert ours.d4rl_env.target_goal == theirs.unwrapped.wrapped_env.target_goal


def test_a_fallen_hopper_is_terminated():
    env = make_d4rl_env("hopper-medium-v2")
    _, outcomes = play(env, 1000, seed=0)
    assert len(outcomes) < 100, "random actions make it fall"
    assert outcomes[-1, 1:].tolist() == [True, False] and not outcomes[:-1, 1:].any()


@pytest.mark.parametrize("name", ["halfcheetah-medium-v2", "maze2d-umaze-v1", "antmaze-umaze-v2"])
def test_the_time_limit_truncates(name):
    env = make_d4rl_env(name)
    _, outcomes = play(env, 1001, seed=0)
    assert len(outcomes) == sizes(name)[2]
    assert outcomes[-1, 1:].tolist() == [False, True] and not outcomes[:-1, 1:].any()


def test_an_ant_at_its_goal_is_terminated_with_reward_one():
    env = make_d4rl_env("antmaze-umaze-v2")
    env.reset(seed=0)
    env.d4rl_env.set_xy(env.d4rl_env.target_goal)
    _, reward, terminated, truncated, _ = env.step(np.zeros(8, dtype=np.float32))
    assert (reward, terminated, truncated) == (1.0, True, False)


def test_a_ball_at_its_goal_earns_one_a_step_and_goes_on():
    env = make_d4rl_env("maze2d-medium-v1")
    env.reset(seed=0)
    goal = np.array(env.d4rl_env.get_target(), dtype=float)
    for distance, reward in ((0.49, 1.0), (0.51, 0.0)):
        env.d4rl_env.set_state(goal - [0, distance], np.zeros(2))
        assert env.step(np.zeros(2, dtype=np.float32))[1:4] == (reward, False, False)


def test_a_kitchen_pays_once_for_a_completed_subtask():
    from d4rl.kitchen.kitchen_envs import OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES

    env = make_d4rl_env("kitchen-complete-v0")
    env.reset(seed=0)
    where, goal = (table["slide cabinet"] for table in (OBS_ELEMENT_INDICES, OBS_ELEMENT_GOALS))
    env.d4rl_env.sim.data.qpos[where] = goal
    rewards = [env.step(np.zeros(9, dtype=np.float32))[1] for _ in range(3)]
    assert rewards == [1.0, 0.0, 0.0]
    assert env.d4rl_env.tasks_to_complete == {"microwave", "kettle", "light switch"}
    env.close()


@pytest.mark.usefixtures("untyped")
def test_what_is_refused():
    with pytest.raises(ValueError, match="no environment 'hopper-v9'"):
        make_d4rl_env("hopper-v9")
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        make_d4rl_env("hopper-medium-v2", render_mode="human")
    env = make_d4rl_env("hopper-medium-v2")
    with pytest.raises(ValueError, match="take no options"):
        env.reset(options={"position": 1})
    env.reset(seed=0)
    for action in (np.zeros(2), np.zeros((1, 3)), np.array([0, np.nan, 0])):
        with pytest.raises(ValueError, match="expected 3 finite numbers as an action"):
            env.step(action)


def test_an_unstable_simulation_is_reported():
    """Without this, the bindings would reset it in the middle of the episode."""
    env = make_d4rl_env("hopper-medium-v2")
    env.reset(seed=0)
    env.d4rl_env.sim.data.qvel[0] = np.nan
    with pytest.raises(Exception, match="mjWARN_BADQVEL") as caught:
        env.step(np.zeros(3, dtype=np.float32))
    assert type(caught.value).__name__ == "MujocoException"
    env.reset(seed=0)
    env.step(np.zeros(3, dtype=np.float32))


def test_many_mazes_leave_no_files_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_d4rl_env("antmaze-umaze-v2").close()  # files that are only opened once
    handles = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for name in ("antmaze-umaze-v2", "maze2d-umaze-v1") * 3:
        make_d4rl_env(name).close()
    assert not list(tmp_path.iterdir())
    if handles is not None:
        assert len(os.listdir("/proc/self/fd")) <= handles


@pytest.mark.parametrize("name", ["hopper-medium-v2", "maze2d-large-v1", "antmaze-umaze-v2", "kitchen-mixed-v0"])
def test_rendering_shows_what_moves(name):
    env = make_d4rl_env(name, render_mode="rgb_array")
    env.reset(seed=0)
    try:
        first = env.render()
    except RuntimeError as error:
        pytest.skip(str(error))
    assert first.shape == (480, 480, 3) and first.dtype == np.uint8
    for _ in range(5):
        env.step(np.ones(env.action_space.shape, dtype=np.float32))
    second = env.render()
    changed = (first.astype(int) - second).any(2).mean()
    assert 0 < changed < 0.9 and len(np.unique(first.reshape(-1, 3), axis=0)) > 50
    env.close()
    assert make_d4rl_env("maze2d-large-v1").render() is None


def test_without_opengl_rendering_says_what_to_do(monkeypatch):
    env = make_d4rl_env("maze2d-umaze-v1", render_mode="rgb_array")
    env.reset(seed=0)
    monkeypatch.setenv("MUJOCO_GL", "nothing")  # only now, because with such a value the bindings cannot be imported
    with pytest.raises(RuntimeError, match=r"rendering needs OpenGL.*libegl1.*MUJOCO_GL.*nothing"):
        env.render()


def test_nothing_is_printed_or_warned():
    """In a fresh process, with every warning shown, from the import to the end of an episode."""
    program = (
        "from sfbc_core import load_task\n"
        "for name in ('antmaze-umaze-v2', 'maze2d-umaze-v1', 'hopper-medium-v2', 'kitchen-mixed-v0'):\n"
        "    env = load_task(name).make_env()\n"
        "    env.reset(seed=0)\n"
        "    env.step(env.action_space.sample())\n"
        "    env.close()\n"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "default:::sfbc_core,default:::gym,default:::d4rl"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_works_in_gymnasiums_wrappers():
    env = gymnasium.wrappers.TimeLimit(make_d4rl_env("maze2d-umaze-v1"), 5)
    env.reset(seed=0)
    assert [env.step(np.zeros(2, dtype=np.float32))[3] for _ in range(5)] == [False] * 4 + [True]
