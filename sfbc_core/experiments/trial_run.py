"""Running a trial: a frozen config in, one stored result out, however often it is asked for."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

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
from sfbc_core.experiments.provenance import provenance_facts
from sfbc_core.experiments.scalar_logs import scalars_logged
from sfbc_core.experiments.trial import Trial
from sfbc_core.files import load_json, save_json, understanding
from sfbc_core.methods import METHODS, GradientMethod, Method
from sfbc_core.methods.base import AGENT_FILE
from sfbc_core.paths import make_folder, user_path
from sfbc_core.progress import progress_bar
from sfbc_core.run import Run
from sfbc_core.scalars import tell
from sfbc_core.tasks import load_task
from sfbc_core.trajectories import Trajectories

SHARED = "shared"  # folder of what several trainings have in common, such as a behavior model
CURVE = "curve.json"  # evaluations along a training, in the training's folder
DAMAGED = "is damaged or of another version, remove it to evaluate again"
POSITION = 2  # coordinates of the last observation that a result keeps: where an episode ended


def run_trial(
    trial: Trial,
    folder: str | os.PathLike,
    *,
    device: str = "cpu",
    progress: bool = False,
    data_folder: str | os.PathLike | None = None,
    logs: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Train once, evaluate every variant and store the result; or read what was stored before.

    A trial that was killed goes on from its last checkpoint. Of two processes with the same trial one works; the other waits
    and reads the result.

    Args:
        trial: what to run.
        folder: where results are kept, and in a folder for each training the finished units of work and the agent; what
            several trainings have in common is done once, and its time counts for the trial that does it.
        device: where to train.
        progress: whether to show progress.
        data_folder: as of :meth:`Trial.load_data`.
        logs: a folder for losses and scores, written while they come; see :mod:`sfbc_core.experiments.scalar_logs`. What
            was learned before, by this trial or for another one, is not told again.

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
        with scalars_logged(logs, trial):
            agent = trained_agent(trial, folder, data, device=device, progress=progress)
            variants = _evaluated(trial, agent, folder, progress)
        stored = {
            "id": trial.identity,
            "trial": trial.to_json(),
            "transitions": len(data),
            "reference_returns": list(load_task(trial.task).reference_returns),
            "variants": variants,
            "provenance": provenance_facts(trial.profile, trial.seed, started + agent.waited),
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
    agent.fit(data, here / "run", shared_dir=user_path(folder) / SHARED, progress=progress)
    agent.save(here / "agent")
    return agent


def _add_to_curve(trial: Trial, agent: GradientMethod, path: Path, steps: int) -> None:
    """Evaluate an agent in mid-training, unless a run that was killed has done it; the training does not notice."""
    curve = _read_curve(trial, path)
    if steps % trial.curve_every or str(steps) in curve:
        return
    agent.nets.eval()
    agent.fitted = True
    task = load_task(trial.task)
    returns = evaluate(agent, task, trial.episodes, trial.seed).returns
    agent.fitted = False
    agent.nets.train()
    tell("score", steps, float(task.normalized_score(returns).mean()))
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
            # Also of those that were done before a kill, which may have come between the file and the word.
            score = float(task.normalized_score(np.mean(done[name]["returns"])))
            tell(f"score/{name}", changes.get("iteration", 0), score)
    return {name: done[name] for name in trial.variants}
