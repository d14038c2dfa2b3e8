"""Finished units of work in a folder, so that a run that was killed goes on after the last of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from sfbc_core.behavior import BehaviorModel
from sfbc_core.configuration import config_to_json
from sfbc_core.critic import QCritic
from sfbc_core.files import load_json, load_tensors, save_json, save_tensors
from sfbc_core.trajectories import Trajectories


class RunStore:
    """Finished units of work in a folder; without a folder, nothing is kept.

    Args:
        folder: where to keep them; None for nowhere.
        config: the config dataclass of the run. trajectories: its data. Both are written down when a folder is first used.

    Raises:
        ValueError: the folder holds a run of another config or of other data.
    """

    def __init__(self, folder: str | os.PathLike | None, config: Any, trajectories: Trajectories) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        this_run = {"config": config_to_json(config), "data": trajectories.fingerprint()}
        manifest = self.folder / "run.json"
        if manifest.exists():
            found = load_json(manifest)
            for part in this_run:
                if found.get(part) != this_run[part]:
                    raise ValueError(
                        f"{self.folder} holds a run with another {part}: found {found.get(part)}, this run has "
                        f"{this_run[part]}; choose another folder, or remove this one"
                    )
        else:
            save_json(manifest, this_run)

    def unit(self, name: str, model: BehaviorModel | QCritic, fit: Callable[[Path | None], Any]) -> None:
        """Load the model if it was finished before; else fit it, with a checkpoint file, and store it."""
        if self.folder is None:
            fit(None)
            return
        finished, partial = self.folder / f"{name}.safetensors", self.folder / f"{name}.partial.safetensors"
        if finished.exists():
            model.load_tensors(load_tensors(finished, model.device))
            return
        fit(partial)
        save_tensors(finished, model.tensors())
        partial.unlink(missing_ok=True)

    def tensor(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """The tensor that was stored before, or else computed and stored now."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            save_tensors(path, {name: compute()})
        return load_tensors(path)[name]
