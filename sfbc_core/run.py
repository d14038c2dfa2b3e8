"""A run: finished units of work in a folder, so that a training that was killed goes on after the last of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from sfbc_core.configuration import config_from_json, config_to_json, differences
from sfbc_core.files import load_json, load_tensors, save_json, save_tensors
from sfbc_core.trajectories import Trajectories


@runtime_checkable
class Model(Protocol):
    """Whatever is learned and stored as a unit: a behavior model, a critic, the networks of a method."""

    device: torch.device

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the model needs, by name; RuntimeError if it has not learned yet."""

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> Any:
        """Take over what :meth:`tensors` gave, of a model with the same config."""


class Run:
    """Finished units of work in a folder, which is locked as long as the context lasts; without a folder, nothing is kept.

    Args:
        folder: where to keep them; None for nowhere.
        config: the config dataclass of the run.
        data: what it learns from. Config and the data's fingerprint are written down when a folder is first used.

    Raises:
        ValueError: on entry, the folder holds a run of another config or of other data.
        RuntimeError: on entry, another process is at work in the folder.
    """

    def __init__(self, folder: str | os.PathLike | None = None, config: Any = None, data: Trajectories | None = None):
        self.folder = None if folder is None else Path(folder).expanduser()
        self._config, self._data, self._context = config, data, ExitStack()

    def __enter__(self) -> Run:
        if self.folder is None:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
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
        try:
            # Fields added since have their defaults. Compared as JSON, where a list is as good as a tuple.
            same = config_to_json(config_from_json(found.get("config"), type(config))) == config_to_json(config)
        except ValueError:
            same = False
        if not same:
            different = differences(found.get("config"), config_to_json(config))
            raise ValueError(f"{self.folder} holds a run with another config ({different}); {advice}")
        if found.get("data") != fingerprint:
            raise ValueError(
                f"{self.folder} holds a run on other data (fingerprint {found.get('data')}, not {fingerprint}); {advice}"
            )

    def fit(self, name: str, model: Model, learn: Callable[[Path | None], Any]) -> None:
        """Load the model if it was finished before; else let it learn, with a checkpoint file, and store it."""
        if self.folder is None:
            learn(None)
            return
        finished, checkpoint = self.folder / f"{name}.safetensors", self.folder / f"{name}.partial.safetensors"
        if finished.exists():
            model.load_tensors(load_tensors(finished, model.device))
            return
        learn(checkpoint)
        save_tensors(finished, model.tensors())
        checkpoint.unlink(missing_ok=True)

    def compute(self, name: str, function: Callable[[], Tensor]) -> Tensor:
        """The tensor that was stored before, or else computed and stored now."""
        if self.folder is None:
            return function()
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            save_tensors(path, {name: function()})
        return load_tensors(path)[name]
