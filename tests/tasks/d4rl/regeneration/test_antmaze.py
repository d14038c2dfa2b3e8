"""Antmaze's recipe, with a policy of random weights: the ant stumbles, but is rewarded and recorded like any other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sfbc_core.tasks.d4rl.environments import D4RLEnv
from sfbc_core.tasks.d4rl.regeneration.antmaze import AntMazeRecorder
from sfbc_core.tasks.d4rl.regeneration.policies import load_policy

UMAZE = "antmaze-umaze-v2"


@pytest.fixture
def make(policy_file):
    policy, _ = load_policy(policy_file(29, 8, names=("fc0", "fc1", "last_fc", "last_fc_log_std")), 29, 8)
    return lambda task, steps, seed=0: AntMazeRecorder(task, seed, steps, policy)


def test_episodes_last_for_the_time_limit_and_the_last_is_cut(make):
    columns = make(UMAZE, 1500).record(1500)
    ends = np.flatnonzero(columns["timeouts"] | columns["terminals"])
    assert ends.tolist() == [699, 1399, 1499]
    moved = np.linalg.norm(np.diff(columns["observations"][:, :2], axis=0), axis=1)
    assert (moved[np.arange(1499) % 700 != 699] < 1.0).all(), "an ant does not jump within an episode"
    goals = columns["infos/goal"][[0, 700, 1400]]
    assert (goals[0] != goals[1]).all(), "each episode has its own goal"
    np.testing.assert_array_equal(columns["infos/goal"], columns["infos/task_goal"])
    # The cell of the goal is 8 units away from the start in y, 0 in x; up to 1 + 0.5 are added (D4RL's goal_sampler).
    assert ((goals >= [0, 8]) & (goals <= [1.5, 9.5])).all()


def test_rewards_and_terminals_are_the_environments_where_the_ant_is_next_to_its_goal(make, monkeypatch):
    recorder = make(UMAZE, 1400)
    # The goal is where the ant starts, so that a stumbling ant is at it, leaves it and comes back.
    monkeypatch.setattr(recorder._maze, "goal_sampler", lambda *_: None)
    monkeypatch.setattr(recorder._maze, "_goal_sampler", None)
    monkeypatch.setattr(recorder._maze, "set_target", lambda: recorder._maze.set_target_goal((0.6, 0.3)))
    columns = recorder.record(1400)
    positions = columns["infos/qpos"][:, :2]
    inside = np.arange(1399) % 700 != 699  # rows of which the next belongs to the same episode
    expected = np.linalg.norm(positions[1:] - columns["infos/task_goal"][1:], axis=1) <= 0.5
    np.testing.assert_array_equal(columns["rewards"][:-1][inside], expected[inside].astype(np.float32))
    np.testing.assert_array_equal(columns["terminals"], columns["rewards"] == 1)
    assert not (columns["terminals"] & columns["timeouts"]).any()
    assert 0 < expected.mean() < 1


def test_each_row_leads_to_the_next_by_the_environments_physics(make):
    columns = make(UMAZE, 500).record(500)
    env = D4RLEnv(UMAZE)
    env.reset(seed=0)
    for row in np.random.default_rng(0).choice(499, 60, replace=False):
        env.d4rl_env.sim.reset()
        env.d4rl_env.set_state(columns["infos/qpos"][row], columns["infos/qvel"][row])
        observation = env.step(columns["actions"][row].astype(np.float64))[0]
        np.testing.assert_allclose(observation, columns["observations"][row + 1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("task", ["antmaze-umaze-diverse-v2", "antmaze-medium-play-v2", "antmaze-medium-diverse-v2"])
def test_goals_of_navigation_and_starts_are_those_of_the_kind_of_data(make, task):
    import d4rl.locomotion.maze_env as mazes

    recorder = make(task, 10_000)
    recorder._env.max_episode_steps = 2  # many short episodes
    columns = recorder.record(120)
    maze_map = mazes.U_MAZE_TEST if "umaze" in task else mazes.BIG_MAZE_TEST
    free = {(i, j) for i, row in enumerate(maze_map) for j, cell in enumerate(row) if cell != 1}
    marked = {(i, j) for i, row in enumerate(mazes.BIG_MAZE) for j, cell in enumerate(row) if cell == mazes.GOAL}
    goals = {tuple(np.floor((goal[::-1] + 1e-6) / 4).astype(int) + 1) for goal in columns["infos/goal"]}
    assert goals == marked if "play" in task else goals <= free and len(goals) > 3
    starts = columns["observations"][::2, :2]
    assert starts.std(axis=0).min() > 2, "the ant starts all over the maze"
    low, high = ((0, 8), (1.5, 9.5)) if "umaze" in task else ((20, 20), (21.5, 21.5))
    assert ((columns["infos/task_goal"] >= low) & (columns["infos/task_goal"] <= high)).all()


@pytest.mark.parametrize("task", ["antmaze-umaze-v2", "antmaze-large-play-v2"])
def test_it_goes_on_from_any_episode_to_the_bit(make, task):
    whole, first, second = (make(task, 60, seed=3) for _ in range(3))
    for recorder in (whole, first, second):
        recorder._env.max_episode_steps = 20
    expected = whole.record(60)
    first.record(25)  # two episodes
    second.restore(json.loads(json.dumps(first.state())))
    for name, values in second.record(60).items():
        np.testing.assert_array_equal(values, expected[name][40:], strict=True)
    assert second.record(1) == {}
