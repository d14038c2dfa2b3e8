"""Small files with Minari's layout."""

from __future__ import annotations

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is in the extra sfbc-core[d4rl]")

from sfbc_core.tasks.d4rl.minari_datasets import load_minari, read_minari


def episode(n, terminated=False, truncated=False, width=3, first=0.0, **changes):
    """Columns of an episode of n steps; its observations count from `first`."""
    last = np.arange(n) == n - 1
    values = {
        "observations": np.tile(first + np.arange(n + 1.0)[:, None], width),
        "actions": np.full((n, 2), 0.5, dtype=np.float32),
        "rewards": np.arange(n, dtype=np.float64),
        "terminations": last & terminated,
        "truncations": last & truncated,
    }
    return values | changes


def write(path, *episodes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, columns in enumerate(episodes):
            group = file.create_group(f"episode_{number}")
            group.attrs["total_steps"] = len(columns["rewards"])
            group.create_group("infos")["unused"] = np.zeros(7)
            for name, values in columns.items():
                for key, part in values.items() if isinstance(values, dict) else [("", values)]:
                    group[f"{name}/{key}".rstrip("/")] = part
    return path


def maze(n, **changes):
    x = np.arange(n + 1.0)[:, None]
    parts = {"observation": np.tile(x, 4), "achieved_goal": np.tile(x, 2), "desired_goal": np.full((n + 1, 2), 9.0)}
    return episode(n, observations=parts | changes)


def test_episodes_follow_one_another_without_their_last_observation(tmp_path):
    data = read_minari(write(tmp_path / "data.hdf5", episode(3, terminated=True), episode(2, truncated=True, first=10)))
    assert data.observations[:, 0].tolist() == [0, 1, 2, 10, 11]
    assert data.rewards.tolist() == [0, 1, 2, 0, 1]
    assert data.terminals.tolist() == [False, False, True, False, False]
    assert data.timeouts.tolist() == [False, False, False, False, True]


def test_episodes_are_in_the_order_of_their_numbers(tmp_path):
    path = write(tmp_path / "data.hdf5", *(episode(1, truncated=True, first=i) for i in range(12)))
    assert read_minari(path).observations[:, 0].tolist() == list(range(12)), "episode_10 comes after episode_9"


def test_what_float32_cannot_tell_apart_across_episodes_is_kept_or_warned_of(tmp_path):
    """One step each, at 1e8 - 1, 1e8 and 1e8 + 1: no episode alone shows that something is lost."""
    rows = [episode(1, truncated=True, first=1e8 + n, rewards=np.array([1e8 + n])) for n in (-1, 0, 1)]
    with pytest.warns(UserWarning) as found:
        data = read_minari(write(tmp_path / "data.hdf5", *rows))
    assert data.observations[:, 0].tolist() == [1e8 - 1, 1e8, 1e8 + 1]
    assert [str(warning.message).split(" which")[0].split(":")[0] for warning in found] == [
        "observations are kept in float64",
        "rewards are used in float32,",
    ]


def test_a_constant_in_double_precision_needs_none(tmp_path, recwarn):
    data = read_minari(write(tmp_path / "data.hdf5", maze(3, truncated=True)))
    assert data.observations.dtype.itemsize == 4 and not recwarn


@pytest.mark.parametrize(("terminated", "truncated"), [(False, False), (False, True), (True, False), (True, True)])
def test_an_episode_is_a_terminal_if_the_environment_terminated_and_a_timeout_if_not(tmp_path, terminated, truncated):
    data = read_minari(write(tmp_path / "data.hdf5", episode(2, terminated, truncated)))
    assert (data.terminals[-1].item(), data.timeouts[-1].item()) == (terminated, not terminated)


def test_state_and_goal_are_taken_from_a_dictionary(tmp_path):
    path = write(tmp_path / "data.hdf5", maze(2), maze(3))
    data = read_minari(path)
    assert data.observations.shape == (5, 6) and data.observations[1].tolist() == [1, 1, 1, 1, 9, 9]
    assert read_minari(path, observation_keys=("desired_goal",)).observations.shape == (5, 2)
    with pytest.raises(ValueError, match=r"dictionary of .*'achieved_goal'.* without \['speed'\]"):
        read_minari(path, observation_keys=("observation", "speed"))


def test_a_missing_last_observation_is_not_missed(tmp_path):
    data = read_minari(write(tmp_path / "data.hdf5", episode(3, observations=np.zeros((3, 3)))))
    assert len(data) == 3


def test_other_bounds_are_declared(tmp_path):
    path = write(tmp_path / "data.hdf5", episode(2, actions=np.full((2, 2), 3.0)))
    assert read_minari(path, action_low=-3.0, action_high=3.0).action_high.eq(3).all()
    with pytest.raises(ValueError, match="declare other bounds"):
        read_minari(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.zeros(5)}, r"episode_1 has columns of lengths .*'rewards': 5"),
        (
            {"observations": np.zeros((7, 3))},
            r"episode_1/observations must hold one vector .* 2 transitions, got \(7, 3\)",
        ),
        ({"actions": np.zeros(2, dtype=int)}, r"episode_1/actions must hold one vector .* got \(2,\)"),
        (
            {"observations": np.zeros((3, 4))},
            "observations of episode_1 have 4 coordinates, those of the first episode 3",
        ),
    ],
)
def test_episodes_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_minari(write(tmp_path / "data.hdf5", episode(2), episode(2, **changes)))


def test_a_missing_column_is_named(tmp_path):
    columns = episode(2)
    del columns["truncations"]
    with pytest.raises(ValueError, match=r"episode_0 lacks \['truncations'\]"):
        read_minari(write(tmp_path / "data.hdf5", columns))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected groups episode_0"):
        read_minari(write(tmp_path / "empty.hdf5"))
    (tmp_path / "page.hdf5").write_text("<html>")
    with pytest.raises(ValueError, match=r"page\.hdf5 is not a complete HDF5 file"):
        read_minari(tmp_path / "page.hdf5")
    with pytest.raises(FileNotFoundError):
        read_minari(tmp_path / "none.hdf5")


def test_a_data_set_is_found_by_its_id(tmp_path, monkeypatch):
    write(tmp_path / "D4RL/pointmaze/umaze-v2/data/main_data.hdf5", maze(4))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert len(load_minari("D4RL/pointmaze/umaze-v2")) == 4
    assert len(load_minari("D4RL/pointmaze/umaze-v2", folder=tmp_path)) == 4
    with pytest.raises(FileNotFoundError, match=r"minari download D4RL/pointmaze/large-v2.*Arrow"):
        load_minari("D4RL/pointmaze/large-v2")
