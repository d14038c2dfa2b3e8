"""The walls are where the simulator has them."""

from __future__ import annotations

import numpy as np
import pytest

from sfbc_core import load_task
from sfbc_core.tasks.d4rl.mazes import walls


@pytest.mark.parametrize("name", ["maze2d-medium-v1", "antmaze-umaze-v2"])
def test_walls_surround_every_start_and_none_stands_there(name):
    env = load_task(name).make_env()
    boxes = walls(env)

    def in_wall(position):
        return ((boxes[:, :2] <= position) & (position <= boxes[:, :2] + boxes[:, 2:])).all(1).any()

    starts = [env.reset(seed=seed)[0][:2] for seed in range(20)]
    assert not any(in_wall(start) for start in starts)
    size = ((boxes[:, :2] + boxes[:, 2:]).max(0) - boxes[:, :2].min(0)).max()
    for start in starts:
        # A straight line out of the maze runs into a wall in every direction.
        for direction in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            line = start + np.linspace(0, size, 200)[:, None] * np.array(direction)
            assert any(in_wall(position) for position in line)
    env.close()


def test_a_ball_stops_at_the_wall():
    env = load_task("maze2d-umaze-v1").make_env()
    env.reset(seed=0)
    env.d4rl_env.set_state(np.array([1.0, 1.0]), np.zeros(2))
    for _ in range(100):
        observation = env.step(np.array([-1.0, 0.0]))[0]
    boxes = walls(env)
    beside = boxes[(boxes[:, 1] <= 1) & (1 <= boxes[:, 1] + boxes[:, 3])]
    right_edges = beside[:, 0] + beside[:, 2]
    edge = right_edges[right_edges < 1].max()
    radius = 0.1  # of D4RL's ball
    assert observation[0] == pytest.approx(edge + radius, abs=0.02)


def test_an_environment_without_walls_is_refused():
    with pytest.raises(ValueError, match="expected an environment of maze2d or antmaze, got 'hopper-medium-v2'"):
        walls(load_task("hopper-medium-v2").make_env())
