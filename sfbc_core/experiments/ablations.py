"""The paper's ablations: another behavior model, fewer or more solver steps, fewer iterations of planning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sfbc_core.behavior import GaussianConfig, SolverConfig, VAEConfig
from sfbc_core.experiments.comparisons import ANT_MAZES, CARS, HOPPER, UMAZE
from sfbc_core.experiments.paper import paper_settings
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.settings import method_config
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods.sfbc import SfBCConfig, SolverName
from sfbc_core.training import TrainingConfig

# Trained first, what costs the least; the paper has these ablations in locomotion and the ant's mazes alone.
ABLATED = (CARS[0], f"regen/{HOPPER}", UMAZE, ANT_MAZES[0])
SOLVER_STEPS = (5, 10, 15, 25)  # D of the paper's Table 2
ABLATED_SOLVERS: tuple[SolverName, ...] = ("published", "accurate")
DIFFUSION = "diffusion"
# Below "full", where each has its own budget from the paper: the same steps and batches for all three, a rate for each.
RATE, WIDTH = 1e-3, 256


def each_iteration(config: SfBCConfig, way: str = "as configured", **changes: Any) -> dict[str, dict[str, Any]]:
    """A variant for each planning iteration of SfBC: the agent that stopped there, acting in the given way."""
    return {f"{way}, K = {k}": {"iteration": k, **changes} for k in range(1, config.planning_iterations + 1)}


def with_behaviors(config: SfBCConfig, profile: str) -> dict[str, SfBCConfig]:
    """SfBC with each kind of behavior model, by name; all else is the same (Table 4)."""
    if profile == "full":
        others = {"Gaussian": GaussianConfig(), "VAE": VAEConfig()}
    else:
        steps = config.behavior.training.gradient_steps
        training = TrainingConfig.small(steps, learning_rate=RATE, checkpoint_every=1000)
        width = choose(profile, smoke=8, quick=WIDTH, full=None)
        others = {"Gaussian": GaussianConfig(width, training=training), "VAE": VAEConfig(width, training=training)}
        solver = SolverConfig.accurate(choose(profile, smoke=3, quick=15, full=None))
        config = replace(config, behavior=replace(config.behavior, solver=solver))
    return {DIFFUSION: config, **{name: replace(config, behavior=behavior) for name, behavior in others.items()}}


def solver_variants(
    config: SfBCConfig,
    solvers: Iterable[SolverName] = ABLATED_SOLVERS,
    numbers: Iterable[int] = SOLVER_STEPS,
) -> dict[str, dict[str, Any]]:
    """Ways to act with other solvers and numbers of steps; those of the plans are as configured (Table 2)."""
    return {
        f"{solver} solver, D = {steps}": {
            "iteration": config.planning_iterations,
            "solver": solver,
            "solver_steps": steps,
        }
        for solver in solvers
        for steps in numbers
    }


def ablation_trials(profile: str) -> list[Trial]:
    """Every behavior model with every seed, evaluated after every iteration; the diffusion model by every solver."""
    tasks = choose(profile, smoke=ABLATED[:1], quick=ABLATED, full=ABLATED)
    transitions = {
        CARS[0]: choose(profile, smoke=800, quick=20_000, full=1_000_000),
        UMAZE: 1_000_000,
    }
    trials = []
    for seed in range(choose(profile, smoke=1, quick=3, full=3)):
        for task in tasks:
            for name, config in with_behaviors(method_config("SfBC", task, profile, seed), profile).items():
                variants = each_iteration(config) | (solver_variants(config) if name == DIFFUSION else {})
                usual = paper_settings(task).evaluation_episodes
                episodes = choose(profile, smoke=2, quick=usual, full=usual)
                size = transitions.get(task)
                trials.append(Trial(task, config, episodes, variants, transitions=size, label=name, profile=profile))
    return trials
