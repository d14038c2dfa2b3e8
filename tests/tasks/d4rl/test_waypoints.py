"""The controller's actions in single states."""

from __future__ import annotations

import numpy as np

from sfbc_core.tasks.d4rl.waypoints import controller_actions


def test_the_controller_goes_the_way_through_the_maze():
    """Umaze is a U of three corridors, with the goal at (1, 1): its law is 10 (waypoint - position) - velocity, clipped."""
    at_goal = [1.0, 1.0, 0.0, 0.0]
    next_cell = [1.0, 2.0, 0.0, 0.0]
    other_end = [3.0, 1.0, 0.0, 0.0]
    actions = controller_actions("maze2d-umaze-v1", np.array([at_goal, next_cell, other_end]))
    np.testing.assert_allclose(actions[0], 0, atol=1e-6)
    assert actions[1, 1] == -1, "down to the goal"
    assert actions[2, 1] == 1, "from the other end the way leads up first, although the goal is to the left"


def test_velocity_brakes():
    still, moving = controller_actions("maze2d-umaze-v1", np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, -0.5]]))
    np.testing.assert_allclose(moving - still, [0.0, 0.5], atol=1e-6)
