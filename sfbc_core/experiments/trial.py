"""A trial as a frozen config: one training of one method on one task, and the ways of acting that it is evaluated in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any, get_type_hints

from sfbc_core.arrays import checked_count
from sfbc_core.configuration import config_dataclass, config_from_json, config_of, config_to_json, converted
from sfbc_core.experiments.profiles import checked_profile
from sfbc_core.methods import METHODS, GradientMethod, Method
from sfbc_core.tasks import load_task
from sfbc_core.trajectories import Trajectories

AS_CONFIGURED = "as configured"  # the variant of a trial that names none


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
