"""Stored results: one line a trial in a committed file, checked against its digest, read as one tidy DataFrame."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from sfbc_core.experiments.checks import RESULT, digest_of
from sfbc_core.experiments.trial import Trial
from sfbc_core.files import load_json, save_json, save_text, understanding
from sfbc_core.paths import make_folder, user_path

MEASUREMENTS = "measurements"  # folder beside the lines: what is measured of each agent, one file a trial
PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = "stored"  # folder in the installed package; setup.py puts a copy of the repository's book/results there


def results_folder(given: str | os.PathLike = "") -> Path:
    """Where the stored results are: in the folder given, if any; else in book/results of the repository that this package
    is part of; else in the installed package.

    Raises:
        FileNotFoundError: no folder was given, and the package has none.
    """
    if os.fspath(given):
        return user_path(given)
    repository, installed = PACKAGE.parent, PACKAGE / INSTALLED
    if (repository / "pyproject.toml").is_file() and (repository / "book" / "results").is_dir():
        return repository / "book" / "results"
    if installed.is_dir():
        return installed
    raise FileNotFoundError(
        f"no stored results are in this package: neither {repository / 'book' / 'results'} of a repository nor {installed} "
        "is there; name their folder"
    )


def read_lines(
    path: str | os.PathLike, holds: Sequence[str] = RESULT, what: str = "result of a trial"
) -> list[dict[str, Any]]:
    """The lines of a file of results, in order; none if there is no file.

    Args:
        path: the file.
        holds: what every line must hold.
        what: a line is, for the message.

    Raises:
        ValueError: a line that is no JSON, that was changed since it was written, or that lacks something.
    """
    path, lines = user_path(path), []
    if not path.exists():
        return lines
    with understanding(path, "is no text"):
        texts = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    for number, text in enumerate(texts, 1):
        with understanding(f"line {number} of {path}", "is not valid JSON"):
            line = json.loads(text)
        if not isinstance(line, dict) or line.get("digest") != digest_of(line):
            raise ValueError(
                f"line {number} of {path} was changed since it was written (its digest does not fit its contents): remove "
                "it, and make it again"
            )
        if missing := [name for name in holds if name not in line]:
            raise ValueError(f"line {number} of {path} is no {what}: it lacks {', '.join(missing)}")
        lines.append(line)
    return lines


def add_lines(
    path: str | os.PathLike,
    results: Iterable[Mapping[str, Any]],
    holds: Sequence[str] = RESULT,
    what: str = "result of a trial",
) -> None:
    """Add results to a file, each as a line with its digest; one whose `id` is there already is replaced.

    Raises:
        ValueError: the file has a line that :func:`read_lines` refuses, with `holds` and `what` as there.
    """
    path = user_path(path)
    make_folder(path.parent)
    with FileLock(path.with_name(f".{path.name}.lock")):
        lines = {line["id"]: line for line in read_lines(path, holds, what)}
        lines |= {result["id"]: {**result, "digest": digest_of(result)} for result in results}
        text = "".join(
            json.dumps(line, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n" for line in lines.values()
        )
        save_text(path, text)


def measurements_path(folder: str | os.PathLike, trial: Trial) -> Path:
    """The file of what was measured of a trial's agent, beside the results in `folder`."""
    return user_path(folder) / MEASUREMENTS / f"{trial.identity}.json"


def save_measurements(path: str | os.PathLike, values: Mapping[str, Any]) -> None:
    """Write measurements by name."""
    save_json(path, dict(values), indent=None)


class Results:
    """The results of some trials, those that are there; its repr says where they come from.

    Args:
        trials: what was asked for.
        lines: stored results, of these trials and perhaps of others.
        folder: where the measurements are.
        command: what makes the results anew.
        made_now: whether all were made just now, rather than read.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        lines: Sequence[Mapping[str, Any]],
        folder: str | os.PathLike = "",
        command: str = "",
        made_now: bool = False,
    ) -> None:
        # By what their configs say today: a field that was added since has its default, and the trial is still the same.
        found, self.unreadable = {}, 0
        for line in lines:
            try:
                found[Trial.from_json(line["trial"]).identity] = line
            except ValueError:  # of a method or with a field that is no longer there: its trial is missing
                self.unreadable += 1
        self.trials = [trial for trial in trials if trial.identity in found]
        self.missing = [trial for trial in trials if trial.identity not in found]
        self.lines = [found[trial.identity] for trial in self.trials]
        self.command, self.made_now = command, made_now
        paths = [measurements_path(folder, trial) for trial in self.trials]
        self._measured = [load_json(path) if path.exists() else {} for path in paths]

    def tasks(self) -> list[str]:
        """The tasks, in order, each once."""
        return list(dict.fromkeys(trial.task for trial in self.trials))

    def frame(self) -> pd.DataFrame:
        """One row for every episode of every variant of every trial.

        Columns: `task`, `method` (its label), `seed`, `variant`, `iteration` (K of the variant, where the method has
        iterations), `episode`, `return`, `length`, `score` (normalised), `x` and `y` (where it ended), `profile`, `id`. A
        variant of which only the mean score was kept has one row, with no episode.
        """
        rows: list[dict[str, Any]] = []
        for trial, line in zip(self.trials, self.lines, strict=True):
            low, high = line["reference_returns"]
            shared = {"task": trial.task, "method": trial.label, "seed": trial.seed}
            label = {"profile": trial.profile, "id": trial.identity}
            for name in trial.variants:  # in the trial's order: a line has its names sorted
                result = line["variants"][name]
                last = getattr(trial.method, "planning_iterations", None)
                variant = {"variant": name, "iteration": trial.variants[name].get("iteration", last)}
                if "mean_score" in result:
                    rows.append({**shared, **variant, "score": result["mean_score"], **label})
                    continue
                for episode, earned in enumerate(result["returns"]):
                    x, y = (*result["final"][episode], None)[:2]
                    rows.append(
                        {
                            **shared,
                            **variant,
                            "episode": episode,
                            "return": earned,
                            "length": result["lengths"][episode],
                            "score": 100 * (earned - low) / (high - low),
                            "x": x,
                            "y": y,
                            **label,
                        }
                    )
        return pd.DataFrame(rows)

    def measured(self, name: str) -> pd.Series:
        """A measurement of every trial, by task, method and seed.

        Raises:
            ValueError: there is none of that name.
        """
        values = {}
        for trial, found in zip(self.trials, self._measured, strict=True):
            if name not in found:
                raise ValueError(f"no measurement {name!r} of {trial.task}; expected one of {sorted(found)}")
            values[trial.task, trial.label, trial.seed] = found[name]
        return pd.Series(values, dtype=object).rename_axis(["task", "method", "seed"])

    def origin(self) -> dict[str, str]:
        """Profile, command, dates, minutes of training, versions and machine, by name."""
        facts = [line["provenance"] for line in self.lines]
        dates = sorted(fact["date"] for fact in facts) or [""]
        seconds = sum(float(fact["seconds"]) for fact in facts)
        missing = {"missing": f"{len(self.missing)} trials; the command above makes them"} if self.missing else {}
        return {
            "profile": ", ".join(dict.fromkeys(trial.profile for trial in self.trials)),
            "computed": "while this page was built" if self.made_now else "before, and read from a file",
            "command": self.command,
            "seeds": ", ".join(str(seed) for seed in sorted({trial.seed for trial in self.trials})),
            "dates": " to ".join(dict.fromkeys((dates[0], dates[-1]))),
            "training and evaluation": f"{len(facts)} trials, at least {seconds / 60:.0f} minutes in all",
            "versions": "; ".join(sorted({fact["versions"] for fact in facts})),
            "machine": "; ".join(sorted({fact["machine"] for fact in facts})),
            **missing,
            **({"of another version": f"{self.unreadable} stored results"} if self.unreadable else {}),
        }

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self.origin().items()]
        return f"<table><tbody>{''.join(rows)}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.origin().items())
