"""Files that are never half-written, and errors in words for what a disk or a file can do."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfbc_core.paths import file_to_write, user_path

DIGEST = "sha256"  # the name of the digest in the metadata of tensors
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# ---- writing ---------------------------------------------------------------------------------------------------------


@contextmanager
def atomic_path(path: str | os.PathLike, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside the file `path`; on success it is renamed onto it, on an error it is removed.

    A reader therefore sees the old file or the new one and never a part of either.

    Args:
        path: the file; if it is a link, what it leads to is replaced.
        size: about how many bytes will be written, for the error on a full disk.

    Raises:
        OSError: as :func:`~sfbc_core.paths.file_to_write` and :func:`writing`.
    """
    target = file_to_write(path)
    with writing(target, size):
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield scratch / target.name
            os.replace(scratch / target.name, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def writing(path: Path, size: int | None = None) -> Iterator[None]:
    """What a disk refuses in the body becomes an error that names `path`; on a full disk, what is needed and what is free.

    Raises:
        OSError: with the number of the operating system, and so of the subclass that belongs to it.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        # safetensors has the number only in its words.
        found = re.search(r"\(os error (\d+)\)", str(error))
        number = int(found[1]) if found else getattr(error, "errno", None)
        if number is None:
            raise
        words = os.strerror(number)
        if number in NO_SPACE:
            needed = "" if size is None else f"about {size / 1e6:,.3f} MB needed, "
            words = f"{words} ({needed}{shutil.disk_usage(path.parent).free / 1e6:,.3f} MB free on its disk)"
        raise OSError(number, words, str(path)) from error


def save_text(path: str | os.PathLike, text: str) -> None:
    """Write text as UTF-8, atomically."""
    with atomic_path(path, len(text.encode())) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_json(path: str | os.PathLike, value: Any, indent: int | None = 2) -> None:
    """Write `value` as JSON, indented unless `indent` is None, atomically."""
    save_text(path, json.dumps(value, indent=indent, sort_keys=True, allow_nan=False) + "\n")


def save_tensors(
    path: str | os.PathLike, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as safetensors, atomically, with a digest of all of it in the metadata."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    words = dict(metadata or {})
    with atomic_path(path, sum(tensor.nbytes for tensor in flat.values())) as temporary:
        save_file(flat, temporary, metadata={**words, DIGEST: _digest(flat, words)})


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        # Its bytes, without a copy; a contiguous tensor of one element may have any stride.
        digest.update(tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy())
    return digest.hexdigest()


# ---- reading ---------------------------------------------------------------------------------------------------------


def short(text: object, most: int = 200) -> str:
    """The text on one line, cut off before it could fill the screen."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


@contextmanager
def understanding(path: str | os.PathLike, fault: str) -> Iterator[None]:
    """What goes wrong in the body, where the contents of a file are taken over, becomes an error that names the file.

    Args:
        path: the file.
        fault: what is then wrong with it, such as "is a checkpoint of another training, remove it".

    Raises:
        ValueError: path, fault and reason, on a few lines of a screen.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path} {fault}: it has no {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise ValueError(f"{path} {fault}: {short(error, 300)}") from error


def load_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or holds something else than an object; the message begins with the path.
    """
    content = user_path(path).read_bytes()
    with understanding(path, "is not valid JSON"):
        value = json.loads(content.decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(value).__name__}")
    return value


def load_tensors(path: str | os.PathLike, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read the tensors that :func:`save_tensors` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a readable safetensors file, or was changed since it was written.
    """
    path = user_path(path)
    try:
        tensors = load_file(path)
        metadata = load_metadata(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # safetensors raises its own type, which says too little of the file
        raise ValueError(f"{path} is not a readable safetensors file: {short(error)}") from error
    # A file of another program, or one that is older than the digest, has none.
    expected = metadata.pop(DIGEST, None)
    if expected is not None and expected != _digest(tensors, metadata):
        raise ValueError(f"{path} was changed since it was written: its digest does not fit its contents")
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def load_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The metadata of a safetensors file that :func:`load_tensors` can read."""
    with safe_open(user_path(path), "pt") as file:
        return file.metadata() or {}


# ---- names and shapes ------------------------------------------------------------------------------------------------


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


def check_layout(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not named, shaped and typed as others: torch itself broadcasts, converts and ignores some.

    Raises:
        ValueError: the first names that are missing or too many, or the first tensor that differs.
    """
    for words, names in (("lacks", expected.keys() - found.keys()), ("has an unknown", found.keys() - expected.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"it {words} {short(min(names), 100)}{more}")
    for name, tensor in expected.items():
        kinds = [f"{tuple(one.shape)} of {one.dtype}" for one in (tensor, found[name])]
        if kinds[0] != kinds[1]:
            raise ValueError(f"expected {name} to have shape {kinds[0]}, got {kinds[1]}")
