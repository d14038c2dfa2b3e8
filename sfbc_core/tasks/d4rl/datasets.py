"""D4RL's data sets as :class:`~sfbc_core.trajectories.Trajectories`: from disk or downloaded, their oddities mended."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib import util
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Float

from sfbc_core.tasks.d4rl import oddities
from sfbc_core.tasks.d4rl.download import download_file
from sfbc_core.tasks.d4rl.oddities import Rules, rules_for
from sfbc_core.trajectories import Trajectories

BLOCK_ROWS = 65_536  # how many rows of next states are in memory at a time
REQUIRED = ("observations", "actions", "rewards", "terminals")
# Size in bytes and the first digits of the sha256, for those files of which we know them.
KNOWN = {
    "kitchen-complete-v0": (556_544, "cd797c38"),
    "kitchen-partial-v0": (19_558_459, "57bfd9c5"),
    "kitchen-mixed-v0": (19_560_760, "a30382a5"),
}


def dataset_folder() -> Path:
    """The folder of D4RL's files: `D4RL_DATASET_DIR`, else `~/.d4rl/datasets`, the same as for D4RL itself."""
    return Path(os.environ.get("D4RL_DATASET_DIR") or "~/.d4rl/datasets").expanduser()


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
    """
    folder = dataset_folder() if folder is None else Path(folder)
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
    itself. If the last row has neither flag, it is treated as a timeout, with a warning.

    Args:
        rules: how to read flags and rewards (:func:`~sfbc_core.tasks.d4rl.oddities.rules_for`); by default as they were
            recorded.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no readable HDF5 file, lacks a column, has columns of different lengths, or holds impossible
            values.
    """
    rules = rules or Rules()
    with _open(path) as file:
        lengths = {name: len(file[name]) for name in (*REQUIRED, "timeouts", "next_observations") if name in file}
        if missing := [name for name in REQUIRED if name not in lengths]:
            raise ValueError(f"{path} does not have D4RL's layout: expected {', '.join(REQUIRED)}; missing {missing}")
        if len(set(lengths.values())) != 1:
            raise ValueError(f"{path}: all columns must have the same length, got {lengths}")
        observations, actions = (_column(file[name]) for name in ("observations", "actions"))
        rewards = _column(file["rewards"]).reshape(-1)  # some files hold (N, 1)
        terminals = _flags(file["terminals"])
        if not rules.terminates:
            terminals = oddities.no_terminals(terminals)
        if rules.longest_step is not None:
            timeouts = oddities.jumps(observations[:, :2], rules.longest_step)
        else:
            timeouts = _recorded_cuts(file, observations, terminals, rules)
        # What came after a cut is known to those files that hold it; methods that learn from single steps use it.
        following = _column(file["next_observations"]) if "next_observations" in file else None
    if rules.goal_beyond is not None:
        rewards, terminals = oddities.no_rewards_away_from_goal(
            rewards, terminals, observations[:, :2], rules.goal_beyond
        )
    timeouts = oddities.timeouts_only(timeouts, terminals)
    return Trajectories(observations, actions, rewards, terminals, timeouts, next_observations=following)


def _open(path: str | os.PathLike) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"{path} is not a complete HDF5 file but perhaps a part of one, or an error page: {error}"
        ) from error


def _check(path: Path) -> None:
    """Refuse a download that is no HDF5 file."""
    _open(path).close()


def _column(column: h5py.Dataset) -> Float[np.ndarray, "..."]:
    """All values as float32. HDF5 converts them while it reads, so there is only one copy in memory."""
    values = np.empty(column.shape, dtype=np.float32)
    column.read_direct(values)
    return values


def _flags(column: h5py.Dataset) -> Bool[np.ndarray, " N"]:
    values = column[:].reshape(-1)  # as recorded: bool, integer or float, in some files (N, 1)
    if not ((values == 0) | (values == 1)).all():
        raise ValueError(f"{column.name[1:]} must hold flags (0 or 1, False or True), got other values")
    return values.astype(bool)


def _recorded_cuts(
    file: h5py.File, observations: Float[np.ndarray, "N obs"], terminals: Bool[np.ndarray, " N"], rules: Rules
) -> Bool[np.ndarray, " N"]:
    """Where the file itself says that the recording was cut."""
    if "timeouts" not in file and "next_observations" not in file and rules.time_limit is not None:
        return oddities.time_limits(terminals, rules.time_limit)
    timeouts = _flags(file["timeouts"]) if "timeouts" in file else np.zeros_like(terminals)
    if "next_observations" in file:
        for start in range(0, len(observations) - 1, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, len(observations) - 1)
            recorded = file["next_observations"][start:stop]
            timeouts[start:stop] |= oddities.does_not_continue(recorded, observations[start + 1 : stop + 1])
    return timeouts
