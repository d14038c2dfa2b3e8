"""A trial is the unit of work: a frozen config in, one result file out; done once, however often it is asked for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sfbc_core.baselines.weighted_regression import WeightedRegression, WeightedRegressionConfig
from sfbc_core.configuration import config_to_json
from sfbc_core.evaluation import evaluate
from sfbc_core.experiments.profiles import Provenance
from sfbc_core.files import load_json, save_json
from sfbc_core.sfbc import SfBC, SfBCConfig
from sfbc_core.tasks import load_task

# A method is chosen by the type of its config. A new method adds its line here.
AGENTS: dict[type, type] = {SfBCConfig: SfBC, WeightedRegressionConfig: WeightedRegression}


@dataclass(frozen=True)
class TrialConfig:
    """One training and one evaluation of one method on one task with one seed (the agent's)."""

    task: str
    agent: SfBCConfig | WeightedRegressionConfig
    episodes: int = 100
    profile: str = "quick"  # only a label, which goes into the result
    transitions: int | None = None  # size of a generated data set; None for the task's own

    def __post_init__(self) -> None:
        if type(self.agent) not in AGENTS:
            expected = [kind.__name__ for kind in AGENTS]
            raise ValueError(f"agent must be one of {expected}, got {type(self.agent).__name__}")

    @property
    def identity(self) -> str:
        """A digest of everything above, which names the result's folder."""
        text = json.dumps(config_to_json(self), sort_keys=True)
        return f"{self.task}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def run_trial(config: TrialConfig, folder: str | os.PathLike, *, device: str = "cpu") -> dict[str, Any]:
    """Train, evaluate and store; or read what was stored before.

    Args:
        config: what to run.
        folder: where results are kept. The trial's own folder in it holds result.json, and for SfBC the finished units of
            work, from which a killed trial resumes, and the agent.
        device: where to train.

    Returns:
        The contents of result.json: config, provenance, and per episode the return, the length and the last observation.
    """
    here = Path(folder) / config.identity
    if (here / "result.json").exists():
        return load_json(here / "result.json")
    provenance = Provenance(config.profile, config.agent.seed)
    task = load_task(config.task)
    options = {} if config.transitions is None else {"transitions": config.transitions}
    trajectories = task.load_trajectories(**options)
    agent = AGENTS[type(config.agent)](config.agent, device=device)
    if isinstance(agent, SfBC):
        agent.fit(trajectories, here / "run")
        agent.save(here / "agent")
    else:
        agent.fit(trajectories)
    results = evaluate(agent, task, config.episodes, config.agent.seed)
    stored = {
        "config": config_to_json(config),
        "provenance": provenance.record(),
        "transitions": len(trajectories),
        "returns": results.returns.tolist(),
        "lengths": results.lengths.tolist(),
        "final_observations": results.final_observations.tolist(),
        "normalized_score": float(task.normalized_score(results.returns.mean())),
    }
    save_json(here / "result.json", stored)
    return stored


def run_trials(
    configs: Sequence[TrialConfig], folder: str | os.PathLike, executor: Executor | None = None, *, device: str = "cpu"
) -> list[dict[str, Any]]:
    """Run many trials, here or on any `concurrent.futures` executor (processes, or a dask cluster's).

    Trials are independent, and each stores its result when it is done: a run that is cut short loses only what was under
    way.
    """
    one = partial(run_trial, folder=folder, device=device)
    if executor is None:
        return [one(config) for config in configs]
    # Each worker has its share of the cores; without this, every one of them would use all cores.
    return list(executor.map(partial(_with_one_thread, one), configs))


def _with_one_thread(function, config: TrialConfig) -> dict[str, Any]:
    torch.set_num_threads(1)
    return function(config)
