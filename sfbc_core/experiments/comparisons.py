"""Trials that compare every method: on the car, on the bandit of chapter 4, and in two of D4RL's simulators."""

from __future__ import annotations

from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.settings import METHOD_CONFIGS, method_config
from sfbc_core.experiments.trial import AS_CONFIGURED, Trial

CARS = ("bidirectional-car", "bidirectional-car-single-side")
VEM_ONCE = "VEM, τ = 0.9"  # VEM's own default, where not every τ is tried
HOPPER = "hopper-medium-expert-v2"
UMAZE = "regen/maze2d-umaze-v1"
# Ways to act by method: IDQL's paper draws by weights, which leave much to chance, and has a greedy choice beside it.
WAYS = {"IDQL": {AS_CONFIGURED: {}, "greedy": {"selection": "greedy"}}}
VEM_BETWEEN = {f"VEM, τ = 0.{tenth}" for tenth in range(2, 9)}  # not at "smoke"


def driver_trials(profile: str) -> list[Trial]:
    """Every method on both tasks of the car, with every seed; VEM with every τ, as the paper did it."""
    methods = [method for method in METHOD_CONFIGS if profile != "smoke" or method not in VEM_BETWEEN]
    return [
        Trial(
            task,
            method_config(method, task, profile, seed),
            episodes=choose(profile, smoke=2, quick=100, full=100),
            variants=WAYS.get(method, {AS_CONFIGURED: {}}),
            # At "smoke" just enough that some episode earns something, which one of IQL's settings needs.
            transitions=choose(profile, smoke=800, quick=20_000, full=1_000_000),
            label=method,
            profile=profile,
        )
        for seed in range(choose(profile, smoke=1, quick=3, full=3))
        for task in CARS
        for method in methods
    ]


def _once() -> list[str]:
    """Every method, VEM with one τ."""
    return [method for method in METHOD_CONFIGS if method == VEM_ONCE or not method.startswith("VEM, ")]


def bandit_trials(profile: str) -> list[Trial]:
    """Every method on chapter 4's bandit, with every seed."""
    task = "two-way-bandit"
    return [
        Trial(
            task,
            method_config(method, task, profile, seed),
            episodes=choose(profile, smoke=2, quick=100, full=100),
            variants=WAYS.get(method, {AS_CONFIGURED: {}}),
            transitions=choose(profile, smoke=400, quick=4_000, full=50_000),
            label=method,
            profile=profile,
        )
        for seed in range(choose(profile, smoke=1, quick=3, full=3))
        for method in _once()
    ]


def simulator_trials(profile: str) -> list[Trial]:
    """Every method in the smallest maze and on the hopper, where it is no toy; one seed below "full"."""
    tasks = {
        UMAZE: choose(profile, smoke=2_000, quick=1_000_000, full=1_000_000),
        f"regen/{HOPPER}": None,  # as many as were recorded
    }
    return [
        Trial(
            task,
            method_config(method, task, profile, seed),
            episodes=choose(profile, smoke=1, quick=20, full=100),
            variants=WAYS.get(method, {AS_CONFIGURED: {}}),
            transitions=transitions,
            label=method,
            profile=profile,
        )
        for seed in range(choose(profile, smoke=1, quick=1, full=3))
        for task, transitions in tasks.items()
        for method in _once()
    ]
