"""What all methods share, written once: fit, resume, save, load, act in running episodes."""

from __future__ import annotations

import copy
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfbc_core.arrays import ArrayLike, as_floats, as_given
from sfbc_core.configuration import config_from_json, config_to_json
from sfbc_core.evaluation import MemorylessPolicy, Policy
from sfbc_core.files import join_parts, load_metadata, load_tensors, save_tensors, short, split_parts, understanding
from sfbc_core.paths import user_path
from sfbc_core.randomness import RandomSource, make_generator
from sfbc_core.run import Model, Run, load_model
from sfbc_core.trajectories import Trajectories

AGENT_FILE = "agent.safetensors"  # what `save` writes: the weights, and in its metadata the config
MethodT = TypeVar("MethodT", bound="Method")  # not `Self`, which the tests' type checks cannot read on a method
METHODS: dict[type, type[Method]] = {}  # every method, by the type of its config


class Method(ABC):
    """A method and, once it is fitted, its agent: ``Method(config).fit(data)``, then ``act(observations)``.

    A new method is one file: a config with a field `seed`, and ``class Mine(Method, config=MineConfig)`` with
    :meth:`learn`, :meth:`decide` and :meth:`models`. If it minimises losses over batches by gradient steps, it is a
    :class:`~sfbc_core.methods.gradient.GradientMethod` and shorter still.

    Args:
        config: what to learn and how to act; the config's defaults if it is not given.
        device: where the models are trained and run.

    Raises:
        TypeError: a config of another method.
    """

    config: Any
    config_type: ClassVar[type]
    acting_fields: ClassVar[frozenset[str]] = frozenset()  # fields of the config that a fitted agent can change

    def __init_subclass__(cls, config: type | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if config is not None:
            cls.config_type = config
            METHODS[config] = cls

    def __init__(self, config: Any = None, device: torch.device | str = "cpu") -> None:
        self.config = self.config_type() if config is None else config
        if type(self.config) is not self.config_type:
            raise TypeError(
                f"{type(self).__name__} expects a {self.config_type.__name__}, got a {type(config).__name__}"
            )
        self.device = torch.device(device)
        self.fitted = self._shares_models = False
        self.waited = 0.0  # seconds of the last fit, for other runs at work on what is shared
        self.acting_generator = make_generator(self.config.seed, "act", device=self.device)

    @abstractmethod
    def learn(self, data: Trajectories, run: Run, progress: bool) -> None:
        """Learn from data on the method's device, each model by ``run.fit``, so that a killed run goes on."""

    @abstractmethod
    def decide(self, observations: Float[Tensor, "B obs"], generator: RandomSource) -> Float[Tensor, "B act"]:
        """An action for each observation; those that :meth:`act` was given, checked, on the method's device."""

    @abstractmethod
    def models(self) -> Mapping[str, Model]:
        """Everything that :meth:`act` needs, by name; not yet fitted in an agent that is not.

        The first of them tells the width of the data's observations as its `observation_dim`. One that asks for states in
        float64 says so by its `observation_dtype`.
        """

    def act(
        self, observations: Float[Tensor, "B obs"] | ArrayLike, generator: RandomSource | None = None
    ) -> Float[Tensor, "B act"] | Float[np.ndarray, "B act"]:
        """An action for each observation.

        Args:
            observations: shape (B, obs): a tensor, or an array, lists or a DataFrame of numbers, used in the precision of
                the data's.
            generator: one, or one for each row; by default the agent's own.

        Returns:
            float32, shape (B, act), for a tensor on its device, for anything else as a numpy array.

        Raises:
            RuntimeError: the agent is not fitted.
            TypeError: observations that are no real numbers.
            ValueError: observations of another width than in the data, or NaN or infinity among them; generators that are
                not one for each row.
        """
        return self.act_by(self.decide, observations, generator)

    @torch.no_grad()
    def act_by(
        self,
        decide: Callable[[Float[Tensor, "B obs"], RandomSource], Float[Tensor, "B act"]],
        observations: Float[Tensor, "B obs"] | ArrayLike,
        generator: RandomSource | None = None,
    ) -> Float[Tensor, "B act"] | Float[np.ndarray, "B act"]:
        """Act by something like :meth:`decide`: a policy with a memory has its own, and the same door.

        Raises:
            RuntimeError, TypeError, ValueError: as :meth:`act`.
        """
        self._require_fitted()
        shape = ("B", next(iter(self.models().values())).observation_dim)
        states = as_floats("observations", observations, shape, self.device, self.observation_dtype)
        if isinstance(generator, Sequence) and len(generator) != len(states):
            raise ValueError(f"expected one generator for each of {len(states)} rows, got {len(generator)}")
        return as_given(decide(states, self.acting_generator if generator is None else generator), observations)

    @property
    def observation_dtype(self) -> torch.dtype:
        """In which `evaluate` keeps observations: float32, or float64 where float32 could not tell those of the data apart.

        Raises:
            RuntimeError: the agent is not fitted.
        """
        self._require_fitted()
        wanted = {getattr(model, "observation_dtype", torch.float32) for model in self.models().values()}
        return torch.float64 if torch.float64 in wanted else torch.float32

    def start(self, episodes: int) -> Policy:
        """What acts in so many new episodes. A method with a memory returns a policy that keeps it."""
        return MemorylessPolicy(self)

    def fit(
        self: MethodT,
        data: Trajectories,
        run_dir: str | os.PathLike | None = None,
        *,
        shared_dir: str | os.PathLike | None = None,
        progress: bool = False,
    ) -> MethodT:
        """Learn from the data.

        Args:
            data: the trajectories.
            run_dir: folder for finished units of work and for checkpoints of an unfinished one. A run that was killed goes
                on from there and ends with the weights of an undisturbed run.
            shared_dir: folder for what runs with different configs have in common, so that it is learned once: of SfBC the
                behavior model and its candidates, which critics and ways to act do not change. Needs `run_dir`.
            progress: whether to show progress bars.

        Raises:
            ValueError: `shared_dir` without `run_dir`, a `run_dir` that holds a run of another config or of other data, or
                data that cannot be learned from.
            RuntimeError: another process is training in `run_dir`, or this agent came from :meth:`acting`.
        """
        if self._shares_models:
            raise RuntimeError(
                f"this {type(self).__name__} acts with the models of another agent, which a fit would change: make a new "
                f"one with {type(self).__name__}(config)"
            )
        if shared_dir is not None and run_dir is None:
            raise ValueError(
                f"expected run_dir beside shared_dir = {str(shared_dir)!r}: where this run keeps what is its own"
            )
        self.fitted = False  # until the end: models that are half fitted do not act
        with Run(run_dir, self.config, data, shared_dir) as run:
            self.learn(data.to(self.device), run, progress)
        self.waited = run.waited
        self.fitted = True
        return self

    def acting(self: MethodT, **changes: Any) -> MethodT:
        """The same models, another way to act.

        Args:
            changes: fields of the config that differ, of those in `acting_fields`.

        Raises:
            TypeError: a value of another type.
            ValueError: another field, or an impossible value.
        """
        if wrong := set(changes) - self.acting_fields:
            raise ValueError(
                f"expected fields that decide how {type(self).__name__} acts, {sorted(self.acting_fields)}, "
                f"got {sorted(wrong)}"
            )
        agent = copy.copy(self)
        agent._shares_models = True
        agent.config = replace(self.config, **changes)
        agent.acting_generator = make_generator(self.config.seed, "act", device=self.device)
        return agent

    def save(self, path: str | os.PathLike) -> None:
        """Write config and models into one file in the folder `path`, whole or not at all; other files there stay.

        Raises:
            RuntimeError: the agent is not fitted.
            OSError: the folder or the file cannot be written; an agent that was there before stays.
        """
        self._require_fitted()
        tensors = join_parts({name: model.tensors() for name, model in self.models().items()})
        config = json.dumps(config_to_json(self.config), sort_keys=True)
        save_tensors(Path(path) / AGENT_FILE, tensors, {"config": config})

    @classmethod
    def load(cls: type[MethodT], path: str | os.PathLike, device: torch.device | str = "cpu") -> MethodT:
        """The agent that :meth:`save` wrote; ``Method.load`` loads one of any method.

        Raises:
            FileNotFoundError: no agent at `path`.
            ValueError: a damaged file, a config of another version, or an agent of another method.
        """
        path = user_path(path) / AGENT_FILE
        if not path.is_file():
            raise FileNotFoundError(f"expected a saved agent in the folder {path.parent}, but {path.name} is not there")
        tensors = load_tensors(path, device)
        with understanding(path, "holds no config that can be read"):
            config = config_from_json(json.loads(load_metadata(path).get("config", "null")), *METHODS)
        method = METHODS.get(type(config))
        if method is None or not issubclass(method, cls):
            found = "no config" if method is None else f"one of {method.__name__}"
            raise ValueError(f"expected a saved {cls.__name__} in {path}, found {found}")
        with understanding(path, "holds no config that can be read"):
            agent = method(config, device)
        parts, models = split_parts(tensors), agent.models()
        if parts.keys() != models.keys():
            found = short(sorted(parts))
            raise ValueError(f"{path} does not hold the models of its config: expected {sorted(models)}, got {found}")
        for name, model in models.items():
            load_model(model, parts[name], path)
        agent.fitted = True
        return agent

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise RuntimeError(f"this {type(self).__name__} agent is not fitted yet: call fit(trajectories) first")


def method_named(name: str) -> type[Method]:
    """The method of that name, such as "IQL".

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    names = {method.__name__: method for method in METHODS.values()}
    if name not in names:
        raise ValueError(f"unknown method {name!r}; expected one of {sorted(names)}")
    return names[name]
