"""Paths as users give them: `~` is the home folder, links are followed, and what cannot be is said in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def user_path(path: str | os.PathLike) -> Path:
    """A path as a user gives it: a leading `~` is the home folder.

    Raises:
        ValueError: `~name` of a user who is not known here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error


def make_folder(path: str | os.PathLike) -> Path:
    """The folder, made if it is missing, with those above it; a link to a folder is as good as one.

    Raises:
        NotADirectoryError: there is a file of that name, or above it.
        FileNotFoundError: a link on the way leads to nothing, such as a disk that is not mounted.
        OSError: it cannot be made.
    """
    path = user_path(path)
    _refuse_dangling(path)
    there = next((part for part in (path, *path.parents) if part.exists()), None)
    if there is not None and not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "expected a folder, this is a file", str(there))
    path.mkdir(parents=True, exist_ok=True)
    return path


def file_to_write(path: str | os.PathLike) -> Path:
    """Where to write a file: links are followed, so that they stay links, and the folder is made.

    Raises:
        IsADirectoryError: it is a folder.
        OSError: as :func:`make_folder`.
    """
    path = user_path(path)
    _refuse_dangling(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected a file to write, this is a folder", str(path))
    target = Path(os.path.realpath(path))
    make_folder(target.parent)
    return target


def _refuse_dangling(path: Path) -> None:
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise FileNotFoundError(
                errno.ENOENT, f"this is a link to {os.readlink(part)}, which is not there", str(part)
            )
