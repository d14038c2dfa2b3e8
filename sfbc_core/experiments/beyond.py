"""Beyond the paper: other places for the solver's steps, and two behavior models that the paper does not have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sfbc_core.behavior import DistilledConfig, FlowMatchingConfig, check_fidelity
from sfbc_core.experiments.ablations import DIFFUSION, solver_variants
from sfbc_core.experiments.comparisons import CARS
from sfbc_core.experiments.profiles import choose
from sfbc_core.experiments.settings import method_config
from sfbc_core.experiments.trial import Trial
from sfbc_core.methods.sfbc import SOLVERS, SfBC, SfBCConfig
from sfbc_core.tasks.registry import Task
from sfbc_core.trajectories import Trajectories

FLOW, DISTILLED = "flow matching", "distilled"
# D of the solvers, of which the accurate one cannot do with one, and of the flow.
FEW_STEPS, FEWER_STEPS = (3, 5, 10, 15), (1, 2, 3, 5, 10, 15)
ONE_STEP = "one evaluation"
HELD_OUT_SEED = 1_000_000  # of the generated data on which a behavior model is judged


def with_new_behaviors(config: SfBCConfig) -> dict[str, SfBCConfig]:
    """SfBC with each of the three behavior models, by name: the same network, steps and batches; all else is the same."""
    diffusion = config.behavior
    flow = FlowMatchingConfig(
        diffusion.network,
        steps=diffusion.solver.steps,
        training=diffusion.training,
        standardize_states=diffusion.standardize_states,
    )
    behaviors = {DIFFUSION: diffusion, FLOW: flow, DISTILLED: DistilledConfig(diffusion)}
    return {name: replace(config, behavior=behavior) for name, behavior in behaviors.items()}


def ways_to_draw(name: str, config: SfBCConfig) -> dict[str, dict[str, Any]]:
    """A variant for each solver and number of network evaluations with which such a behavior model can draw."""
    last = {"iteration": config.planning_iterations}
    if name == DIFFUSION:
        return solver_variants(config, tuple(SOLVERS), FEW_STEPS)
    if name == FLOW:
        return {f"{FLOW}, D = {steps}": {**last, "solver_steps": steps} for steps in FEWER_STEPS}
    return {f"{ONE_STEP}, D = 1": last}


def beyond_trials(profile: str) -> list[Trial]:
    """The car with each behavior model and every seed, in every way to draw."""
    trials = []
    for seed in range(choose(profile, smoke=1, quick=3, full=3)):
        for name, config in with_new_behaviors(method_config("SfBC", CARS[0], profile, seed)).items():
            trials.append(
                Trial(
                    CARS[0],
                    config,
                    episodes=choose(profile, smoke=2, quick=100, full=100),
                    variants=ways_to_draw(name, config),
                    transitions=choose(profile, smoke=800, quick=20_000, full=1_000_000),
                    label=name,
                    profile=profile,
                )
            )
    return trials


def fidelity_by_steps(trial: Trial, agent: SfBC, task: Task, data: Trajectories) -> dict[str, dict[str, Any]]:
    """How faithful the candidates of each variant are, held against data of another seed: see `check_fidelity`."""
    held_out = task.load_trajectories(transitions=len(data), seed=HELD_OUT_SEED + trial.seed)
    return {
        name: check_fidelity(agent.acting(**changes).behavior, data, held_out, seed=trial.seed).to_dict()
        for name, changes in trial.variants.items()
    }
