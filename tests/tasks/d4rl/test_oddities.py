"""Every oddity of D4RL's recordings, in a small file that has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

h5py = pytest.importorskip("h5py", reason="h5py is in the extra sfbc-core[d4rl]")

from sfbc_core.planning import discounted_returns, planned_returns
from sfbc_core.tasks.d4rl.datasets import read_hdf5
from sfbc_core.tasks.d4rl.oddities import Rules, rules_for, time_limits


def walk(n, step=0.04, width=4):
    """States of a smooth walk, in which every coordinate moves by half a `step`."""
    return np.cumsum(np.full((n, width), step / 2, dtype=np.float32), axis=0)


def flags(n, *where):
    result = np.zeros(n, dtype=bool)
    result[list(where)] = True
    return result


@pytest.fixture
def write(tmp_path):
    """Write a file with D4RL's layout and return its path; columns that are None are left out."""

    def write(observations, **columns):
        n = len(observations)
        columns = {"actions": np.zeros((n, 2)), "rewards": np.zeros(n), "terminals": flags(n)} | columns
        path = tmp_path / "data.hdf5"
        with h5py.File(path, "w") as file:
            file["observations"] = observations
            for name, values in columns.items():
                if values is not None:
                    file[name] = values
        return path

    return write


def test_maze2d_is_one_stream_cut_only_at_its_end(write):
    observations = walk(9)
    observations[4] = observations[3]  # the row after a waypoint repeats the state
    path = write(observations, timeouts=flags(9, 3, 6), terminals=flags(9, 3, 6), rewards=np.arange(9.0))
    data = read_hdf5(path, rules_for("maze2d-umaze-v1"))
    assert not data.terminals.any()
    assert data.timeouts.tolist() == flags(9, 8).tolist()
    # An end at the waypoint would have hidden this: the reward after it reaches the states before it.
    assert discounted_returns(data, 1.0)[0] == 36


def test_maze2d_that_was_reset_is_cut_there(write):
    observations = walk(9)
    observations[5:] += 1.0
    data = read_hdf5(write(observations), rules_for("maze2d-large-v1"))
    assert data.episode_ends.tolist() == [4, 8] and not data.terminals.any()


def test_antmaze_ends_where_the_ant_jumps_and_not_where_flags_are(write):
    observations = walk(12, step=0.8, width=29)
    observations[5:] += 10.0
    data = read_hdf5(write(observations, timeouts=flags(12, 3, 8)), rules_for("antmaze-umaze-v0"))
    assert data.timeouts.tolist() == flags(12, 4, 11).tolist()


def test_antmaze_keeps_its_terminals_also_at_a_jump(write):
    observations = walk(12, width=29)
    observations[5:] += 10.0
    path = write(observations, terminals=flags(12, 4, 7), timeouts=flags(12, 11), rewards=flags(12, 4, 7) * 1.0)
    data = read_hdf5(path, rules_for("antmaze-large-play-v2"))
    assert data.terminals.tolist() == flags(12, 4, 7).tolist()
    assert data.timeouts.tolist() == flags(12, 11).tolist()


def test_antmaze_medium_play_has_no_reward_away_from_its_goal(write):
    # At the goal; beyond 19 in one coordinate only, twice; at the other goals of the maze it was recorded in.
    observations = np.array([[20.2, 20.4], [16, 20.2], [20.3, 4], [0, 16], [20.1, 20.1]], dtype=np.float32)
    path = write(observations, rewards=np.ones(5), terminals=flags(5, 0, 1, 2, 3, 4))
    data = read_hdf5(path, rules_for("antmaze-medium-play-v2"))
    assert data.rewards.tolist() == [1, 0, 0, 0, 1]
    assert data.terminals.tolist() == [True, False, False, False, True]
    assert data.timeouts.tolist() == [False, True, True, True, False], "the jumps between them stay ends"
    untouched = read_hdf5(path, rules_for("antmaze-medium-diverse-v2"))
    assert untouched.rewards.sum() == 5 and untouched.terminals.all()


def test_a_missing_last_end_becomes_a_timeout_with_one_warning(write):
    with pytest.warns(UserWarning, match="neither a terminal nor a timeout") as caught:
        data = read_hdf5(write(walk(5), timeouts=flags(5, 1)), rules_for("hopper-medium-v2"))
    assert len(caught) == 1
    assert data.timeouts.tolist() == flags(5, 1, 4).tolist()


def test_a_timeout_is_no_terminal_and_planning_expects_rewards_after_it(write):
    path = write(walk(4), rewards=np.ones(4), timeouts=flags(4, 1), terminals=flags(4, 3))
    data = read_hdf5(path, rules_for("hopper-medium-v2"))
    assert data.timeouts.tolist() == flags(4, 1).tolist() and data.terminals.tolist() == flags(4, 3).tolist()
    values = 10 * data.rewards.double()
    assert planned_returns(data, values, 1.0).tolist() == [12, 11, 11, 1]


def test_both_flags_on_one_transition_are_a_terminal(write):
    data = read_hdf5(write(walk(4), timeouts=flags(4, 1, 3), terminals=flags(4, 3)), rules_for("hopper-medium-v2"))
    assert data.terminals.tolist() == flags(4, 3).tolist() and data.timeouts.tolist() == flags(4, 1).tolist()


def following(observations, *ends):
    """`next_observations` of a recording whose trajectories end at `ends`: the state there is seen in no row."""
    result = np.concatenate([observations[1:], observations[-1:] + 1])
    result[list(ends)] += 0.5
    return result


@pytest.mark.parametrize("recorded", [None, flags(8, 2)], ids=["no timeouts", "one of two timeouts"])
def test_next_observations_show_ends_that_no_flag_marks(write, recorded):
    observations = walk(8)
    terminals = flags(8, 7)
    path = write(observations, next_observations=following(observations, 2, 5), timeouts=recorded, terminals=terminals)
    data = read_hdf5(path, rules_for("walker2d-medium-replay-v2"))
    assert data.timeouts.tolist() == flags(8, 2, 5).tolist()


def test_rounded_next_observations_are_no_end(write):
    observations = 100 * walk(8)
    rounded = following(observations) * (1 + 1e-6)
    data = read_hdf5(
        write(observations, next_observations=rounded, terminals=flags(8, 7)), rules_for("hopper-medium-v2")
    )
    assert not data.timeouts.any()


def test_ends_are_found_where_two_blocks_of_reading_meet(write, monkeypatch):
    monkeypatch.setattr("sfbc_core.tasks.d4rl.datasets.BLOCK_ROWS", 3)
    observations = walk(10)
    path = write(observations, next_observations=following(observations, 2, 3, 5), terminals=flags(10, 9))
    assert read_hdf5(path, rules_for("hopper-medium-v2")).timeouts.tolist() == flags(10, 2, 3, 5).tolist()


def test_time_limits_are_counted_if_nothing_else_shows_them(write):
    data = read_hdf5(write(walk(2500), terminals=flags(2500, 299, 2499)), rules_for("halfcheetah-medium-v0"))
    assert data.episode_ends.tolist() == [299, 1299, 2299, 2499]
    assert data.timeouts.tolist() == flags(2500, 1299, 2299).tolist()


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 7))
def test_no_counted_episode_is_longer_than_the_limit_and_none_is_cut_early(terminals, limit):
    terminals = np.array(terminals, dtype=bool)
    timeouts = time_limits(terminals, limit)
    length = 0
    for terminal, timeout in zip(terminals, timeouts, strict=True):
        length += 1
        assert timeout == (length == limit)
        length = 0 if terminal or timeout else length


def test_other_files_are_taken_as_they_are():
    assert rules_for("kitchen-mixed-v0") == rules_for("pen-human-v1") == Rules()
    assert rules_for("ant-medium-v2").longest_step is None, "ant is no antmaze"
