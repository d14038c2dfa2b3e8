"""A study: the trials that stand behind a chapter, run by one command, and in one file what the chapter shows of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from sfbc_core.experiments.trial import (
    TrialConfig,
    load_trial_data,
    on_executor,
    run_trial,
    trained_agent,
    trial_folder,
)
from sfbc_core.files import load_json, save_json
from sfbc_core.methods.sfbc import SfBC
from sfbc_core.tasks import load_task
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

# Where each study is defined, by its name. A study's module is imported only when it is asked for.
STUDIES = {name: f"sfbc_core.experiments.studies.{name}" for name in ("maze2d", "antmaze", "locomotion")}

Look = Callable[[TrialConfig, SfBC, Task, Trajectories], dict[str, Any]]


@dataclass(frozen=True)
class Study:
    """What a study consists of.

    Attributes:
        name: one of `STUDIES`.
        trials: profile -> the trials, in the order of the record.
        look: (trial, its trained agent, task, data) -> whatever the chapter shows beside the scores, as JSON can hold it.
        stand_in_data: (folder) -> None; puts small files of data there on which the smoke profile runs where the real ones
            would need policies; None if the tasks make their own data.
    """

    name: str
    trials: Callable[[str], Sequence[TrialConfig]]
    look: Look
    stand_in_data: Callable[[Path], None] | None = None


def load_study(name: str) -> Study:
    """The study of that name.

    Raises:
        ValueError: no such study.
    """
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}; expected one of {sorted(STUDIES)}")
    return import_module(STUDIES[name]).STUDY


def run_study(
    name: str,
    profile: str,
    folder: str | os.PathLike,
    *,
    data_folder: str | os.PathLike | None = None,
    executor: Executor | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Run all trials of a study, or those that are not there yet, and look at what they learned.

    Args:
        name: one of `STUDIES`.
        profile: "smoke", "quick" or "full".
        folder: where the trials are kept; a study that was killed goes on from there.
        data_folder: where the files of the tasks' data are, if not in the default folder.
        executor: runs the trials side by side; one after the other, in this process, if not given.
        device: where to train.

    Returns:
        The record: study, profile, command and, for each trial, its config, provenance, scores and look.
    """
    study = load_study(name)
    trials = study.trials(profile)
    if profile == "smoke" and study.stand_in_data is not None:
        data_folder = Path(folder) / "data"
        study.stand_in_data(data_folder)
    one = partial(_run_one, name=name, folder=Path(folder), data_folder=data_folder, device=device)
    entries = on_executor(one, trials, executor)
    command = f"python -m sfbc_core.experiments {name} --profile {profile}"
    return {"study": name, "profile": profile, "command": command, "trials": entries}


def _run_one(
    config: TrialConfig, name: str, folder: Path, data_folder: str | os.PathLike | None, device: str
) -> dict[str, Any]:
    """One trial and the look at what it learned, each kept in the trial's folder once it is there."""
    result = run_trial(config, folder, device=device, data_folder=data_folder)
    path = trial_folder(config, folder) / "look.json"
    if not path.exists():
        from sfbc_core.book.descriptions import describe  # here: it imports matplotlib, and this package

        trajectories = load_trial_data(config, data_folder)
        agent = trained_agent(config, folder, trajectories, device=device)
        seen = load_study(name).look(config, agent, load_task(config.task), trajectories)
        save_json(path, {"data": repr(describe(trajectories)), **seen}, indent=None)
    return {**result, "look": load_json(path)}


def study_record(name: str, profile: str, results: str | os.PathLike) -> StudyRecord:
    """The record of a study: read from the folder `results`, or else, and always at the profile "smoke", made now.

    Made now, it takes seconds at "smoke", hours at "quick" and days at "full" without a GPU; it is then put into the
    folder, but for that of "smoke".

    Raises:
        FileNotFoundError: no folder `results`, as in a notebook that was not started in its own folder.
    """
    path = record_path(name, profile, results)
    if profile == "smoke":
        with tempfile.TemporaryDirectory() as folder:
            return StudyRecord(run_study(name, profile, folder), None)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"expected the folder of the recorded results at {path.parent.resolve()}, but it is not there: start the "
            "notebook in its own folder (papermill --cwd notebooks), or say where they are (-p results FOLDER)"
        )
    if not path.exists():
        save_record(run_study(name, profile, Path(results).parent.parent / "runs" / f"{name}-{profile}"), path)
    return StudyRecord(load_json(path), path)


def record_path(name: str, profile: str, results: str | os.PathLike) -> Path:
    """The file of a study's record."""
    return Path(results) / f"{name}-{profile}.json"


def save_record(record: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a record, one trial a line."""
    save_json(path, record, indent=None)


class StudyRecord:
    """A record to be read, by task; its repr says where it comes from.

    Attributes:
        trials: the entries of the trials, in order.
        path: the file it was read from, or None if it was made just now.
    """

    def __init__(self, record: Mapping[str, Any], path: Path | None) -> None:
        self.trials: list[dict[str, Any]] = record["trials"]
        self.path, self._record = path, record

    def tasks(self) -> list[str]:
        """The tasks, in order, each once."""
        return list(dict.fromkeys(trial["config"]["task"] for trial in self.trials))

    def of_task(self, task: str) -> list[dict[str, Any]]:
        """The trials of one task, in order of their seeds.

        Raises:
            ValueError: there is none.
        """
        found = [trial for trial in self.trials if trial["config"]["task"] == task]
        if not found:
            raise ValueError(f"no trial of {task!r} in this record; expected one of {self.tasks()}")
        return sorted(found, key=lambda trial: trial["config"]["agent"]["seed"])

    def origin(self) -> dict[str, str]:
        """Profile, command, dates, hours of training, versions and machine, by name."""
        of_trials = [trial["provenance"] for trial in self.trials]
        dates = [provenance["date"] for provenance in of_trials]
        how = "while this page was built" if self.path is None else f"before, and read from {self.path.name}"
        seconds = sum(float(provenance["seconds"]) for provenance in of_trials)
        return {
            "profile": self._record["profile"],
            "computed": how,
            "command": self._record["command"],
            "seeds": ", ".join(sorted({provenance["seed"] for provenance in of_trials}, key=int)),
            "dates": " to ".join(dict.fromkeys((min(dates), max(dates)))),
            "training and evaluation": f"{len(of_trials)} trials, at least {seconds / 60:.0f} minutes in all",
            "versions": "; ".join(sorted({provenance["versions"] for provenance in of_trials})),
            "machine": "; ".join(sorted({provenance["machine"] for provenance in of_trials})),
        }

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self.origin().items()]
        return f"<table><tbody>{''.join(rows)}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.origin().items())
