"""Minari's data sets as :class:`~sfbc_core.trajectories.Trajectories`.

The files are read according to their documented layout (https://minari.farama.org/content/dataset_standards) and not with
the package minari. Its releases since 0.5.4 need numpy 2, with which D4RL's environments do not run, and what is left to do
is a loop over groups. To fetch a data set, use `minari download` in a virtual environment of its own.

A Minari data set is not the D4RL one of the same name. It was recorded anew in gymnasium's environments, whose mazes have
other coordinates, observations and rewards. Scores on the two cannot be compared.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float, Int

from sfbc_core.arrays import ArrayLike
from sfbc_core.files import short
from sfbc_core.paths import user_path
from sfbc_core.tasks.d4rl.columns import column, flags, numbers, reading, told_apart
from sfbc_core.trajectories import Trajectories

EPISODE = re.compile(r"episode_(\d+)")
Sources = Callable[[h5py.Group], list[h5py.Dataset]]  # those columns of an episode that are read as one array
COLUMNS = {"actions": 2, "rewards": 1, "terminations": 1, "truncations": 1}  # name: dimensions


def minari_folder() -> Path:
    """The folder in which Minari keeps its data sets: `MINARI_DATASETS_PATH`, else `~/.minari/datasets`."""
    return user_path(os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets")


def load_minari(
    name: str,
    *,
    folder: str | os.PathLike | None = None,
    observation_keys: Sequence[str] = ("observation", "desired_goal"),
    action_low: ArrayLike = -1.0,
    action_high: ArrayLike = 1.0,
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
    path = (minari_folder() if folder is None else user_path(folder)) / name / "data" / "main_data.hdf5"
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
    action_low: ArrayLike = -1.0,
    action_high: ArrayLike = 1.0,
) -> Trajectories:
    """Read Minari's HDF5 layout: one group "episode_<n>" per episode, in the order of n.

    Numbers are read in float32; states that float32 cannot tell apart, in float64. An episode has one more observation than
    it has actions: the one after the last action, which is left out. Its last transition is a terminal if the environment
    terminated, and a timeout in all other cases.

    Args:
        observation_keys: if observations are dictionaries, as in the mazes and the kitchen, these entries are joined into
            one vector. The goal must be one of them, or the state would not tell where the reward is. The mazes'
            "achieved_goal" is the position once more. Without effect on observations that are vectors.
        action_low, action_high: the declared bounds of every action coordinate.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, has another layout, or holds impossible values. The message begins with the
            path.
    """
    with reading(path) as file:
        numbered = sorted((int(match[1]), key) for key in file if (match := EPISODE.fullmatch(key)))
        if not numbered:
            found = short(list(file), 80)
            raise ValueError(f"expected groups episode_0, episode_1, …, which are Minari's layout, got {found}")
        episodes = [key for _, key in numbered]
        ends = np.cumsum([_checked_length(file, key, observation_keys) for key in episodes])

        def joined(sources: Sources) -> np.ndarray:
            dtypes = (source.dtype for key in episodes for source in sources(file[key]))
            return told_apart(partial(_joined, file, episodes, ends, sources), dtypes)

        states = joined(partial(_states, keys=observation_keys))
        actions, rewards = (joined(lambda episode, name=name: [episode[name]]) for name in ("actions", "rewards"))
        terminals, timeouts = (
            np.concatenate([flags(file[key][name]) for key in episodes]) for name in ("terminations", "truncations")
        )
        timeouts[ends - 1] = True  # a recording that was stopped in the middle of an episode has no flag there
        timeouts &= ~terminals
        return Trajectories(states, actions, rewards[:, 0], terminals, timeouts, action_low, action_high)


def _checked_length(file: h5py.File, key: str, observation_keys: Sequence[str]) -> int:
    """The number of transitions of an episode, which has a row for each of them in every column."""
    episode = file[key]
    if not isinstance(episode, h5py.Group):
        raise ValueError(f"{key} must be a group with the columns of an episode, got a column")
    if missing := [name for name in (*COLUMNS, "observations") if name not in episode]:
        raise ValueError(f"{key} lacks {missing}")
    lengths = {name: len(column(episode, name, rank)) for name, rank in COLUMNS.items()}
    length = lengths["rewards"]
    if set(lengths.values()) != {length} or not length:
        raise ValueError(f"expected columns of one length above 0, {key} has columns of lengths {lengths}")
    for part in _states(episode, observation_keys):
        # Some published data sets lack the last observation (Minari issue 199), which is not needed here.
        if len(part) not in (length, length + 1):
            raise ValueError(
                f"{part.name[1:]} must hold one vector for each of the {length} transitions, got {part.shape}"
            )
    return length


def _states(episode: h5py.Group, keys: Sequence[str]) -> list[h5py.Dataset]:
    """The columns that make up the states, in the order in which they are joined."""
    group, names = episode, ["observations"]
    if isinstance(episode["observations"], h5py.Group):
        group, names = episode["observations"], list(keys)
        if missing := [key for key in keys if key not in group]:
            raise ValueError(
                f"the observations of {episode.name[1:]} are a dictionary of {short(list(group), 80)} "
                f"without {missing}; choose with observation_keys"
            )
    return [column(group, name, 2) for name in names]


def _joined(
    file: h5py.File, episodes: Sequence[str], ends: Int[np.ndarray, " E"], sources: Sources, dtype: type
) -> Float[np.ndarray, "N coordinates"]:
    """The numbers of all episodes, whose transitions end before row `ends`, in one array."""
    # They go into it at once: joining them later would take twice the memory. The first episode tells the width.
    widths = [_width(source) for source in sources(file[episodes[0]])]
    joined = np.empty((ends[-1], sum(widths)), dtype)
    for key, start, end in zip(episodes, (0, *ends), ends, strict=False):
        parts = sources(file[key])
        if (found := sum(map(_width, parts))) != sum(widths):
            raise ValueError(
                f"the {parts[0].name.split('/')[2]} of {key} have {found} coordinates, those of the first episode "
                f"{sum(widths)}"
            )
        left = 0
        for part in parts:
            right = left + _width(part)
            joined[start:end, left:right] = numbers(part, dtype)[: end - start].reshape(end - start, -1)
            left = right
    return joined


def _width(values: h5py.Dataset) -> int:
    """The coordinates of a column's vectors: one, where it holds numbers."""
    return math.prod(values.shape[1:])
