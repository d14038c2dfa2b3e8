"""A trial: one training and its evaluations. A frozen config in, one stored result out, however often it is asked for."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from filelock import FileLock

from sfbc_core.arrays import checked_count
from sfbc_core.configuration import config_dataclass, config_from_json, config_of, config_to_json, converted
from sfbc_core.evaluation import evaluate
from sfbc_core.experiments.checks import (
    check_digest,
    check_numbers,
    check_result,
    check_variant,
    digest_of,
    sealed,
    unsealed,
)
from sfbc_core.experiments.profiles import checked_profile
from sfbc_core.experiments.provenance import provenance_facts
from sfbc_core.files import load_json, save_json, understanding
from sfbc_core.methods import METHODS, GradientMethod, Method
from sfbc_core.methods.base import AGENT_FILE
from sfbc_core.paths import make_folder, user_path
from sfbc_core.progress import progress_bar
from sfbc_core.run import Run
from sfbc_core.tasks import load_task
from sfbc_core.trajectories import Trajectories

AS_CONFIGURED = "as configured"  # the variant of a trial that names none
CURVE = "curve.json"  # evaluations along a training, in the training's folder
DAMAGED = "is damaged or of another version, remove it to evaluate again"
POSITION = 2  # coordinates of the last observation that a result keeps: where an episode ended


@config_dataclass
class Trial:
    """One training of one method on one task with one seed (the method's), evaluated in one or more ways of acting."""

    task: str
    method: Any  # the config of a method
    episodes: int = 100  # of the evaluation of each variant
    # Ways of acting by name, each with what `Method.acting` changes: {"K = 1": {"iteration": 1}}. One training serves all.
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {AS_CONFIGURED: {}})
    transitions: int | None = None  # size of a generated data set; None for the task's own
    data_seed: int | None = None  # of a generated data set; None for the task's own. Needs `transitions`
    curve_every: int | None = None  # evaluate along the training too, every so many gradient steps; of a GradientMethod
    label: str = ""  # the method's name in tables; that of its class if it is not given. Not part of the identity
    profile: str = "quick"  # a word for the size of all this, which goes into the result. Not part of the identity

    def __post_init__(self) -> None:
        checked_profile(self.profile)
        if type(self.method) not in METHODS:
            expected = sorted(kind.__name__ for kind in METHODS)
            raise ValueError(f"method must be one of {expected}, got {type(self.method).__name__}")
        checked_count("episodes", self.episodes)
        if self.transitions is not None:
            checked_count("transitions", self.transitions)
        if self.data_seed is not None and self.transitions is None:
            raise ValueError(
                f"data_seed = {self.data_seed} needs `transitions`: only data that are generated for the trial have a seed"
            )
        if not self.variants:
            raise ValueError("expected at least one variant, got none")
        agent = METHODS[type(self.method)](self.method)
        if self.curve_every is not None and not (isinstance(agent, GradientMethod) and self.curve_every > 0):
            raise ValueError(
                f"curve_every is a positive number of steps, of a GradientMethod; got {self.curve_every} for {self.label}"
            )
        # Refused now, and not after hours of training.
        variants = {name: _as_taken(agent, changes) for name, changes in self.variants.items()}
        object.__setattr__(self, "variants", variants)
        object.__setattr__(self, "label", self.label or METHODS[type(self.method)].__name__)

    @property
    def seed(self) -> int:
        """The method's seed, which is that of the evaluation too."""
        return self.method.seed

    @property
    def training_identity(self) -> str:
        """A digest of what decides the training: trials that differ in their evaluation alone share it."""
        # Compact: a config that gets a further field keeps the identity of its trials.
        parts = (self.task, config_to_json(self.method, compact=True), self.transitions)
        parts += () if self.data_seed is None else ({"data_seed": self.data_seed},)
        return _digest(*parts, *([self.curve_every, self.episodes] if self.curve_every else []))

    @property
    def identity(self) -> str:
        """A digest of what decides the result."""
        return _digest(self.training_identity, self.episodes, {name: dict(of) for name, of in self.variants.items()})

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON can hold them."""
        variants = {name: dict(changes) for name, changes in self.variants.items()}
        names = ("task", "episodes", "transitions", "data_seed", "curve_every", "label", "profile")
        rest = {name: getattr(self, name) for name in names}
        return {**rest, "method": config_to_json(self.method), "variants": variants}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The trial that :meth:`to_json` wrote; fields that configs have got since take their defaults.

        Raises:
            ValueError: a method or a field that is not known, a field that is missing, or a value that is refused.
        """
        return config_of(cls, {**data, "method": config_from_json(data.get("method"), *METHODS)})

    def load_data(self, folder: str | os.PathLike | None = None) -> Trajectories:
        """What the trial learns from; `folder` is where the files of D4RL's tasks are, if not in the default one."""
        options: dict[str, Any] = {} if folder is None else {"folder": folder}
        if self.transitions is not None:  # data that are made, and not read from a file
            options = {"transitions": self.transitions}
            options |= {} if self.data_seed is None else {"seed": self.data_seed}
        return load_task(self.task).load_trajectories(**options)


def _as_taken(agent: Method, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with the values that the agent makes of them, so that a variant written with 20 is that with 20.0."""
    config, hints = agent.acting(**changes).config, get_type_hints(type(agent).acting)
    return {
        name: getattr(config, name) if name in agent.acting_fields else converted(hints.get(name, Any), value, name)
        for name, value in changes.items()
    }


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def run_trial(
    trial: Trial,
    folder: str | os.PathLike,
    *,
    device: str = "cpu",
    progress: bool = False,
    data_folder: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Train once, evaluate every variant and store the result; or read what was stored before.

    A trial that was killed goes on from its last checkpoint. Of two processes with the same trial one works; the other waits
    and reads the result.

    Args:
        trial: what to run.
        folder: where results are kept, and in a folder for each training the finished units of work and the agent.
        device: where to train.
        progress: whether to show progress.
        data_folder: as of :meth:`Trial.load_data`.

    Returns:
        `id`, `trial`, `provenance`, `transitions`, and in `variants` for each variant the `returns`, the `lengths` and the
        `final` positions of its episodes; with `curve_every` also `curve`, the returns by the number of gradient steps; and
        the `digest` of all that.

    Raises:
        ValueError: a stored file is damaged; the message names it.
        OSError: the disk is full or cannot be written to; what was done before stays, and the next call goes on from there.
    """
    folder = make_folder(folder)
    path = folder / f"{trial.identity}.json"
    with FileLock(folder / f".{trial.training_identity}.lock"):
        if path.exists():
            stored = load_json(path)
            with understanding(path, "is damaged or of another version, remove it to run the trial again"):
                if Trial.from_json(stored["trial"]).identity == trial.identity:
                    check_result(stored, trial.variants, trial.episodes)
                    check_digest(stored)
                    return stored
        started = time.perf_counter()
        data = trial.load_data(data_folder)
        agent = trained_agent(trial, folder, data, device=device, progress=progress)
        stored = {
            "id": trial.identity,
            "trial": trial.to_json(),
            "transitions": len(data),
            "reference_returns": list(load_task(trial.task).reference_returns),
            "variants": _evaluated(trial, agent, folder, progress),
            "provenance": provenance_facts(trial.profile, trial.seed, started),
        }
        if trial.curve_every is not None:
            stored["curve"] = _read_curve(trial, folder / trial.training_identity / CURVE)
        stored["digest"] = digest_of(stored)
        save_json(path, stored)
        _partial_path(trial, folder).unlink()
    return stored


def trained_agent(
    trial: Trial,
    folder: str | os.PathLike,
    data: Trajectories,
    *,
    device: str = "cpu",
    progress: bool = False,
) -> Method:
    """The agent of a trial: the saved one, or trained now, from the last checkpoint where there is one."""
    here, kind = user_path(folder) / trial.training_identity, METHODS[type(trial.method)]
    with Run(here / "run", trial.method, data):  # refuses a run of another config or on other data
        pass
    if (here / "agent" / AGENT_FILE).is_file():
        return kind.load(here / "agent", device)
    agent = kind(trial.method, device)
    if trial.curve_every is not None:
        agent.watch = partial(_add_to_curve, trial, agent, here / CURVE)
    agent.fit(data, here / "run", progress=progress)
    agent.save(here / "agent")
    return agent


def _add_to_curve(trial: Trial, agent: GradientMethod, path: Path, steps: int) -> None:
    """Evaluate an agent in mid-training, unless a run that was killed has done it; the training does not notice."""
    curve = _read_curve(trial, path)
    if steps % trial.curve_every or str(steps) in curve:
        return
    agent.nets.eval()
    agent.fitted = True
    returns = evaluate(agent, load_task(trial.task), trial.episodes, trial.seed).returns
    agent.fitted = False
    agent.nets.train()
    save_json(path, sealed({**curve, str(steps): returns.tolist()}))


def _read_curve(trial: Trial, path: Path) -> dict[str, list[float]]:
    """The returns by the number of gradient steps, as far as they are there."""
    curve = load_json(path) if path.exists() else {}
    with understanding(path, DAMAGED):
        curve = unsealed(curve)
        for steps, returns in curve.items():
            check_numbers(f"the returns after {int(steps)} steps", returns, trial.episodes)
    return curve


def _partial_path(trial: Trial, folder: Path) -> Path:
    """The variants that are done of a trial that is not."""
    return folder / trial.training_identity / f"{trial.identity}.partial.json"


def _evaluated(trial: Trial, agent: Method, folder: Path, progress: bool) -> dict[str, Any]:
    """What every variant earned; those that are done are kept, should this be killed."""
    path, task = _partial_path(trial, folder), load_task(trial.task)
    done = load_json(path) if path.exists() else {}
    with understanding(path, DAMAGED):
        done = dict(unsealed(done))
        for variant in done.values():
            check_variant(variant, trial.episodes)
    with progress_bar(
        trial.episodes * len(trial.variants),
        f"{trial.task}, {trial.label}, seed {trial.seed}",
        enabled=progress,
        unit="episodes",
    ) as bar:
        for name, changes in trial.variants.items():
            if name not in done:
                acting = agent.acting(**changes)
                results = evaluate(acting, task, trial.episodes, trial.seed, on_step=bar.update)
                done[name] = {
                    "returns": results.returns.tolist(),
                    "lengths": results.lengths.tolist(),
                    "final": results.final_observations[:, :POSITION].tolist(),
                }
                save_json(path, sealed(done))
    return {name: done[name] for name in trial.variants}
