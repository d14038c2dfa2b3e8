"""A trial is the unit of work: a frozen config in, one result file out; done once, however often it is asked for."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sfbc_core.configuration import config_to_json
from sfbc_core.evaluation import evaluate
from sfbc_core.experiments.profiles import checked_profile
from sfbc_core.experiments.provenance import provenance_facts
from sfbc_core.files import load_json, save_json
from sfbc_core.methods import METHODS, SfBC, SfBCConfig
from sfbc_core.tasks import load_task
from sfbc_core.trajectories import Trajectories


@dataclass(frozen=True)
class TrialConfig:
    """One training and one evaluation of one method on one task with one seed (the agent's)."""

    task: str
    agent: Any  # the config of a method
    episodes: int = 100
    profile: str = "quick"  # only a label, which goes into the result
    transitions: int | None = None  # size of a generated data set; None for the task's own
    every_iteration: bool = False  # evaluate SfBC after each of its K iterations, not after the last only

    def __post_init__(self) -> None:
        if type(self.agent) not in METHODS:
            expected = [kind.__name__ for kind in METHODS]
            raise ValueError(f"agent must be one of {expected}, got {type(self.agent).__name__}")
        if self.every_iteration and not isinstance(self.agent, SfBCConfig):
            raise ValueError(f"every_iteration is for an SfBCConfig, got {type(self.agent).__name__}")

    @property
    def identity(self) -> str:
        """A digest of everything above, which names the result's folder."""
        text = json.dumps(config_to_json(self), sort_keys=True)
        return f"{self.task}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def run_trial(
    config: TrialConfig,
    folder: str | os.PathLike,
    *,
    device: str = "cpu",
    data_folder: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Train, evaluate and store; or read what was stored before.

    Args:
        config: what to run.
        folder: where results are kept. The trial's own folder in it holds result.json, and for SfBC the finished units of
            work, from which a killed trial resumes, and the agent.
        device: where to train.
        data_folder: where the files of D4RL's tasks are, if not in the default folder; of no meaning to data that is made.

    Returns:
        The contents of result.json: config, provenance, score, and per episode the return, the length and the last
        observation; with `every_iteration` also `iterations`, the same after each iteration.
    """
    here = trial_folder(config, folder)
    if (here / "result.json").exists():
        return load_json(here / "result.json")
    profile, started = checked_profile(config.profile), time.perf_counter()
    task = load_task(config.task)
    trajectories = load_trial_data(config, data_folder)
    agent = METHODS[type(config.agent)](config.agent, device=device)
    agent.fit(trajectories, here / "run")
    agent.save(here / "agent")
    iterations = range(1, config.agent.planning_iterations + 1) if config.every_iteration else ()
    evaluated = [agent.acting(iteration=k) for k in iterations] or [agent]
    results = [evaluate(one, task, config.episodes, config.agent.seed) for one in evaluated]
    of_each = [
        {
            "returns": result.returns.tolist(),
            "lengths": result.lengths.tolist(),
            "final_observations": result.final_observations.tolist(),
            "normalized_score": float(task.normalized_score(result.returns.mean())),
        }
        for result in results
    ]
    stored = {
        "config": config_to_json(config),
        "provenance": provenance_facts(profile, config.agent.seed, started),
        "transitions": len(trajectories),
        **of_each[-1],
    }
    if config.every_iteration:
        stored["iterations"] = of_each
    save_json(here / "result.json", stored)
    return stored


def trial_folder(config: TrialConfig, folder: str | os.PathLike) -> Path:
    """A trial's own folder in `folder`."""
    return Path(folder) / config.identity


def load_trial_data(config: TrialConfig, data_folder: str | os.PathLike | None = None) -> Trajectories:
    """The data set that a trial learns from; `data_folder` as of :func:`run_trial`."""
    if config.transitions is not None:  # data that is made, and not read from a file
        options = {"transitions": config.transitions}
    else:
        options = {} if data_folder is None else {"folder": data_folder}
    return load_task(config.task).load_trajectories(**options)


def trained_agent(
    config: TrialConfig, folder: str | os.PathLike, trajectories: Trajectories, *, device: str = "cpu"
) -> SfBC:
    """The agent of an SfBC trial that has run, with the critics and targets of all iterations, from what the trial stored.

    Raises:
        ValueError: the trial is not one of SfBC, or `trajectories` are not its data.
        FileNotFoundError: it has not run.
    """
    if not isinstance(config.agent, SfBCConfig):
        raise ValueError(f"expected a trial of SfBC, got one of {type(config.agent).__name__}")
    here = trial_folder(config, folder)
    if not (here / "result.json").exists():
        raise FileNotFoundError(
            f"expected a trial that has run in {here}, but result.json is not there: call run_trial"
        )
    return SfBC(config.agent, device=device).fit(trajectories, here / "run")


def run_trials(
    configs: Sequence[TrialConfig], folder: str | os.PathLike, executor: Executor | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Run many trials, here or on any `concurrent.futures` executor (processes, or a dask cluster's).

    Trials are independent, and each stores its result when it is done: a run that is cut short loses only what was under
    way. `options` are those of :func:`run_trial`: `device`, `data_folder`.
    """
    return on_executor(partial(run_trial, folder=folder, **options), configs, executor)


def on_executor(
    one: Callable[[TrialConfig], dict[str, Any]], configs: Sequence[TrialConfig], executor: Executor | None
) -> list[dict[str, Any]]:
    """`one` of every config, in order: in this process, or on an executor whose workers have one thread each."""
    if executor is None:
        return [one(config) for config in configs]
    # Each worker has its share of the cores; without this, every one of them would use all cores.
    return list(executor.map(partial(_with_one_thread, one), configs))


def _with_one_thread(function: Callable[[TrialConfig], dict[str, Any]], config: TrialConfig) -> dict[str, Any]:
    torch.set_num_threads(1)
    return function(config)
