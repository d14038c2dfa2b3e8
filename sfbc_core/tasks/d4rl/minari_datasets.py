"""Minari's data sets as :class:`~sfbc_core.trajectories.Trajectories`.

The files are read according to their documented layout (https://minari.farama.org/content/dataset_standards) and not with
the package minari. Its releases since 0.5.4 need numpy 2, with which D4RL's environments do not run, and what is left to do
is a loop over groups. To fetch a data set, use `minari download` in a virtual environment of its own.

A Minari data set is not the D4RL one of the same name. It was recorded anew in gymnasium's environments, whose mazes have
other coordinates, observations and rewards. Scores on the two cannot be compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from sfbc_core.trajectories import Trajectories

EPISODE = re.compile(r"episode_(\d+)")


def minari_folder() -> Path:
    """The folder in which Minari keeps its data sets: `MINARI_DATASETS_PATH`, else `~/.minari/datasets`."""
    return Path(os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets").expanduser()


def load_minari(
    name: str,
    *,
    folder: str | os.PathLike | None = None,
    observation_keys: Sequence[str] = ("observation", "desired_goal"),
    action_low: float = -1.0,
    action_high: float = 1.0,
) -> Trajectories:
    """A Minari data set that is on this machine, for example "D4RL/pointmaze/umaze-v2".

    Args:
        name: Minari's id of the data set.
        folder: the folder of all data sets; :func:`minari_folder` by default.
        observation_keys, action_low, action_high: as for :func:`read_minari`.

    Raises:
        FileNotFoundError: the data set is missing or is not in HDF5.
        ValueError: as for :func:`read_minari`.
    """
    path = (minari_folder() if folder is None else Path(folder)) / name / "data" / "main_data.hdf5"
    if not path.is_file():
        raise FileNotFoundError(
            f"no data set {name!r}: expected {path}. `minari download {name}` in an environment with minari puts it there; "
            "a data set in Minari's other format, Arrow, cannot be read"
        )
    return read_minari(path, observation_keys=observation_keys, action_low=action_low, action_high=action_high)


def read_minari(
    path: str | os.PathLike,
    *,
    observation_keys: Sequence[str] = ("observation", "desired_goal"),
    action_low: float = -1.0,
    action_high: float = 1.0,
) -> Trajectories:
    """Read Minari's HDF5 layout: one group "episode_<n>" per episode, in the order of n.

    An episode has one more observation than it has actions: the one after the last action, which is left out. Its last
    transition is a terminal if the environment terminated, and a timeout in all other cases.

    Args:
        observation_keys: if observations are dictionaries, as in the mazes and the kitchen, these entries are joined into
            one vector. The goal must be one of them, or the state would not tell where the reward is. The mazes'
            "achieved_goal" is the position once more. Without effect on observations that are vectors.
        action_low, action_high: the declared bounds of every action coordinate.

    Raises:
        ValueError: the file cannot be read, has another layout, or holds impossible values.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path} is not a complete HDF5 file: {error}") from error
    with file:
        numbers = sorted(int(match[1]) for key in file if (match := EPISODE.fullmatch(key)))
        if not numbers:
            raise ValueError(
                f"{path} does not have Minari's layout: expected groups episode_0, episode_1, …, got {list(file)}"
            )
        episodes = [file[f"episode_{number}"] for number in numbers]
        lengths = [_length(episode) for episode in episodes]
        ends = np.cumsum(lengths)
        rewards = np.empty(ends[-1], dtype=np.float32)
        terminals, timeouts = (np.empty(ends[-1], dtype=bool) for _ in range(2))
        joined: dict[str, np.ndarray] = {}
        for episode, length, end in zip(episodes, lengths, ends, strict=True):
            rows = slice(end - length, end)
            for name, values in _vectors(episode, length, observation_keys).items():
                # The first episode tells the width. They go into one array at once: joining them later would take twice the
                # memory.
                if name not in joined:
                    joined[name] = np.empty((ends[-1], values.shape[1]), dtype=np.float32)
                if values.shape[1] != joined[name].shape[1]:
                    raise ValueError(
                        f"{path}: the {name} of {episode.name[1:]} have {values.shape[1]} coordinates, those of the first "
                        f"episode {joined[name].shape[1]}"
                    )
                joined[name][rows] = values
            rewards[rows] = episode["rewards"][:].reshape(-1)
            terminals[rows] = episode["terminations"][:].reshape(-1)
            timeouts[rows] = episode["truncations"][:].reshape(-1)
    timeouts[ends - 1] = True  # a recording that was stopped in the middle of an episode has no flag there
    return Trajectories(
        joined["observations"], joined["actions"], rewards, terminals, timeouts & ~terminals, action_low, action_high
    )


def _length(episode: h5py.Group) -> int:
    """The number of transitions, which must be the same in all columns."""
    names = ("actions", "rewards", "terminations", "truncations")
    if missing := [name for name in (*names, "observations") if name not in episode]:
        raise ValueError(f"{episode.file.filename}: {episode.name[1:]} lacks {missing}")
    lengths = {name: len(episode[name]) for name in names}
    if len(set(lengths.values())) != 1 or not lengths["actions"]:
        raise ValueError(f"{episode.file.filename}: {episode.name[1:]} has columns of lengths {lengths}")
    return lengths["actions"]


def _vectors(episode: h5py.Group, length: int, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The states, shape (length, obs), and actions, shape (length, act), of an episode."""
    parts = [episode["observations"]]
    if isinstance(parts[0], h5py.Group):
        if missing := [key for key in keys if key not in parts[0]]:
            raise ValueError(
                f"{episode.file.filename}: the observations of {episode.name[1:]} are a dictionary of {list(parts[0])} "
                f"without {missing}; choose with observation_keys"
            )
        parts = [parts[0][key] for key in keys]
    for column in (*parts, episode["actions"]):
        # Some published data sets lack the last observation (Minari issue 199), which is not needed here.
        if not isinstance(column, h5py.Dataset) or column.ndim != 2 or len(column) not in (length, length + 1):
            raise ValueError(
                f"{episode.file.filename}: {column.name[1:]} must hold one vector for each of the {length} transitions, "
                f"got {getattr(column, 'shape', 'a group')}"
            )
    states = np.concatenate([part[:length] for part in parts], axis=1)
    return {"observations": states, "actions": episode["actions"][:]}
