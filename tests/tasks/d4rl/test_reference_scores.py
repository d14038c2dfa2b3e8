"""Both ends of the scale: random actions score 0, and D4RL's own controller scores 100 in maze2d."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfbc_core import load_task


@pytest.mark.parametrize(
    # The number of episodes makes three standard errors less than 10 points, or else the shortest test is one episode.
    # Deviations of an episode's score: hopper 0.5, walker2d 0.2, halfcheetah 0.3, maze2d 41, 17 and 7, antmaze 0.
    ("name", "episodes"),
    [
        ("hopper-medium-v2", 10),
        ("walker2d-medium-v2", 10),
        ("halfcheetah-medium-v2", 2),
        pytest.param("maze2d-umaze-v1", 160, marks=pytest.mark.slow),
        pytest.param("maze2d-medium-v1", 30, marks=pytest.mark.slow),
        ("maze2d-large-v1", 6),
        ("antmaze-umaze-v2", 2),
        ("antmaze-medium-play-v2", 1),
        ("antmaze-large-diverse-v2", 1),
        ("kitchen-complete-v0", 1),
        ("kitchen-mixed-v0", 1),
    ],
)
def test_random_actions_score_0(name, episodes):
    """Within 10 points. A kitchen's random arm may by chance complete one subtask of four, which is 25 points."""
    task = load_task(name)
    env = task.make_env()
    env.action_space.seed(0)
    returns = []
    for episode in range(episodes):
        env.reset(seed=0 if episode == 0 else None)
        rewards, over = [], False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            rewards.append(reward)
            over = terminated or truncated
        returns.append(sum(rewards))
    score = task.normalized_score(np.array(returns)).mean()
    assert abs(score) <= (25 if name.startswith("kitchen") else 10)


def controller_scores(name, monkeypatch, episodes, *, fresh):
    """Scores of D4RL's waypoint controller: one for all episodes, or for each a new one that plans again."""
    task = load_task(name)
    from d4rl.pointmaze import waypoint_controller

    solve, solutions = waypoint_controller.q_iteration.q_iteration, {}

    def solve_once(env, **options):
        """The maze and its goal are the same in all episodes, and so is the solution, which takes a second."""
        if name not in solutions:
            solutions[name] = solve(env=env, **options)
        return solutions[name]

    monkeypatch.setattr(waypoint_controller.q_iteration, "q_iteration", solve_once)
    np.random.seed(0)  # noqa: NPY002 the controller draws its waypoints from the global state
    env, controller, returns = task.make_env(), None, []
    for episode in range(episodes):
        observation, _ = env.reset(seed=0 if episode == 0 else None)
        if fresh or controller is None:
            controller = waypoint_controller.WaypointController(env.d4rl_env.str_maze_spec)
        rewards, over = [], False
        while not over:
            action, _ = controller.get_action(observation[:2], observation[2:], env.d4rl_env.get_target())
            observation, reward, _, over, _ = env.step(action)
            rewards.append(reward)
        returns.append(sum(rewards))
    return task.normalized_score(np.array(returns))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "episodes"), [("maze2d-umaze-v1", 100), ("maze2d-medium-v1", 60), ("maze2d-large-v1", 50)]
)
def test_d4rls_controller_scores_100_as_d4rl_runs_it(name, episodes, monkeypatch):
    """D4RL's upper reference return is the mean of 100 episodes of one controller, which plans its way once only.

    From later starts it heads straight for the goal, and either arrives or is stuck at a wall: scores deviate by about 100
    points. D4RL's mean over 100 episodes has then a standard error of 10 points itself, and ours another; the bound is three
    standard errors of the difference. (100 episodes with this seed score 91, 98 and 117 in the three mazes.)
    """
    scores = controller_scores(name, monkeypatch, episodes, fresh=False)
    assert abs(scores.mean() - 100) <= 3 * scores.std(ddof=1) * math.sqrt(1 / 100 + 1 / episodes)
    assert scores.std(ddof=1) < 150, "or the bound means nothing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected", "deviation"),
    [("maze2d-umaze-v1", 144, 42), ("maze2d-medium-v1", 155, 35), ("maze2d-large-v1", 199, 47)],
)
def test_a_controller_that_plans_in_each_episode_always_arrives(name, expected, deviation, monkeypatch):
    """It earns something in every episode, and more than D4RL's. The expected scores were measured with other seeds."""
    scores = controller_scores(name, monkeypatch, 20, fresh=True)
    task = load_task(name)
    assert scores.min() > task.normalized_score(0)
    # Three standard errors of the difference between 20 episodes and the 30 that were measured.
    assert abs(scores.mean() - expected) <= 3 * deviation * math.sqrt(1 / 20 + 1 / 30)
