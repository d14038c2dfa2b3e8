"""The command line: ``python -m sfbc_core.experiments run maze2d --profile quick --jobs 2``."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pandas as pd

from sfbc_core.experiments.cluster import dask_executor
from sfbc_core.experiments.paper_tables import table_1, table_2, table_4
from sfbc_core.experiments.profiles import PROFILES
from sfbc_core.experiments.rendering import FORMATS, rendered
from sfbc_core.experiments.results import Results, results_folder
from sfbc_core.experiments.running import described, run_suite, stored_results, suite_results, trial_command
from sfbc_core.experiments.suites import SUITES, trial_of
from sfbc_core.experiments.tables import score_table
from sfbc_core.experiments.trial import Trial
from sfbc_core.paths import user_path

RESULTS = Path("book/results")  # here
# Of the paper: the number of a table, the suite behind it, and the function of its frame.
PAPER_TABLES = {"1": ("table-1", table_1), "2": ("ablations", table_2), "4": ("ablations", table_4)}
DESCRIPTION = """\
run: train and evaluate the trials of a suite that are not stored yet, and store each as it is done; a command that was
killed goes on where it was when it is given again.  list: which trials are stored and which are missing.  table: the scores
of those that are stored, or a table of the paper by its number.  show: what a stored trial is, and the command that makes
it again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; `arguments` are those of the process if not given. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sfbc_core.experiments", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "train and evaluate what is missing"),
        ("list", "what is stored, with the minutes that it took, and what is missing"),
        ("table", "the scores of what is stored, or a table of the paper"),
    ):
        command = commands.add_parser(name, help=text)
        numbers = list(PAPER_TABLES) if name == "table" else []
        command.add_argument("suite", choices=[*sorted(SUITES), *numbers])
        command.add_argument(
            "--profile", choices=PROFILES, default="quick", help="how much is trained (default: quick)"
        )
        command.add_argument("--tasks", nargs="+", metavar="TASK", help="only these tasks of the suite")
        command.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="only these seeds")
        command.add_argument(
            "--labels",
            nargs="+",
            metavar="LABEL",
            help="only these rows, by the names that list shows; in quotes where they have spaces",
        )
        _add_results(command)
        if name == "table":
            command.add_argument("--format", choices=FORMATS, help="of a table of the paper (default: markdown)")
        if name == "run":
            command.add_argument("--runs", type=user_path, default=Path("runs"), help="where to train (default: runs)")
            command.add_argument("--data-folder", help="where the tasks' data files are, if not in the default folder")
            command.add_argument(
                "--jobs", type=int, default=1, help="trials side by side, one thread each (default: 1)"
            )
            command.add_argument(
                "--dask",
                metavar="ADDRESS",
                help="of a Dask scheduler, such as tcp://10.0.0.1:8786, whose workers run the trials",
            )
            command.add_argument(
                "--logs", type=user_path, help="where to write losses and scores, for TensorBoard and as CSV files"
            )
            command.add_argument("--device", default="cpu", help="where to train, for example cuda (default: cpu)")
    command = commands.add_parser("show", help="a stored trial, and the command that makes it again")
    command.add_argument("trial", help="its id, which list shows")
    _add_results(command)
    options = parser.parse_args(arguments)
    if options.results is None:
        here = options.command == "run" or RESULTS.is_dir()
        options.results = RESULTS if here else results_folder()
    if options.command == "show":
        return _show(parser, options)
    function = None
    if options.suite in PAPER_TABLES:
        options.suite, function = PAPER_TABLES[options.suite]
    elif getattr(options, "format", None):
        parser.error(f"--format is of the paper's tables, {', '.join(PAPER_TABLES)}; that of a suite is in Markdown")
    trials = _chosen(parser, options)
    if options.command == "run":
        return _run(parser, options, trials)
    if function is not None and options.profile == "smoke":  # made now: it takes as long as to look it up
        results = suite_results(options.suite, "smoke", options.results, options.tasks)
    else:
        results = stored_results(options.suite, options.profile, options.results)
    results = Results(trials, results.lines, options.results)
    if options.command == "list":
        return _list(results)
    frame = results.frame()
    if frame.empty:
        print(f"nothing is stored of these trials: {_command(options)} makes them")
        return 0
    print(_markdown(frame) if function is None else rendered(function(frame), options.format or "markdown"))
    if results.missing:
        count = len(results.missing)
        print(f"{count} trials of this table are not stored: {_command(options)} makes them", file=sys.stderr)
    return 0


def _list(results: Results) -> int:
    for trial, line in zip(results.trials, results.lines, strict=True):
        minutes = float(line["provenance"]["seconds"]) / 60
        print(f"stored  {minutes:5.1f} min  {trial.identity}  {described(trial)}")
    for trial in results.missing:
        print(f"missing{' ' * 10}  {trial.identity}  {described(trial)}")
    return 0


def _command(options: argparse.Namespace) -> str:
    """The command that runs the chosen trials of a suite."""
    chosen = {"--tasks": options.tasks, "--seeds": options.seeds, "--labels": options.labels}
    words = [word for name, of in chosen.items() if of for word in (name, *map(str, of))]
    return shlex.join(
        ["python", "-m", "sfbc_core.experiments", "run", options.suite, "--profile", options.profile, *words]
    )


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--results",
        type=user_path,
        help=f"folder of the results (default: {RESULTS}; where there is none, all but run read those of the package)",
    )


def _show(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        name, trial = trial_of(options.trial)
    except ValueError as error:
        parser.error(str(error))
    results = stored_results(name, trial.profile, options.results)
    results = Results([trial], results.lines, options.results, trial_command(trial))
    print(json.dumps(trial.to_json(), indent=1, ensure_ascii=False))
    for what, value in results.origin().items():
        print(f"{what}: {value}")
    if results.trials:
        print(_markdown(results.frame()))
    return 0


def _markdown(frame: pd.DataFrame) -> str:
    # The task, the method and the variant are columns here: as an index they would be printed as one Python tuple.
    return score_table(frame).reset_index().to_markdown(index=False)


def _chosen(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Trial]:
    trials = list(SUITES[options.suite].trials(options.profile))
    for name, of in (("tasks", "task"), ("seeds", "seed"), ("labels", "label")):
        given = getattr(options, name)
        there = list(dict.fromkeys(getattr(trial, of) for trial in trials))
        if wrong := sorted(set(given or ()) - set(there)):
            parser.error(f"--{name}: {wrong} is not in the suite {options.suite}; expected some of {there}")
        trials = [trial for trial in trials if not given or getattr(trial, of) in given]
    return trials


def _pool(options: argparse.Namespace) -> AbstractContextManager[Executor | None]:
    """What runs the trials: workers of a cluster, processes, or nothing but this process."""
    if options.dask is not None:
        return dask_executor(options.dask)
    if options.jobs > 1:
        # Spawned, not forked: a fork of a process that uses threads or a GPU can hang.
        return ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn"))
    return nullcontext()


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace, trials: Sequence[Trial]) -> int:
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {options.jobs}")
    if options.dask is not None and options.jobs > 1:
        parser.error("--jobs and --dask exclude each other: on a cluster every worker runs a trial at a time")
    try:
        with _pool(options) as executor:
            results = run_suite(
                options.suite,
                options.profile,
                options.runs / options.profile,  # of all suites, which have trials in common
                options.results,
                trials=trials,
                executor=executor,
                progress=True,
                device=options.device,
                data_folder=options.data_folder,
                logs=options.logs,
            )
    except (OSError, ImportError) as error:  # ConnectionError among them
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(_markdown(results.frame()))
    print(f"written to {options.results / options.suite}.jsonl")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
