"""Many trials run: in a row or on an executor; of a suite those that are missing, with measurements, into its file."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sfbc_core.experiments.measurements import Measurement
from sfbc_core.experiments.results import (
    Results,
    add_lines,
    measurements_path,
    read_lines,
    results_folder,
    save_measurements,
)
from sfbc_core.experiments.suites import SUITES, suite_named, trial_of
from sfbc_core.experiments.trial import Trial
from sfbc_core.experiments.trial_run import run_trial, trained_agent
from sfbc_core.files import load_json
from sfbc_core.paths import user_path
from sfbc_core.tasks import load_task

Tasks = str | Sequence[str] | None  # one, some (as JSON too), or all


def suite_command(name: str, profile: str) -> str:
    """The command that runs a suite."""
    return f"python -m sfbc_core.experiments run {name} --profile {profile}"


def trial_command(trial: Trial) -> str:
    """The command that makes one trial of a suite anew, in folders where nothing of it is stored.

    Raises:
        ValueError: no suite has it.
    """
    name, _ = trial_of(trial.identity)
    some = f"--tasks {trial.task} --seeds {trial.seed} --labels {shlex.quote(trial.label)}"
    return f"{suite_command(name, trial.profile)} {some} --runs again/runs --results again"


def _trials(name: str, profile: str, tasks: Tasks) -> list[Trial]:
    """Those of a suite, of some of its tasks or of all."""
    trials = suite_named(name).trials(profile)
    there = list(dict.fromkeys(trial.task for trial in trials))
    if isinstance(tasks, str) and tasks:  # papermill hands on a list as text
        tasks = json.loads(tasks) if tasks.startswith("[") else [tasks]
    chosen = list(tasks or there)
    if wrong := [task for task in chosen if task not in there]:
        raise ValueError(f"the suite {name!r} has no task {', '.join(map(repr, wrong))}; expected one of {there}")
    return [trial for trial in trials if trial.task in chosen]


def _lines(folder: str | os.PathLike, name: str, wanted: Sequence[Trial]) -> list[dict[str, Any]]:
    """What a suite has stored, and of the trials that it lacks what other suites have: those are run once."""
    own = read_lines(user_path(folder) / f"{name}.jsonl")
    lacking = {trial.identity for trial in wanted} - {line["id"] for line in own}
    for other in SUITES:
        if lacking and other != name:
            found = read_lines(user_path(folder) / f"{other}.jsonl")
            own += [line for line in found if line["id"] in lacking]
            lacking -= {line["id"] for line in found}
    return own


def stored_results(name: str, profile: str, folder: str | os.PathLike = "", tasks: Tasks = None) -> Results:
    """What is stored of a suite and what is missing; of some of its tasks, or of all.

    The folder is that of :func:`~sfbc_core.experiments.results.results_folder`.
    """
    folder, trials = results_folder(folder), _trials(name, profile, tasks)
    return Results(trials, _lines(folder, name, trials), folder, suite_command(name, profile))


def suite_results(name: str, profile: str, folder: str | os.PathLike = "", tasks: Tasks = None) -> Results:
    """What a chapter shows of a suite: read from the folder of results; at the profile "smoke", made now, in seconds.

    Args:
        name: of the suite.
        profile: "smoke", "quick" or "full".
        folder: of the results, if not those that come with the package.
        tasks: one or some of the suite's, if not all are to be shown.

    Raises:
        FileNotFoundError: nothing is stored of it; the message names the folder and the command that makes it.
        ValueError: no such suite, or no such task in it.
    """
    if profile == "smoke":
        with tempfile.TemporaryDirectory() as scratch:
            trials = _trials(name, profile, tasks)
            return run_suite(name, profile, Path(scratch) / "runs", Path(scratch) / "results", trials=trials)
    results = stored_results(name, profile, folder, tasks)
    if not results.trials:
        raise FileNotFoundError(
            f"no result of the suite {name!r} at the profile {profile!r} in "
            f"{results_folder(folder).resolve()}: name another folder (papermill -p results FOLDER), or make the results: "
            f"{suite_command(name, profile)}"
        )
    return results


def run_suite(
    name: str,
    profile: str,
    runs: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    trials: Sequence[Trial] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **options: Any,
) -> Results:
    """Run the trials of a suite that are not stored yet, by it or by another one, and store each as it is done.

    Args:
        name: of the suite.
        profile: "smoke", "quick" or "full".
        runs: where the trials train; a suite that was killed goes on from there.
        folder: of the results: a line a trial in ``<name>.jsonl``, and measurements beside it.
        trials: some of the suite's trials; all by default.
        executor: runs trials side by side; one after the other, in this process, if not given.
        progress: whether to show progress.
        options: of :func:`~sfbc_core.experiments.trial_run.run_trial`: `device`, `data_folder`, `logs`.
    """
    suite, runs, folder = suite_named(name), user_path(runs).absolute(), user_path(folder).absolute()
    options = _with_whole_paths(options)
    wanted = suite.trials(profile) if trials is None else trials
    if profile == "smoke" and suite.smoke_data is not None:
        options["data_folder"] = runs / "data"
        suite.smoke_data(options["data_folder"])
    path = folder / f"{name}.jsonl"
    there = Results(wanted, _lines(folder, name, wanted), folder)
    missing = [trial for trial in wanted if trial in there.missing or _unmeasured(name, folder, trial)]
    one = partial(_run_one, suite=name, runs=runs, folder=folder, progress=progress, **options)
    took: list[float] = []

    def store(done: int, trial: Trial, result: dict[str, Any]) -> None:
        add_lines(path, [result])
        if progress:
            seconds = float(result["provenance"]["seconds"])
            took.append(seconds)
            left = len(missing) - done
            rest = (
                f"; {left} left, if they are like these {sum(took) / done * left / 60:.0f} min of work" if left else ""
            )
            print(
                f"[{done}/{len(missing)}] {described(trial)} {seconds / 60:.1f} min{rest}", file=sys.stderr, flush=True
            )

    if executor is None:
        for done, trial in enumerate(missing, 1):
            store(done, trial, one(trial))
    else:
        futures = {executor.submit(with_one_thread, one, trial): trial for trial in missing}
        errors = []
        for done, future in enumerate(as_completed(futures), 1):
            if error := future.exception():
                errors.append(error)  # the others go on, and what they have done is stored
            else:
                store(done, futures[future], future.result())
        if errors:
            raise errors[0]
    made_now = 0 < len(missing) == len(wanted)
    return Results(wanted, _lines(folder, name, wanted), folder, suite_command(name, profile), made_now)


def _with_whole_paths(options: dict[str, Any]) -> dict[str, Any]:
    """Options with folders that mean the same to a worker on a cluster, which is at work in another folder."""
    folders = {name: options[name] for name in ("data_folder", "logs") if options.get(name) is not None}
    return options | {name: user_path(folder).absolute() for name, folder in folders.items()}


def _unmeasured(suite: str, folder: Path, trial: Trial) -> dict[str, Measurement]:
    """What of a suite's measurements has not been made of a trial's agent."""
    path = measurements_path(folder, trial)
    values = load_json(path) if path.exists() else {}
    return {name: measure for name, measure in suite_named(suite).measurements.items() if name not in values}


def described(trial: Trial) -> str:
    """A trial in a few words."""
    return f"{trial.task}, {trial.label}, seed {trial.seed}"


def _run_one(trial: Trial, suite: str, runs: Path, folder: Path, progress: bool, **options: Any) -> dict[str, Any]:
    """A trial and what is measured of its agent; a measurement that is there is not made again."""
    result = run_trial(trial, runs, progress=progress, **options)
    path = measurements_path(folder, trial)
    values = load_json(path) if path.exists() else {}
    if wanted := _unmeasured(suite, folder, trial):
        task, data = load_task(trial.task), trial.load_data(options.get("data_folder"))
        agent = trained_agent(trial, runs, data, device=options.get("device", "cpu"))
        for name, measure in wanted.items():
            if progress:
                print(f"{described(trial)}: measuring {name}", file=sys.stderr, flush=True)
            values[name] = measure(trial, agent, task, data)
            save_measurements(path, values)
    return result


def run_trials(
    trials: Sequence[Trial], folder: str | os.PathLike, executor: Executor | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Run many trials, here or on any `concurrent.futures` executor (processes, or a dask cluster's); results in order.

    Trials are independent, and each stores its result when it is done: a run that is cut short loses only what was under
    way. `options` are those of :func:`run_trial`: `device`, `progress`, `data_folder`, `logs`.
    """
    one = partial(run_trial, folder=user_path(folder).absolute(), **_with_whole_paths(options))
    if executor is None:
        return [one(trial) for trial in trials]
    return list(executor.map(partial(with_one_thread, one), trials))


def with_one_thread(function: Callable[[Trial], Any], trial: Trial) -> Any:
    """`function` of a trial, in a worker that has its share of the cores; without this, each would use all of them."""
    torch.set_num_threads(1)
    return function(trial)
