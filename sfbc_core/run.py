"""A run: finished units of work in a folder, so that a training that was killed goes on after the last of them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from sfbc_core.configuration import config_from_json, config_to_json, differences
from sfbc_core.files import check_layout, load_json, load_tensors, save_json, save_tensors, short, understanding
from sfbc_core.paths import make_folder, user_path
from sfbc_core.scalars import part
from sfbc_core.trajectories import Trajectories


@runtime_checkable
class Model(Protocol):
    """Whatever is learned and stored as a unit: a behavior model, a critic, the networks of a method."""

    device: torch.device

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the model needs, by name; RuntimeError if it has not learned yet."""

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> Any:
        """Take over what :meth:`tensors` gave, of a model with the same config."""


def load_model(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Let a model take over the tensors of a file, and see that it then holds just these.

    Raises:
        ValueError: they are those of another model, or some are missing, too many, or of another shape or type.
    """
    with understanding(path, f"does not hold the {type(model).__name__} of this config"):
        model.load_tensors(tensors)
        check_layout(tensors, model.tensors())


class Run:
    """Finished units of work in a folder, which is locked as long as the context lasts; without a folder, nothing is kept.

    Args:
        folder: where to keep them; None for nowhere.
        config: the config dataclass of the run.
        data: what it learns from. Config and the data's fingerprint are written down when a folder is first used.
        shared: a folder for units of work that several runs have in common, such as the behavior model of runs that differ
            in their critics: it is done once, by the run that comes first, while the others wait for it.

    Raises:
        ValueError: on entry, the folder holds a run of another config or of other data; later, a damaged file in it.
        OSError: the folder or a file cannot be made, or the disk is full; what was finished before stays.
        RuntimeError: on entry, another process is at work in the folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        config: Any = None,
        data: Trajectories | None = None,
        shared: str | os.PathLike | None = None,
    ) -> None:
        self.folder = None if folder is None else user_path(folder)
        self.shared = None if shared is None else user_path(shared)
        self.waited = 0.0  # seconds, for others at work on what is shared
        self._config, self._data, self._context = config, data, ExitStack()

    def __enter__(self) -> Run:
        if self.folder is None:
            return self
        make_folder(self.folder)
        try:
            self._context.enter_context(FileLock(self.folder / ".lock", timeout=0))
        except Timeout:
            raise RuntimeError(
                f"another process is training in {self.folder}: wait until it is done, or choose another folder"
            ) from None
        try:
            self._check_manifest()
        except BaseException:
            self._context.close()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.close()

    def _check_manifest(self) -> None:
        """Write down whose run this is, or refuse another's."""
        manifest, fingerprint, config = self.folder / "run.json", self._data.fingerprint(), self._config
        if not manifest.exists():
            save_json(manifest, {"config": config_to_json(config), "data": fingerprint})
            return
        found, advice = load_json(manifest), "choose another folder, or remove this one"
        with understanding(manifest, f"does not say whose run this is; {advice}"):
            before, data = found["config"], found["data"]
        try:
            # Fields added since have their defaults. Compared as JSON, where a list is as good as a tuple.
            same = config_to_json(config_from_json(before, type(config))) == config_to_json(config)
        except (ValueError, TypeError):
            same = False
        if not same:
            different = short(differences(before, config_to_json(config)))
            raise ValueError(f"{manifest} holds a run with another config ({different}); {advice}")
        if data != fingerprint:
            raise ValueError(
                f"{manifest} holds a run on other data (fingerprint {short(data, 40)}, not {fingerprint}); {advice}"
            )

    def fit(self, name: str, model: Model, learn: Callable[[Path | None], Any], decided_by: Any = None) -> None:
        """Load the model if it was finished before; else let it learn, with a checkpoint file, and store it.

        Args:
            name: of the unit of work, which is that of its file.
            model: what learns.
            learn: lets it, with the path of the checkpoint, or None for none.
            decided_by: all that decides the result besides the data, as JSON holds it: what may be shared with other runs.
                None for what is this run's own.
        """
        if self.folder is None:
            with part(name):
                learn(None)
            return
        with self._file_of(name, decided_by) as finished:
            if finished.exists():
                load_model(model, load_tensors(finished, model.device), finished)
                return
            checkpoint = finished.with_suffix(".partial.safetensors")
            with part(name):
                learn(checkpoint)
            save_tensors(finished, model.tensors())
            checkpoint.unlink(missing_ok=True)

    def compute(
        self, name: str, shape: tuple[int, ...], function: Callable[[], Tensor], decided_by: Any = None
    ) -> Tensor:
        """The float32 tensor of that shape which was stored before, or else computed and stored now; see :meth:`fit`."""
        if self.folder is None:
            return function()
        with self._file_of(name, decided_by) as path:
            if not path.exists():
                save_tensors(path, {name: function()})
            tensors = load_tensors(path)
        with understanding(path, f"does not hold the {name} of this run, remove it"):
            check_layout(tensors, {name: torch.empty(shape, device="meta")})
        return tensors[name]

    @contextmanager
    def _file_of(self, name: str, decided_by: Any) -> Iterator[Path]:
        """Where a unit of work is kept: in the run's folder, or locked in the shared one."""
        own = self.folder / f"{name}.safetensors"
        begun = own.exists() or own.with_suffix(".partial.safetensors").exists()
        if self.shared is None or decided_by is None or begun:
            yield own
            return
        parts = json.dumps([decided_by, self._data.fingerprint()], sort_keys=True)
        path = make_folder(self.shared) / f"{name}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}.safetensors"
        started = time.monotonic()
        with FileLock(path.with_suffix(".lock")):
            self.waited += time.monotonic() - started
            yield path
