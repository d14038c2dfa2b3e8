"""D4RL's data sets as :class:`~sfbc_core.trajectories.Trajectories`: from disk or downloaded, their oddities mended."""

from __future__ import annotations

import difflib
import os
from functools import cache, partial
from importlib import util
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Float

from sfbc_core.files import short
from sfbc_core.paths import user_path
from sfbc_core.tasks.d4rl import oddities
from sfbc_core.tasks.d4rl.columns import column, flags, numbers, open_hdf5, reading, told_apart
from sfbc_core.tasks.d4rl.download import download_file
from sfbc_core.tasks.d4rl.oddities import Rules, rules_for
from sfbc_core.trajectories import Trajectories

BLOCK_ROWS = 65_536  # how many rows of next states are compared at a time
REQUIRED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("timeouts", "next_observations")
VECTORS = ("observations", "actions", "next_observations")  # the others hold one number for each transition
# Size in bytes and the first digits of the sha256, for those files of which we know them.
KNOWN = {
    "kitchen-complete-v0": (556_544, "cd797c38"),
    "kitchen-partial-v0": (19_558_459, "57bfd9c5"),
    "kitchen-mixed-v0": (19_560_760, "a30382a5"),
}


def dataset_folder() -> Path:
    """The folder of D4RL's files: `D4RL_DATASET_DIR`, else `~/.d4rl/datasets`, the same as for D4RL itself."""
    return user_path(os.environ.get("D4RL_DATASET_DIR") or "~/.d4rl/datasets")


def load_d4rl(name: str, *, folder: str | os.PathLike | None = None, download: bool = True) -> Trajectories:
    """The data set of a D4RL task, for example "hopper-medium-v2".

    Args:
        name: D4RL's name of the task.
        folder: where the files are; :func:`dataset_folder` by default. The file may have D4RL's own file name or be called
            `name`.hdf5.
        download: whether to download a missing file into the folder.

    Returns:
        The transitions in the order they were recorded; :mod:`sfbc_core.tasks.d4rl.oddities` explains how ends and rewards
        are read.

    Raises:
        ValueError: D4RL has no data set of that name, or the file is damaged.
        FileNotFoundError: the file is missing and `download` is False.
        ModuleNotFoundError: the file is missing, and so is the package d4rl, which knows its URL.
        DownloadError: the download failed.
        OSError: the disk is full; what was downloaded so far stays, and the next call goes on from there.
    """
    folder = dataset_folder() if folder is None else user_path(folder)
    path = folder / f"{name}.hdf5"
    if not path.exists():
        url = dataset_url(name, folder)
        path = folder / url.rpartition("/")[2]
        if not path.exists():
            if not download:
                raise FileNotFoundError(f"no data of {name} in {folder}: expected {path.name} there, from {url}")
            size, sha256 = KNOWN.get(name, (None, None))
            download_file(url, path, size=size, sha256=sha256, check=_check)
    return read_hdf5(path, rules_for(name))


def dataset_url(name: str, folder: Path | None = None) -> str:
    """The URL from which D4RL's authors serve a data set.

    Raises:
        ValueError: D4RL has no data set of that name.
        ModuleNotFoundError: d4rl is not installed.
    """
    urls = _d4rl_urls()
    if urls is None:
        raise ModuleNotFoundError(
            f"the URL of the data of {name} is in the package d4rl, which is not installed: install sfbc-core[d4rl], or "
            f"put the file at {(folder or dataset_folder()) / name}.hdf5",
            name="d4rl",
        )
    if name not in urls:
        similar = difflib.get_close_matches(name, urls) or sorted(urls)
        raise ValueError(f"D4RL has no data set {name!r}; expected a name like {', '.join(similar[:5])}")
    return urls[name]


@cache
def _d4rl_urls() -> dict[str, str] | None:
    """d4rl.infos.DATASET_URLS, or None if d4rl is not installed."""
    package = util.find_spec("d4rl")
    if package is None or package.origin is None:
        return None
    # Only this one file: `import d4rl.infos` would first import the whole package, and with it every simulator.
    spec = util.spec_from_file_location("d4rl_infos", Path(package.origin).with_name("infos.py"))
    infos = util.module_from_spec(spec)
    spec.loader.exec_module(infos)
    return infos.DATASET_URLS


def read_hdf5(path: str | os.PathLike, rules: Rules | None = None) -> Trajectories:
    """Read any file with D4RL's layout: `observations`, `actions`, `rewards`, `terminals` and, in some, `timeouts`.

    The columns are read straight into the float32 arrays of the result, so reading needs hardly more memory than the data
    itself; states that float32 cannot tell apart are read in float64, and a column of finer numbers that is constant is read
    twice to find out. If the last row has neither flag, it is treated as a
    timeout, with a warning.

    Args:
        rules: how to read flags and rewards (:func:`~sfbc_core.tasks.d4rl.oddities.rules_for`); by default as they were
            recorded.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no readable HDF5 file, lacks a column, has columns of another kind, shape or length than
            expected, or holds impossible values; the message begins with the path.
    """
    rules = rules or Rules()
    # NaN and infinity must not warn on the way to the check that refuses them by name.
    with reading(path) as file, np.errstate(invalid="ignore", over="ignore"):
        columns = _columns(file, rules)
        observations, actions, rewards = (
            told_apart(partial(numbers, columns[name]), [columns[name].dtype])
            for name in ("observations", "actions", "rewards")
        )
        rewards, terminals = rewards.reshape(-1), flags(columns["terminals"])
        if not rules.terminates:
            terminals = oddities.no_terminals(terminals)
        # What came after a cut is known to those files that hold it; methods that learn from single steps use it.
        following = None
        if "next_observations" in columns:
            following = numbers(columns["next_observations"], observations.dtype)
        if rules.longest_step is not None:
            timeouts = oddities.jumps(observations[:, :2], rules.longest_step)
        elif "timeouts" not in columns and following is None and rules.time_limit is not None:
            timeouts = oddities.time_limits(terminals, rules.time_limit)
        else:
            timeouts = flags(columns["timeouts"]) if "timeouts" in columns else np.zeros_like(terminals)
            if following is not None:
                _mark_cuts(timeouts, following, observations)
        if rules.goal_beyond is not None:
            rewards, terminals = oddities.no_rewards_away_from_goal(
                rewards, terminals, observations[:, :2], rules.goal_beyond
            )
        timeouts = oddities.timeouts_only(timeouts, terminals)
        return Trajectories(observations, actions, rewards, terminals, timeouts, next_observations=following)


def _columns(file: h5py.File, rules: Rules) -> dict[str, h5py.Dataset]:
    """The columns that are there, checked but not yet read."""
    if missing := [name for name in REQUIRED if name not in file]:
        raise ValueError(
            f"expected D4RL's layout, the columns {', '.join(REQUIRED)}; missing {missing}, got {short(list(file), 80)}"
        )
    ranks = {name: 2 if name in VECTORS else 1 for name in (*REQUIRED, *OPTIONAL) if name in file}
    columns = {name: column(file, name, rank) for name, rank in ranks.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"all columns must have the same length, got {lengths}")
    shapes = [columns[name].shape for name in ("observations", "next_observations") if name in columns]
    if len(set(shapes)) != 1:
        raise ValueError(f"next_observations must have the shape of observations, {shapes[0]}, got {shapes[1]}")
    if (rules.longest_step is not None or rules.goal_beyond is not None) and shapes[0][1] < 2:
        raise ValueError(f"observations in a maze must begin with x and y, got vectors of {shapes[0][1]} coordinate")
    return columns


def _check(path: Path) -> None:
    """Refuse a download that is no HDF5 file."""
    open_hdf5(path).close()


def _mark_cuts(
    timeouts: Bool[np.ndarray, " N"],
    following: Float[np.ndarray, "N obs"],
    observations: Float[np.ndarray, "N obs"],
) -> None:
    """Add the cuts that show in the states: in blocks, because the comparison takes several times the memory of its rows."""
    for start in range(0, len(observations) - 1, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(observations) - 1)
        timeouts[start:stop] |= oddities.does_not_continue(following[start:stop], observations[start + 1 : stop + 1])
