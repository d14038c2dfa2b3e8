"""Trials that compare every method: on the car, on the bandit of chapter 4, in D4RL's simulators, and in Table 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sfbc_core.experiments.paper import paper_settings, reported_numbers
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.settings import METHOD_CONFIGS, method_config
from sfbc_core.experiments.trial import AS_CONFIGURED, Trial
from sfbc_core.methods.vem import VEMConfig

CARS = ("bidirectional-car", "bidirectional-car-single-side")
BANDIT = "two-way-bandit"
UMAZE, HOPPER = "regen/maze2d-umaze-v1", "hopper-medium-expert-v2"
VEM_ONCE = f"VEM, τ = {VEMConfig().expectile:g}"  # where not every τ is tried
ONCE = [method for method in METHOD_CONFIGS if method == VEM_ONCE or not method.startswith("VEM, ")]
# Ways to act by method: IDQL's paper draws by weights, which leave much to chance, and has a greedy choice beside it.
WAYS = {"IDQL": {AS_CONFIGURED: {}, "greedy": {"selection": "greedy"}}}
# In the simulators, for methods that take the best of some draws: without the choice.
ONE_CANDIDATE = {AS_CONFIGURED: {}, "one candidate": {"num_candidates": 1}}
SIMULATOR_WAYS = {**WAYS, "EMaQ": ONE_CANDIDATE, "Diffusion-QL": ONE_CANDIDATE}


# Of the tasks whose data one command makes, those that are compared at "quick", and with how many seeds.
MAZES_2D = (UMAZE, "regen/maze2d-medium-v1", "regen/maze2d-large-v1")
ANT_MAZES = ("regen/antmaze-umaze-v2", "regen/antmaze-medium-play-v2")
SEEDS = dict.fromkeys(MAZES_2D, 3) | dict.fromkeys((f"regen/{HOPPER}", *ANT_MAZES), 1)


def _trials(
    profile: str,
    methods: Iterable[str],
    seeds: int,
    transitions: Mapping[str, int | None],
    episodes: int,
    ways: Mapping[str, Mapping[str, Mapping[str, Any]]] = WAYS,
) -> list[Trial]:
    """Each method with each seed on each task of `transitions`, which says how many to make; None for those on file."""
    return [
        Trial(
            task,
            method_config(method, task, profile, seed),
            episodes,
            ways.get(method, {AS_CONFIGURED: {}}),
            transitions=size,
            label=method,
            profile=profile,
        )
        for seed in range(seeds)
        for task, size in transitions.items()
        for method in methods
    ]


def driver_trials(profile: str) -> list[Trial]:
    """Every method on both tasks of the car, with every seed; VEM with every τ, as the paper did it."""
    # At "smoke" just enough that some episode earns something, which one of IQL's settings needs.
    transitions = choose(profile, smoke=800, quick=20_000, full=1_000_000)
    return _trials(
        profile,
        choose(profile, smoke=ONCE, quick=METHOD_CONFIGS, full=METHOD_CONFIGS),
        seeds=choose(profile, smoke=1, quick=3, full=3),
        transitions=dict.fromkeys(CARS, transitions),
        episodes=choose(profile, smoke=2, quick=100, full=100),
    )


def bandit_trials(profile: str) -> list[Trial]:
    """Every method on chapter 4's bandit, with every seed."""
    return _trials(
        profile,
        ONCE,
        seeds=choose(profile, smoke=1, quick=3, full=3),
        transitions={BANDIT: choose(profile, smoke=400, quick=4_000, full=50_000)},
        episodes=choose(profile, smoke=2, quick=100, full=100),
    )


def simulator_trials(profile: str) -> list[Trial]:
    """Every method in the smallest maze and on the hopper, where it is no toy; one seed below "full"."""
    return _trials(
        profile,
        ONCE,
        seeds=choose(profile, smoke=1, quick=1, full=3),
        transitions={UMAZE: choose(profile, smoke=2_000, quick=1_000_000, full=1_000_000), f"regen/{HOPPER}": None},
        episodes=choose(profile, smoke=1, quick=20, full=100),
        ways=SIMULATOR_WAYS,
    )


def table_1_trials(profile: str) -> list[Trial]:
    """Every method on tasks of Table 1: at "full" on all 23, with D4RL's own data; at "smoke" on those of the car alone."""
    trials = driver_trials(profile)
    seeds = choose(
        profile,
        smoke={},
        quick=SEEDS,
        full={task: paper_settings(task).trials for task in reported_numbers()["table_1"] if task not in CARS},
    )
    for task, count in seeds.items():
        size = {task: 1_000_000 if task in MAZES_2D else None}
        episodes = paper_settings(task).evaluation_episodes
        trials += _trials(profile, ONCE, count, size, episodes, SIMULATOR_WAYS)
    return trials
