"""The command line: ``python -m sfbc_core.tasks.d4rl.regeneration maze2d-umaze-v1 --steps 1000000 --seed 0``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sfbc_core.tasks.d4rl.regeneration.recipes import SIZES, make_recipe, policies_needed
from sfbc_core.tasks.d4rl.regeneration.recording import record, regenerated_folder

DESCRIPTION = """\
Regenerate a data set of D4RL with D4RL's own recipe, as an HDF5 file with D4RL's layout. The recipe is written into the
file's attributes. If the command is killed, run it again: it goes on where it was and ends with the same data."""


def _epilog() -> str:
    tasks = (f"  {task:29}{SIZES[task]:>9,}  {', then '.join(policies_needed(task)) or 'no policy'}" for task in SIZES)
    return "\n".join(
        [
            "tasks, the number of transitions in D4RL's file, and the policies they need:",
            *tasks,
            "",
            "A policy is an .npz file with a tanh-Gaussian network of two hidden relu layers. Its arrays are named as in",
            "rlkit (fc0.weight, fc0.bias, fc1, last_fc, last_fc_log_std) or in Stable-Baselines3 (latent_pi.0,",
            "latent_pi.2, mu, log_std). The ant's policy takes the observation without x and y, followed by a direction of",
            "length 10.",
            "",
            'Read the data with load_task("regen/TASK").load_trajectories().',
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these `arguments`, by default those of the process. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sfbc_core.tasks.d4rl.regeneration",
        description=DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", metavar="TASK", help="D4RL's name, such as maze2d-umaze-v1")
    parser.add_argument("--steps", type=int, help="number of transitions (default: as many as D4RL's file has)")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="the same seed makes the same data, on the same kind of processor (default: 0)",
    )
    parser.add_argument(
        "--policy", action="append", default=[], metavar="FILE", help="an .npz file; give it twice for medium-expert"
    )
    parser.add_argument("--folder", help=f"where to put the file (default: {regenerated_folder()})")
    options = parser.parse_args(arguments)
    try:
        recipe = make_recipe(options.task, steps=options.steps, seed=options.seed, policies=options.policy)
        path = record(recipe, options.folder)
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"{recipe.name}: {recipe.steps:,} transitions, seed {recipe.seed}, in {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
