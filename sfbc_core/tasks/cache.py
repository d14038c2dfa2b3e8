"""Generated data sets, kept on disk under the name of their recipe."""

from __future__ import annotations

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sfbc_core.files import DIGEST, load_metadata, load_tensors, save_tensors, short
from sfbc_core.paths import user_path
from sfbc_core.trajectories import Trajectories


def cache_dir() -> Path:
    """The folder of cached data: `SFBC_CACHE_DIR`, else `$XDG_CACHE_HOME/sfbc`, else `~/.cache/sfbc`."""
    if chosen := os.environ.get("SFBC_CACHE_DIR"):
        return user_path(chosen)
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "sfbc"


def cached_trajectories(recipe: str, generate: Callable[[], Trajectories]) -> Trajectories:
    """The data set `recipe`: read from the cache, or else generated and cached if the folder can be written to.

    `recipe` names the data, its size and its seed. The file's name also carries a digest of the source file of `generate`,
    so data from an older version of the code is never mistaken for the current one's. A damaged file is generated again,
    and data that cannot be kept is generated every time, both with a warning.
    """
    try:
        path = cache_dir() / f"{recipe}-{source_digest(generate)}.safetensors"
        found = path.exists()
    except (OSError, RuntimeError) as error:  # a home directory that may not be looked into, or none at all
        warnings.warn(f"the data set is not cached, because the cache cannot be read: {error}", stacklevel=2)
        return generate()
    if found:
        try:
            return _read(path)
        except (ValueError, TypeError) as error:
            warnings.warn(f"the cached data set {path} is damaged and is generated again: {short(error)}", stacklevel=2)
    trajectories = generate()
    try:
        save_tensors(path, trajectories.tensors() | trajectories.bounds())
    except OSError as error:  # a full disk or a read-only home directory is no reason to go without the data
        warnings.warn(f"the data set is not cached because {path.parent} cannot be written to: {error}", stacklevel=2)
    return trajectories


def _read(path: Path) -> Trajectories:
    tensors = load_tensors(path)
    if DIGEST not in load_metadata(path):
        raise ValueError("it has no digest of its contents")
    return Trajectories(**tensors)


def source_digest(*functions: Callable) -> str:
    """The first 8 digits of a sha256 over the source files of the given functions or classes."""
    digest = hashlib.sha256()
    for function in functions:
        function = function.func if isinstance(function, partial) else function
        digest.update(Path(inspect.getfile(inspect.unwrap(function))).read_bytes())
    return digest.hexdigest()[:8]
