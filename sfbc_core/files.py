"""Files that are never half-written: everything goes to a temporary name first and is renamed when it is whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed onto `path`, on an error it is removed.

    A reader therefore sees the old file or the new one and never a part of either. The body may make a file or a folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = scratch / path.name
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            # A folder cannot be renamed onto one that has files: step the old one aside, and put it back if that fails.
            aside = scratch / "replaced"
            os.replace(path, aside)
            try:
                os.replace(temporary, path)
            except OSError:
                os.replace(aside, path)
                raise
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def join_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of several parts under names "part.name", as a file holds them; a part's name has no dot."""
    return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def split_parts(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The parts that :func:`join_parts` joined."""
    parts: dict[str, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        part, _, name = full_name.partition(".")
        parts.setdefault(part, {})[name] = tensor
    return parts


def save_tensors(
    path: str | os.PathLike, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as safetensors, atomically."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(flat, temporary, metadata=dict(metadata or {}))


def load_tensors(path: str | os.PathLike, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read the tensors that :func:`save_tensors` wrote.

    Raises:
        ValueError: the file is not a readable safetensors file.
    """
    try:
        return load_file(path, device=str(device))
    except FileNotFoundError:
        raise
    except Exception as error:  # safetensors raises its own type, which says too little of the file
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def save_json(path: str | os.PathLike, value: Any, indent: int | None = 2) -> None:
    """Write `value` as JSON, indented unless `indent` is None, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=indent, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def load_json(path: str | os.PathLike) -> Any:
    """Read a JSON file; a broken one is reported with its path."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
