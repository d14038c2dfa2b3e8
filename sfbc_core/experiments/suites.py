"""Suites: which trials stand behind a chapter, by name and profile, and what is measured of each trained agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sfbc_core.experiments import drivers, measurements
from sfbc_core.experiments.ablations import ablation_trials, each_iteration
from sfbc_core.experiments.beyond import beyond_trials, fidelity_by_steps
from sfbc_core.experiments.comparisons import (
    ANT_MAZES,
    HOPPER,
    bandit_trials,
    driver_trials,
    simulator_trials,
    table_1_trials,
)
from sfbc_core.experiments.departure import departure_from_the_data
from sfbc_core.experiments.fidelity import WAYS, fidelity_of_the_behavior, fidelity_trials
from sfbc_core.experiments.measurements import Measurement
from sfbc_core.experiments.profiles import PROFILES, choose
from sfbc_core.experiments.rollouts import order_of_candidates
from sfbc_core.experiments.settings import method_config
from sfbc_core.experiments.trial import Trial
from sfbc_core.experiments.untrained import untrained_data
from sfbc_core.tasks.registry import REGENERATED

MAZES = ("umaze", "medium", "large")


@dataclass(frozen=True)
class Suite:
    """A named list of trials.

    Attributes:
        trials: profile -> the trials, in the order of the results.
        measurements: what is measured of each trained agent besides scores, by name.
        smoke_data: (folder) -> None; puts small files of data there on which the profile "smoke" runs where the real ones
            would need policies; None if the tasks make their own data.
    """

    trials: Callable[[str], Sequence[Trial]]
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    smoke_data: Callable[[Path], None] | None = None


def suite_named(name: str) -> Suite:
    """The suite of that name.

    Raises:
        ValueError: no such suite.
    """
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}; expected one of {sorted(SUITES)}")
    return SUITES[name]


# ---- The toy maze ----------------------------------------------------------------------------------------------------

# Eq. 12 and the two other rules that are in use; see `planned_returns`.
PLANNING_RULES = {
    "Eq. 12": {},
    "early maximum": {"max_on": "current"},
    "timeouts cut": {"timeout": "cut"},
}


def toy_maze_trials(profile: str) -> list[Trial]:
    """Every planning rule with every seed, which is that of the data too; evaluated after every iteration."""
    transitions = choose(profile, smoke=1_500, quick=20_000, full=100_000)
    trials = []
    for seed in range(choose(profile, smoke=2, quick=10, full=10)):
        config = method_config("SfBC", "toy-maze", profile, seed)
        for rule, changes in PLANNING_RULES.items():
            trials.append(
                Trial(
                    "toy-maze",
                    replace(config, **changes),
                    episodes=choose(profile, smoke=2, quick=50, full=200),
                    variants=each_iteration(config),
                    transitions=transitions,
                    data_seed=seed,
                    label=rule,
                    profile=profile,
                )
            )
    return trials


# ---- Maze2D ----------------------------------------------------------------------------------------------------------

# Tried after two iterations; the configured way is the paper's, the best of 32.
OTHER_WAYS = {
    "best of 8": {"num_candidates": 8},
    "best of 128": {"num_candidates": 128},
    "softmax, α = 20": WAYS["softmax, α = 20"],
}


def maze2d_trials(profile: str) -> list[Trial]:
    """Every maze with every seed, evaluated after every iteration."""
    tasks = [f"regen/maze2d-{maze}-v1" for maze in choose(profile, smoke=MAZES[:1], quick=MAZES, full=MAZES)]
    seeds = range(choose(profile, smoke=2, quick=3, full=3))
    configs = [(task, method_config("SfBC", task, profile, seed)) for seed in seeds for task in tasks]
    others = {f"{way}, K = 2": {"iteration": 2, **changes} for way, changes in OTHER_WAYS.items()}
    return [
        Trial(
            task,
            config,
            episodes=choose(profile, smoke=1, quick=20, full=20),
            variants=each_iteration(config) | others,
            transitions=choose(profile, smoke=2_000, quick=1_000_000, full=None),
            profile=profile,
        )
        for task, config in configs
    ]


# ---- Locomotion ------------------------------------------------------------------------------------------------------


def locomotion_trials(profile: str) -> list[Trial]:
    """A hopper from medium and expert recordings, with every seed and every way to select."""
    ways = {
        "any candidate": WAYS["behavior alone"],
        **{way: WAYS[way] for way in ("softmax, α = 20", "best of 32", "mean of the best 4")},
    }
    task, trials = f"regen/{HOPPER}", []
    for seed in range(choose(profile, smoke=2, quick=3, full=4)):
        config = method_config("SfBC", task, profile, seed)
        variants = each_iteration(config)
        for way, changes in ways.items():
            variants |= each_iteration(config, way, **changes)
        episodes = choose(profile, smoke=2, quick=20, full=20)
        trials.append(Trial(task, config, episodes, variants, profile=profile))
    return trials


SUITES: dict[str, Suite] = {
    "toy-maze": Suite(toy_maze_trials),
    "drivers": Suite(
        driver_trials,
        {
            "parameters": drivers.parameters,
            "map": drivers.throttle_map,
            "middle": drivers.throttle_in_the_middle,
            "support": drivers.support_of_drives,
        },
    ),
    "bandit": Suite(bandit_trials, {"actions": drivers.actions_of_the_bandit}),
    "simulators": Suite(
        simulator_trials,
        {"values": measurements.learned_values},
        smoke_data=partial(untrained_data, task=HOPPER, sizes=(11, 3), policies=2, steps=600),
    ),
    "maze2d": Suite(
        maze2d_trials,
        {
            "data": measurements.data_summary,
            "planned returns": measurements.planned_returns_in_the_maze,
            "agreement": measurements.agreement_with_the_controller,
            "members": measurements.scores_of_members,
            "episodes": measurements.first_and_last_episode,
        },
    ),
    "fidelity": Suite(
        fidelity_trials,
        {
            "data": measurements.data_summary,
            "planned returns": measurements.planned_returns_in_the_maze,
            "fidelity": fidelity_of_the_behavior,
            "order": order_of_candidates,
            "departure": departure_from_the_data,
            "episodes": measurements.arriving_episode,
        },
        partial(untrained_data, task=ANT_MAZES[0].removeprefix(REGENERATED), sizes=(29, 8), policies=1, steps=1_500),
    ),
    "ablations": Suite(
        ablation_trials, {"reach": measurements.reach_of_candidates, "seconds": measurements.seconds_of_decisions}
    ),
    "table-1": Suite(table_1_trials),
    "beyond": Suite(beyond_trials, {"fidelity": fidelity_by_steps, "seconds": measurements.seconds_of_decisions}),
    "locomotion": Suite(
        locomotion_trials,
        {
            "data": measurements.data_summary,
            "recorded episodes": measurements.recorded_episodes,
            "all returns": measurements.first_critic_of_all_returns,
            "episodes": measurements.last_episode,
        },
        partial(untrained_data, task=HOPPER, sizes=(11, 3), policies=2, steps=600),
    ),
}


def trial_of(identity: str) -> tuple[str, Trial]:
    """The trial of that identity and the first suite that has it, of any profile but "quick" before others.

    Raises:
        ValueError: there is none.
    """
    for name, suite in SUITES.items():
        for profile in sorted(PROFILES, key=lambda name: name != "quick"):
            for trial in suite.trials(profile):
                if trial.identity == identity:
                    return name, trial
    raise ValueError(f"no suite has a trial {identity!r}: `list` shows those of a suite")
