"""Maze2d's recipe: the ball goes as D4RL's controller sends it, each row leads to the next, and rewards are the task's."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

from sfbc_core.tasks.d4rl.environments import D4RLEnv, numpy_randomness
from sfbc_core.tasks.d4rl.regeneration import maze2d
from sfbc_core.tasks.d4rl.regeneration.maze2d import Maze2dRecorder
from sfbc_core.tasks.d4rl.waypoints import waypoint_controller_class

# Also here, because the fixture in conftest.py comes too late for the recording that the tests share.
pytestmark = pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is in the extra sfbc-core[d4rl]")
STEPS = 20_000
TASKS = ("maze2d-umaze-v1", "maze2d-medium-v1", "maze2d-large-v1")


@pytest.fixture(scope="module")
def umaze():
    return Maze2dRecorder("maze2d-umaze-v1", seed=0, steps=STEPS).record(STEPS)


def mean_segment(columns):
    """The mean number of steps from target to target, and its standard error."""
    lengths = np.diff(np.flatnonzero(columns["timeouts"]))
    return lengths.mean(), lengths.std() / np.sqrt(len(lengths))


def test_segments_are_as_long_as_in_a_million_steps(umaze):
    """80.0 steps on average in a million (standard error 0.5); here within four standard errors, which are up to 16."""
    mean, error = mean_segment(umaze)
    assert error < 4, "the test would prove little"
    assert abs(mean - 80) < 4 * np.hypot(error, 0.5)


def test_without_noise_the_controller_is_as_fast_as_known(monkeypatch):
    """Others who regenerated the data without noise report 71 to 76 steps on average; here within four standard errors."""
    monkeypatch.setattr(maze2d, "ACTION_NOISE", 0.0)
    mean, error = mean_segment(Maze2dRecorder("maze2d-umaze-v1", seed=0, steps=20_000).record(20_000))
    assert error < 4 and 71 - 4 * error < mean < 76 + 4 * error


def test_a_segment_ends_where_its_target_is_reached_or_after_the_time_limit(umaze):
    cells = np.round(umaze["infos/goal"])
    ends = np.flatnonzero(umaze["timeouts"])[:-1]  # the last is where the recording ends
    at_target = np.linalg.norm(umaze["infos/qpos"] - cells, axis=1) < 0.1  # the controller's threshold
    longest = np.diff(ends, prepend=-1) == 300
    assert (at_target[ends] | longest).all()
    changes = np.flatnonzero((np.diff(umaze["infos/goal"], axis=0) != 0).any(axis=1))
    assert np.isin(changes, ends).all(), "the target changes only after an end"
    assert len(np.unique(cells, axis=0)) == 7, "all free cells of the maze are targets"
    assert not umaze["terminals"].any() and umaze["timeouts"][-1]


def test_rewards_are_the_environments_of_the_rows_own_state(umaze):
    goal = np.array([1.0, 1.0])  # the cell marked G in D4RL's map
    expected = np.linalg.norm(umaze["observations"][:, :2] - goal, axis=1) <= 0.5
    np.testing.assert_array_equal(umaze["rewards"], expected.astype(np.float32))
    assert 0 < expected.mean() < 0.5


@pytest.mark.parametrize("task", TASKS)
def test_each_row_leads_to_the_next_by_the_environments_physics(task, umaze):
    """Each step from a clean state. The solver then starts from another guess, a difference far below 1e-6."""
    columns = umaze if "umaze" in task else Maze2dRecorder(task, seed=1, steps=400).record(400)
    maze = D4RLEnv(task).d4rl_env
    maze.reset()
    rows = np.random.default_rng(0).choice(len(columns["rewards"]) - 1, 300, replace=False)
    for row in [*rows, *np.flatnonzero(columns["timeouts"])[:20]]:
        if row + 1 == len(columns["rewards"]):
            continue
        maze.sim.reset()
        maze.set_state(columns["infos/qpos"][row], columns["infos/qvel"][row])
        np.testing.assert_allclose(maze._get_obs(), columns["observations"][row], rtol=0, atol=1e-6)
        observation, reward, _, _ = maze.step(columns["actions"][row].astype(np.float64))
        np.testing.assert_allclose(observation, columns["observations"][row + 1], rtol=0, atol=1e-6)
        assert reward == columns["rewards"][row + 1], "the environment rewards the state it shows"


def test_the_noise_of_actions_has_a_deviation_of_half_and_is_clipped():
    """If the controller does nothing, actions are noise: half lie within 0.6745 · 0.5, a share P(|ε| > 2) at ±1."""
    recorder = Maze2dRecorder("maze2d-umaze-v1", seed=0, steps=2000)
    recorder._controller.get_action = lambda *_: (np.zeros(2), False)
    sizes = np.abs(recorder.record(2000)["actions"]).ravel()
    for share, expected in (((sizes < 0.6745 * 0.5).mean(), 0.5), ((sizes == 1).mean(), 0.0455)):
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / len(sizes)), "four standard errors"
    assert sizes.max() == 1


def test_the_way_is_that_of_d4rls_controller_as_shipped():
    spec = D4RLEnv("maze2d-medium-v1").d4rl_env.str_maze_spec
    # Only now, because making the environment has imported d4rl in the way that works.
    from d4rl.pointmaze.waypoint_controller import WaypointController

    ours, shipped = waypoint_controller_class()(spec, 5), WaypointController(spec)
    position = np.array([1.0, 1.0])
    for route, target in enumerate([(6.0, 6.0), (6.05, 1.0), (3.0, 3.9), (6.0, 6.0), (1.0, 1.0)]):
        action, _ = ours.get_action(position, np.zeros(2), np.array(target))
        own = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([5, route])))
        with numpy_randomness(own):
            expected, _ = shipped.get_action(position, np.zeros(2), np.array(target))
        np.testing.assert_array_equal(action, expected)
        for one, other in zip(ours._waypoints, shipped._waypoints, strict=True):
            np.testing.assert_array_equal(one, other)
        position = np.round(np.array(target))


def test_it_goes_on_from_any_row_to_the_bit_and_leaves_numpys_randomness_alone(umaze):
    np.random.seed(7)  # noqa: NPY002 what is tested
    first = Maze2dRecorder("maze2d-umaze-v1", seed=0, steps=STEPS)
    for rows in (1, 776):
        first.record(rows)
    state = json.loads(json.dumps(first.state()))
    second = Maze2dRecorder("maze2d-umaze-v1", seed=0, steps=STEPS)
    second.restore(state)
    for name, values in second.record(3000).items():
        np.testing.assert_array_equal(values, umaze[name][777:3777], strict=True)
    drawn = np.random.random()  # noqa: NPY002
    assert drawn == np.random.RandomState(7).random()


def test_another_seed_makes_another_recording(umaze):
    other = Maze2dRecorder("maze2d-umaze-v1", seed=1, steps=100).record(100)
    assert np.abs(other["observations"] - umaze["observations"][:100]).max() > 0.1
