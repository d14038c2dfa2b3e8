"""Generated data sets, kept on disk by the name of their recipe."""

from __future__ import annotations

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sfbc_core.files import load_tensors, save_tensors
from sfbc_core.trajectories import Trajectories


def cache_dir() -> Path:
    """The folder of cached data: `SFBC_CACHE_DIR`, else `$XDG_CACHE_HOME/sfbc`, else `~/.cache/sfbc`."""
    if chosen := os.environ.get("SFBC_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "sfbc"


def cached_trajectories(recipe: str, generate: Callable[[], Trajectories]) -> Trajectories:
    """The data of `recipe` from the cache, or generated and, where the folder can be written, put there.

    `recipe` names the data, its size and its seed. The file's name also carries a digest of the source file of `generate`,
    so that data of an older recipe is never taken for the new one's. A damaged file is made anew, with a warning.
    """
    path = cache_dir() / f"{recipe}-{source_digest(generate)}.safetensors"
    if path.exists():
        try:
            return Trajectories(**load_tensors(path))
        except (ValueError, TypeError) as error:
            warnings.warn(f"the cached data set {path} is damaged and is generated anew: {error}", stacklevel=2)
    trajectories = generate()
    try:
        save_tensors(path, trajectories.tensors())
    except OSError as error:  # a read-only home should not keep anyone from the data
        warnings.warn(f"the data set is not cached, {path.parent} cannot be written: {error}", stacklevel=2)
    return trajectories


def source_digest(*functions: Callable) -> str:
    """The first 8 digits of the sha256 of the files in which functions or classes are defined."""
    digest = hashlib.sha256()
    for function in functions:
        function = function.func if isinstance(function, partial) else function
        digest.update(Path(inspect.getfile(inspect.unwrap(function))).read_bytes())
    return digest.hexdigest()[:8]
