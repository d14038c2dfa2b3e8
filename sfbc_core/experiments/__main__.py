"""The command line of the studies: ``python -m sfbc_core.experiments maze2d --profile quick``."""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from sfbc_core.experiments.profiles import PROFILES
from sfbc_core.experiments.study import STUDIES, StudyRecord, record_path, run_study, save_record

DESCRIPTION = """\
Run the trials behind a chapter and write what the chapter shows of them. A command that was killed goes on where it was
when it is given again; trials that are done are not run again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; `arguments` are those of the process if not given. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sfbc_core.experiments", description=DESCRIPTION)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="how much is trained (default: quick)")
    parser.add_argument("--runs", type=Path, help="folder of the trials (default: runs/STUDY-PROFILE)")
    parser.add_argument("--output", type=Path, default=Path("book/results"), help="folder of the record")
    parser.add_argument("--data-folder", help="where the tasks' data files are, if not in the default folder")
    parser.add_argument("--jobs", type=int, default=1, help="trials side by side, each with one thread (default: 1)")
    parser.add_argument("--device", default="cpu", help="where to train, for example cuda (default: cpu)")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {options.jobs}")
    runs = options.runs or Path("runs") / f"{options.study}-{options.profile}"
    # Spawned, not forked: a fork of a process that uses threads or a GPU can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(options.jobs, mp_context=context) if options.jobs > 1 else nullcontext()
    try:
        with pool as executor:
            record = run_study(
                options.study,
                options.profile,
                runs,
                data_folder=options.data_folder,
                executor=executor,
                device=options.device,
            )
    except (OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    path = record_path(options.study, options.profile, options.output)
    save_record(record, path)
    for trial in record["trials"]:
        config, score = trial["config"], trial["normalized_score"]
        print(f"{config['task']}  seed {config['agent']['seed']}  score {score:.1f}")
    print(f"{StudyRecord(record, path)!r}\nwritten to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
