"""From a recipe to a file with D4RL's layout, in chunks: a recording that was killed goes on and ends with the same data."""

from __future__ import annotations

import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
from filelock import FileLock

from sfbc_core.files import atomic_path, save_json, short, understanding
from sfbc_core.paths import file_to_write, user_path
from sfbc_core.progress import progress_bar
from sfbc_core.tasks.d4rl.columns import open_hdf5
from sfbc_core.tasks.d4rl.datasets import dataset_folder
from sfbc_core.tasks.d4rl.regeneration.recipes import Recipe

CHUNK = 10_000  # rows that are stored at a time, and lost at most if the recording is killed: 1 to 10 seconds of work
DAMAGED = "is a damaged chunk of a recording; remove the folder that it lies in to record anew"


def regenerated_folder() -> Path:
    """The folder of regenerated files: `regen` in :func:`~sfbc_core.tasks.d4rl.datasets.dataset_folder`."""
    return dataset_folder() / "regen"


def regenerated_path(task: str, folder: str | os.PathLike | None = None) -> Path:
    """The path of a task's file. Even in another folder, its name shows that it is not D4RL's."""
    return (regenerated_folder() if folder is None else user_path(folder)) / f"regen-{task}.hdf5"


def record(
    recipe: Recipe, folder: str | os.PathLike | None = None, *, chunk: int = CHUNK, progress: bool = True
) -> Path:
    """Follow a recipe and write its file, unless that exists.

    Finished chunks are kept beside the file, in a hidden folder named after the recipe, until they are complete and joined.
    After a kill, the next call goes on from the last of them. The result depends neither on kills nor on `chunk`.

    Args:
        recipe: what to record.
        folder: where to put the file; :func:`regenerated_folder` by default.
        chunk: number of rows that are stored at a time.
        progress: whether to show how far it is: a bar, or a line a minute where stderr is no terminal.

    Returns:
        The path of the file, which has D4RL's columns and, in its attributes, the recipe.

    Raises:
        FileExistsError: there is a file of this task that was made with another recipe.
        OSError: the folder cannot be made, or the disk is full or cannot be written to; the chunks so far stay, and the next
            call goes on from there.
        ValueError: `chunk` is not positive, or a chunk or the file is damaged.
    """
    if chunk < 1:
        raise ValueError(f"expected chunks of at least 1 row, got {chunk}")
    path = user_path(regenerated_path(recipe.task, folder))
    if not path.exists():  # first of all, because the folder may be read-only
        path = _file_to_write(path)
        with FileLock(path.with_name(f".{path.name}.lock")):  # two that record the same would disturb each other
            if not path.exists():
                chunks = _chunks_folder(path, recipe)
                _record_chunks(recipe, chunks, chunk, progress)
                joined = chunks / "joined.hdf5"  # there, so that a half of it, after a kill, is removed with the chunks
                _join(chunks, joined, recipe)
                os.replace(joined, path)
    _check_same_recipe(path, recipe)
    shutil.rmtree(_chunks_folder(path, recipe), ignore_errors=True)
    return path


def _file_to_write(path: Path) -> Path:
    try:
        return file_to_write(path)
    except OSError as error:
        raise OSError(
            f"regenerated data is kept on disk, and {path.parent} cannot be made: {error}. Choose another folder, or set "
            "SFBC_CACHE_DIR (for data made when it is loaded) or D4RL_DATASET_DIR"
        ) from error


def _chunks_folder(path: Path, recipe: Recipe) -> Path:
    return path.with_name(f".{path.name}.{recipe.digest()}")


def recorded_attributes(path: str | os.PathLike) -> dict[str, str | int]:
    """The recipe in a file's attributes; empty if there is none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no readable HDF5 file.
    """
    with open_hdf5(path) as file, understanding(path, "is not a file of regenerated data"):
        try:
            return {name: value if isinstance(value, str) else int(value) for name, value in file.attrs.items()}
        except OSError as error:  # h5py's, for a file damaged inside
            raise ValueError(error) from error


def _check_same_recipe(path: Path, recipe: Recipe) -> None:
    expected, found = recipe.attributes(), recorded_attributes(path)
    if differing := [
        f"{name} {found.get(name, 'missing')} instead of {value}"
        for name, value in expected.items()
        if found.get(name) != value
    ]:
        raise FileExistsError(
            f"{path} was made with another recipe ({short('; '.join(differing))}): remove it, or choose another folder"
        )


def _chunk_paths(chunks: Path) -> list[Path]:
    return sorted(chunks.glob("*.npz"))


def _record_chunks(recipe: Recipe, chunks: Path, rows: int, progress: bool) -> None:
    """Record all chunks that are still missing."""
    chunks.mkdir(exist_ok=True)
    save_json(chunks / "recipe.json", recipe.attributes())  # for whoever wonders what this folder is
    recorder = recipe.make_recorder()
    number = done = 0
    if finished := _chunk_paths(chunks):
        with _reading_chunk(finished[-1]) as last:
            recorder.restore(json.loads(str(last["state"])))
            number, done = int(last["number"]) + 1, int(last["rows"])
            if number != len(finished) or not 0 < done <= recipe.steps:
                raise ValueError(f"expected chunk {len(finished) - 1}, got chunk {number - 1} of {done} rows")
    with progress_bar(recipe.steps, recipe.name, done, enabled=progress, leave=True) as bar:
        while columns := recorder.record(rows):
            recorded = len(columns["rewards"])
            done += recorded
            content = io.BytesIO()
            np.savez(content, **columns, state=json.dumps(recorder.state()), number=number, rows=done)
            _write(chunks / f"{number:06d}.npz", content)
            number += 1
            bar.update(recorded)


@contextmanager
def _reading_chunk(path: Path) -> Iterator[Mapping[str, Any]]:
    """The open chunk; what goes wrong while it is read becomes a ValueError that names it."""
    try:
        with understanding(path, DAMAGED), np.load(path) as chunk:
            yield chunk
    except (OSError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} {DAMAGED}: {short(error)}") from error


def _join(chunks: Path, path: Path, recipe: Recipe) -> None:
    """Write all chunks into one HDF5 file."""
    # In memory first, which holds all of it anyway once it is loaded: HDF5 crashes the process where a disk is full.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs.update(recipe.attributes())
        start = 0
        for part in _chunk_paths(chunks):
            with _reading_chunk(part) as columns:
                start = _add_chunk(file, columns, start, recipe.steps)
    _write(path, content)


def _write(path: Path, content: io.BytesIO) -> None:
    with atomic_path(path, len(content.getbuffer())) as temporary:
        temporary.write_bytes(content.getbuffer())


def _add_chunk(file: h5py.File, columns: Mapping[str, np.ndarray], start: int, steps: int) -> int:
    """Write the rows of a chunk from row `start` on; returns the row after the last."""
    stop = int(columns["rows"])
    for name in set(columns) - {"state", "number", "rows"}:
        values = columns[name]
        if name not in file:
            shape = (steps, *values.shape[1:])
            file.create_dataset(name, shape, values.dtype, chunks=True, compression="gzip", compression_opts=1)
        expected = (stop - start, *file[name].shape[1:])
        if values.shape != expected:  # h5py would repeat rows to fill the space
            raise ValueError(f"expected {name} of shape {expected}, got {values.shape}")
        file[name][start:stop] = values
    return stop
