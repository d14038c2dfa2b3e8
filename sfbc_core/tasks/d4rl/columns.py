"""HDF5 files for both readers: columns are checked before they are read; errors name the file and fit on a screen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import h5py
import numpy as np
from jaxtyping import Bool, Float

from sfbc_core.arrays import float32_collapses, float32_may_collapse
from sfbc_core.files import short
from sfbc_core.paths import user_path

REAL = "biuf"  # NumPy's letters for bool, int, unsigned and float: what can become float32 without losing its meaning
EXPECTED = {1: "one number for each transition, (N,) or (N, 1)", 2: "one vector for each transition, (N, coordinates)"}


def open_hdf5(path: str | os.PathLike) -> h5py.File:
    """The file, open for reading.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, or no complete HDF5 file.
    """
    path = user_path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an HDF5 file")
    try:
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no file {path}: expected an HDF5 file there") from error
    except OSError as error:
        raise ValueError(
            f"{path} is not a complete HDF5 file but perhaps a part of one, or an error page: {short(error)}"
        ) from error


@contextmanager
def reading(path: str | os.PathLike) -> Iterator[h5py.File]:
    """The open file; what goes wrong while it is read becomes a ValueError that begins with its path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be opened, it is damaged inside, or the body raised one.
    """
    with open_hdf5(path) as file:
        try:
            yield file
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        except (KeyError, OSError, RuntimeError) as error:  # h5py has no error of its own for a file damaged inside
            raise ValueError(f"{path} is a damaged HDF5 file, expected one that can be read: {short(error)}") from error


def column(group: h5py.Group, name: str, rank: int) -> h5py.Dataset:
    """A column that can be read as real numbers: one (`rank` 1) or a vector of them (`rank` 2) for each transition.

    Raises:
        ValueError: it is no column, or one of another kind or shape.
    """
    found, label = group[name], f"{group.name}/{name}".strip("/")
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{label} must be a column of numbers, got a {type(found).__name__.lower()}")
    try:
        dtype = found.dtype
    except TypeError as error:  # a type of HDF5 that NumPy does not have
        raise ValueError(f"{label} must hold real numbers: {short(error)}") from error
    if dtype.kind not in REAL:
        raise ValueError(f"{label} must hold real numbers, got values of type {short(dtype, 80)}")
    shape = found.shape  # None for a column without a dataspace
    if shape is None or (len(shape) != rank and not (rank == 1 and shape[1:] == (1,))) or 0 in shape[1:]:
        raise ValueError(f"{label} must hold {EXPECTED[rank]}, got {'nothing' if shape is None else shape}")
    return found


def numbers(values: h5py.Dataset, dtype: np.dtype | type = np.float32) -> Float[np.ndarray, "..."]:
    """All values in one precision. HDF5 converts them while it reads, so there is only one copy in memory."""
    read = np.empty(values.shape, dtype)
    values.read_direct(read)
    return read


def told_apart(
    read: Callable[[type], Float[np.ndarray, "N ..."]], dtypes: Iterable[np.dtype]
) -> Float[np.ndarray, "N ..."]:
    """Numbers in float32, or in float64 where float32 cannot tell their values apart, such as 1e8 ± 1.

    Args:
        read: reads them in the precision that it is given. It is asked twice where a file of finer numbers has a coordinate
            that is constant in float32, or nearly so.
        dtypes: of the columns in the file that they come from; not looked at where there is no need.
    """
    found = read(np.float32)
    if not float32_may_collapse(found) or all(np.can_cast(dtype, np.float32) for dtype in dtypes):
        return found
    exact = read(np.float64)
    return exact if float32_collapses(exact) else found


def flags(values: h5py.Dataset) -> Bool[np.ndarray, " N"]:
    """Flags, which may have been recorded as bool, integer or float, and in some files as (N, 1).

    Raises:
        ValueError: another value than 0 or 1.
    """
    read = values[:].reshape(-1)
    wrong = (read != 0) & (read != 1)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{values.name[1:]} must hold flags (0 or 1, False or True), got {read[first]} at transition {first}"
        )
    return read.astype(bool)
