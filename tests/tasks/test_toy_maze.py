"""ToyMaze: the point never enters a wall, slides along it exactly, and the data has to be stitched."""

import gymnasium
import matplotlib
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from sfbc_core.tasks import load_task
from sfbc_core.tasks.toy_maze import (
    FREE_CELLS,
    GOAL,
    MARGIN,
    SIZE,
    START,
    STEP,
    WALK,
    ToyMazeEnv,
    advance,
    generate,
    in_goal,
    is_wall,
    way_to_goal,
)

# Fractions of a cell and of a step, including the awkward ones: edges, corners, and what float32 rounds onto them.
fractions = st.one_of(st.sampled_from([MARGIN, 0.5, 0.75, 1 - MARGIN]), st.floats(MARGIN, 1 - MARGIN))
pushes = st.one_of(st.sampled_from([-1.0, 0.0, 1e-9, -1e-9, 1.0]), st.floats(-1, 1))


@st.composite
def positions(draw):
    cell = FREE_CELLS[draw(st.integers(0, len(FREE_CELLS) - 1))]
    return (cell + np.array([draw(fractions), draw(fractions)])).astype(np.float32)


def one_step(position, action):
    return advance(np.array([position], dtype=np.float32), np.array([action], dtype=float))[0]


@given(positions(), st.lists(st.tuples(pushes, pushes), min_size=1, max_size=30))
@settings(max_examples=300, deadline=None)
def test_the_point_is_never_in_a_wall_and_never_moves_farther_than_it_was_pushed(position, actions):
    for action in actions:
        after = one_step(position, action)
        assert not is_wall(after[None])[0]
        pushed = STEP * np.array(action)
        moved = after.astype(float) - position
        # Half a float32 step of rounding, or the margin where the point already touched the wall.
        assert (np.abs(moved) <= np.abs(pushed) + MARGIN).all()
        assert (moved * pushed >= -MARGIN).all(), "a push moved the point backwards"
        position = after


def test_a_step_is_the_limit_of_many_small_ones():
    """The reference moves one axis after the other, a little at a time, and undoes each move that ends in a wall."""
    rng, pieces = np.random.default_rng(0), 2000
    start = (rng.choice(FREE_CELLS, 3000) + rng.uniform(MARGIN, 1 - MARGIN, (3000, 2))).astype(np.float32)
    push = rng.uniform(-1, 1, (3000, 2))
    point, corner_distance = start.astype(float), np.full(3000, np.inf)
    for _ in range(pieces):
        for axis in (0, 1):
            trial = point.copy()
            trial[:, axis] += STEP * push[:, axis] / pieces
            point = np.where(is_wall(trial)[:, None], point, trial)
        corner_distance = np.minimum(corner_distance, np.abs(point - np.round(point)).max(1))
    agree = np.abs(advance(start, push) - point).max(1) < 2 * STEP / pieces
    # Only at a corner can a small step, which moves x before y, take the other side of a wall.
    assert (agree | (corner_distance < 2 * STEP / pieces)).all()
    assert agree.mean() > 0.995


def test_free_moves_walls_and_sliding_by_hand():
    assert one_step((1.5, 4.5), (1, -0.5)) == pytest.approx((1.75, 4.375))  # nothing in the way
    assert one_step((0.1, 4.5), (-1, 0)) == pytest.approx((MARGIN, 4.5))  # the rim
    assert one_step((1.5, 4.125), (1, -1)) == pytest.approx((1.75, 4 + MARGIN))  # slides along the wall below
    # Around the inner corner at (4, 4): whoever is past x = 4 before y = 4 gets by, the other one is stopped.
    assert one_step((3.9, 4.15), (1, -1)) == pytest.approx((4.15, 3.9))
    assert one_step((3.85, 4.1), (1, -1)) == pytest.approx((4.1, 4 + MARGIN))


def test_a_point_at_a_wall_can_leave_it():
    stuck = one_step((1.5, 4.1), (0, -1))
    assert one_step(stuck, (0, 0.5)) == pytest.approx((1.5, 4.125), abs=2 * MARGIN)


def test_many_points_move_as_each_would_alone():
    rng = np.random.default_rng(0)
    points = (rng.choice(FREE_CELLS, 500) + rng.uniform(MARGIN, 1 - MARGIN, (500, 2))).astype(np.float32)
    pushes = rng.uniform(-1, 1, (500, 2))
    together = advance(points, pushes)
    alone = np.stack([one_step(point, push) for point, push in zip(points, pushes, strict=True)])
    assert (together == alone).all()


def test_positions_in_walls_and_outside():
    assert is_wall(np.array([[0.5, 2.5], [-0.5, 0.5], [5.5, 0.5], [99.0, -99.0]])).all()
    assert not is_wall(FREE_CELLS + 0.5).any()


def test_way_to_goal_by_hand():
    points = np.array([[0.5, 0.5], [1.25, 0.5], [4.5, 0.5], [4.5, 2.5], [0.5, 4.5]])
    assert way_to_goal(points) == pytest.approx([0, 0.75, 4, 6, 12])


def test_the_environment_follows_the_api():
    env = gymnasium.make("sfbc/ToyMaze-v0", render_mode="rgb_array")
    check_env(env.unwrapped)


def test_episodes_start_in_the_far_cell_by_the_seed():
    env = ToyMazeEnv()
    starts = np.array([env.reset(seed=seed)[0] for seed in range(50)])
    assert (np.floor(starts) == START).all() and len(np.unique(starts[:, 0])) == 50
    assert (env.reset(seed=7)[0] == starts[7]).all()


def test_the_goal_is_a_terminal_and_the_limit_a_truncation():
    env = load_task("toy-maze").make_env()
    env.reset(seed=0, options={"position": (1.1, 0.5)})
    observation, reward, terminated, truncated, _ = env.step(np.array([-1.0, 0.0]))
    assert (reward, terminated, truncated) == (1.0, True, False) and in_goal(observation[None])[0]
    env.reset(seed=0)
    outcomes = [env.step(np.zeros(2))[1:4] for _ in range(100)]
    assert outcomes == [(0.0, False, False)] * 99 + [(0.0, False, True)]


def test_what_is_refused():
    env = ToyMazeEnv()
    for position in ((0.5, 2.5), GOAL, (9, 9), (1,)):
        with pytest.raises(ValueError, match="expected a position"):
            env.reset(options={"position": position})
    env.reset(seed=0)
    for action in ([1.5, 0], [np.nan, 0], [0.5]):
        with pytest.raises(ValueError, match="two numbers in"):
            env.step(np.array(action))
    with pytest.raises(ValueError, match="render_mode"):
        ToyMazeEnv(render_mode="human")
    with pytest.raises(ValueError, match="transitions must be at least 1, got 0"):
        generate(0)


def test_render_shows_the_point_where_it_is():
    env = ToyMazeEnv(render_mode="rgb_array")
    env.reset(options={"position": (0.5, 4.5)})
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):  # a user's setting, and that of the book
        first = env.render()
    env.reset(options={"position": (4.5, 2.5)})
    second = env.render()
    assert first.shape == (300, 300, 3) and first.dtype == np.uint8
    blue = (second[..., 2].astype(int) - second[..., 0] > 80).nonzero()
    width = 300 / (SIZE[0] + 0.2)  # pixels of a cell
    # The axes show -0.1 … 5.1 from left to right and from bottom to top.
    assert np.mean(blue[1]) == pytest.approx(4.6 * width, abs=2) and np.mean(blue[0]) == pytest.approx(
        2.6 * width, abs=2
    )
    assert (first != second).any() and ToyMazeEnv().render() is None


def test_the_data_is_the_same_for_the_same_seed_and_has_the_size_asked_for():
    data, again, other = generate(3001, seed=1), generate(3001, seed=1), generate(3001, seed=2)
    assert len(data) == 3001 and data.fingerprint() == again.fingerprint() != other.fingerprint()


def test_the_data_is_what_the_environment_would_do():
    data = generate(2000, seed=0)
    states, actions = data.observations.numpy(), data.actions.numpy()
    after = advance(states, actions)
    inside = np.ones(len(data), dtype=bool)
    inside[data.episode_ends] = False
    assert (after[:-1][inside[:-1]] == states[1:][inside[:-1]]).all()
    assert (in_goal(after) == data.terminals.numpy()).all(), "the goal, and only the goal, is a terminal"
    assert torch.equal(data.rewards, data.terminals.float())
    assert not is_wall(states).any() and not in_goal(states).any()


def test_no_walk_leads_from_start_to_goal_but_together_they_cover_the_way():
    data = generate(20_000, seed=0)
    ends = data.episode_ends
    assert data.episode_lengths.max() <= WALK[1]
    cut = ~data.terminals[ends]
    cut[-1] = False  # the data set may be full before the last walk is over
    assert data.episode_lengths[cut].min() >= WALK[0]
    # Each of the three corridors is at least three cells long between start cell and goal, whatever corners are cut.
    assert WALK[1] * STEP < 9
    visited = {tuple(cell) for cell in np.floor(data.observations.numpy()).astype(int)}
    assert visited == {tuple(cell) for cell in FREE_CELLS} - {GOAL}
    # In the middle of the corridor, walks go both ways: the data has no preferred direction.
    middle = (np.floor(data.observations.numpy()) == (4, 2)).all(1)
    upwards = data.actions.numpy()[middle, 1] > 0
    assert 0.35 < upwards.mean() < 0.65


def test_the_task_caches_its_data(tmp_path, monkeypatch):
    monkeypatch.setenv("SFBC_CACHE_DIR", str(tmp_path))
    task = load_task("toy-maze")
    first = task.load_trajectories(transitions=500, seed=3)
    assert len(list(tmp_path.iterdir())) == 1
    assert task.load_trajectories(transitions=500, seed=3).fingerprint() == first.fingerprint()
    assert task.normalized_score(1.0) == 100
