"""Settings by method, task and profile: the paper's at "full", smaller ones of the same kind for one core and for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sfbc_core.behavior import DiffusionConfig, SolverConfig
from sfbc_core.critic import CriticConfig
from sfbc_core.diffusion import ScoreNetworkConfig
from sfbc_core.experiments.paper import paper_config, paper_settings
from sfbc_core.experiments.profiles import checked_profile, choose
from sfbc_core.methods.awr import AWRConfig
from sfbc_core.methods.bail import BAILConfig
from sfbc_core.methods.bcq import BCQConfig
from sfbc_core.methods.cloning import BCConfig
from sfbc_core.methods.cql import CQLConfig
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.diffuser import DiffuserConfig
from sfbc_core.methods.diffusion_ql import DiffusionQLConfig
from sfbc_core.methods.emaq import EMaQConfig
from sfbc_core.methods.idql import IDQLConfig
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.methods.td3_bc import TD3BCConfig
from sfbc_core.methods.vem import VEMConfig
from sfbc_core.methods.weighted_regression import WeightedRegressionConfig
from sfbc_core.tasks.registry import REGENERATED
from sfbc_core.training import TrainingConfig

# ---- SfBC ------------------------------------------------------------------------------------------------------------

# Maze2D. The paper gives no γ and no K for these tasks. At 100 steps a second, the way through the large maze takes 400
# steps, of which 0.99 would leave less than two hundredths of a reward. Four iterations, so that all mazes are seen over the
# same K.
DISCOUNT, ITERATIONS = {"umaze": 0.99, "medium": 0.995, "large": 0.995}, 4
# At "quick". In the smallest maze single critics can differ widely, see chapter 11: four, each trained half as long.
CRITIC = {
    "umaze": {"critic_steps": 4_000, "members": 4},
    "medium": {"critic_steps": 8_000},
    "large": {"critic_steps": 8_000},
}
# Ant mazes, below "full": of the episodes, the behavior model does not learn from these and is judged on them. The
# model is trained until the loss on them has all but stopped falling: on its fidelity the best of 32 stands, see chapter 12.
HELD_OUT_SHARE = 0.05
# The results of chapters 11 and 13 were made with this many network evaluations a candidate, which is too few: see there.
STORED_SOLVER_STEPS = 8
MEAN_OF = 12  # candidates that a robot's agent averages below "full"; the paper averages four


def small_config(
    *,
    widths: tuple[int, ...],
    behavior_steps: int,
    critic_steps: int,
    members: int = 1,
    solver_steps: int = 15,
    behavior_rate: float = 4e-3,
    **options: Any,
) -> SfBCConfig:
    """SfBC for one core: networks and training smaller than the paper's, but of the same kind.

    Args:
        widths: of the score network's levels.
        behavior_steps, critic_steps: gradient steps, each on 1024 transitions.
        members: networks of the critic, of which each takes all the steps.
        solver_steps: network evaluations for a candidate, by the accurate solver of chapter 3.
        behavior_rate: learning rate of the behavior model.
        options: further fields of :class:`~sfbc_core.methods.sfbc.SfBCConfig`.
    """
    network = ScoreNetworkConfig(widths, embedding_dim=max(widths) // 2, fourier_features=32, fourier_scale=4.0)
    behavior, critic = (
        TrainingConfig.small(steps, learning_rate=rate, checkpoint_every=1000)
        for steps, rate in ((behavior_steps, behavior_rate), (critic_steps, 3e-3))
    )
    return SfBCConfig(
        behavior=DiffusionConfig(network, solver=SolverConfig.accurate(solver_steps), training=behavior),
        critic=CriticConfig(members=members, training=critic),
        **options,
    )


def smoke_config(**options: Any) -> SfBCConfig:
    """The same at a size that takes a moment; `options` are fields of SfBC's config, and `members`."""
    config = small_config(
        widths=(8,), behavior_steps=10, critic_steps=10, solver_steps=3, value_candidates=2, **options
    )
    # The few transitions may hold next to no reward, of which the usual floor would warn.
    return replace(config, critic=replace(config.critic, minimum_deviation=0.0))


def sfbc_config(task: str, profile: str, seed: int) -> SfBCConfig:
    """SfBC on a task: below "full" with the settings of chapters 11 to 13 for their families, and plain ones elsewhere."""
    family = _family(task)
    if family == "maze2d":
        return _maze2d_config(task.split("-")[1], profile, seed)
    if task == "toy-maze":
        return _toy_maze_config(profile, seed)
    if profile == "full":
        return paper_config(task, seed)
    shared = {"planning_iterations": paper_settings(task).planning_iterations, "seed": seed}
    if family == "antmaze":
        # In the smallest maze every recorded walk goes to the goal, and two iterations do.
        few = profile == "smoke" or task.endswith("antmaze-umaze-v2")
        shared |= {"planning_iterations": 2} if few else {}
        shared |= {"value_every": 10, "held_out_share": HELD_OUT_SHARE}
        if profile == "smoke":
            return smoke_config(**shared)
        return small_config(
            widths=(128, 64, 32), behavior_steps=60_000, critic_steps=5_000, behavior_rate=3e-3, **shared
        )
    if family in ROBOTS:
        # More than half of the expert's episodes end in a timeout. What that does to the first critic is in chapter 13.
        shared |= {"selection": "mean_of_best", "averaged": MEAN_OF, "unknown_share": 0.1}
        if profile == "smoke":
            return smoke_config(num_candidates=16, **shared)
        shared |= {"value_every": 10}
        return small_config(
            widths=(256, 128, 64),
            behavior_steps=8_000,
            critic_steps=4_000,
            behavior_rate=2e-3,
            solver_steps=STORED_SOLVER_STEPS,
            **shared,
        )
    if profile == "smoke":
        return smoke_config(**shared)
    return small_config(
        widths=(64, 32), behavior_steps=4_000, critic_steps=4_000, discount=paper_settings(task).discount, **shared
    )


def _maze2d_config(maze: str, profile: str, seed: int) -> SfBCConfig:
    iterations = choose(profile, smoke=2, quick=ITERATIONS, full=ITERATIONS)
    shared = {"discount": DISCOUNT[maze], "planning_iterations": iterations, "seed": seed}
    if profile == "full":
        return SfBCConfig(**shared)
    if profile == "smoke":
        return smoke_config(members=2, **shared)
    shared |= {"solver_steps": STORED_SOLVER_STEPS, "value_every": 2}
    return small_config(widths=(64, 32), behavior_steps=4_000, **CRITIC[maze], **shared)


def _toy_maze_config(profile: str, seed: int) -> SfBCConfig:
    """Chapter 6's: an iteration is cheap, so that many seeds can be run."""
    config = small_config(
        widths=(64, 32),
        behavior_steps=choose(profile, smoke=20, quick=1_000, full=10_000),
        critic_steps=choose(profile, smoke=20, quick=1_200, full=6_000),
        solver_steps=choose(profile, smoke=3, quick=15, full=15),
        planning_iterations=choose(profile, smoke=2, quick=8, full=8),
        num_candidates=16,
        discount=paper_settings("toy-maze").discount,
        seed=seed,
    )
    training = replace(config.critic.training, batch_size=256, learning_rate=5e-3)
    return replace(config, critic=replace(config.critic, hidden=(128, 128), training=training))


# ---- Other methods ---------------------------------------------------------------------------------------------------

# IQL's paper has settings for two families. Neither was chosen for the car, so both are run.
IQL_SETTINGS = {
    "IQL, as in locomotion": {"rewards": "return_range"},
    "IQL, as in antmaze": {"rewards": "minus_one", "expectile": 0.9, "inverse_temperature": 10.0},
}
HORIZON = {"maze2d-umaze": 300, "maze2d-medium": 600, "maze2d-large": 800}  # steps after which D4RL cuts an episode
# Methods whose targets ask Q for actions of their own, in the mazes, where rewards lie a hundred steps ahead. With a rate of
# 0.2, which does for the car, they find the errors of Q: values rose above 1 / (1 - γ), which no discounted return exceeds.
# So did EMaQ's with the best of sixteen. (Trials that are not stored.)
SLOW = {"target_rate": 0.05}
IN_MAZES: dict[type, dict[str, Any]] = dict.fromkeys(
    (BCQConfig, CQLConfig, TD3BCConfig, DiffusionQLConfig, EMaQConfig), SLOW
)
# EMaQ takes the best of four by four networks, where it finds fewer of their errors than the best of sixteen by two.
FEW_CANDIDATES = {"num_candidates": 4, "members": 4}
# On the hopper a plan of VEM's is along two million transitions, where the car has some thousands: it is renewed less often.
SELDOM = {"plan_every": 500}
# In locomotion each step is rewarded and nothing has to come from far. There all that bootstrap have the rates of their
# defaults: fast ones left noise in the values, by which IQL weighs the actions, and its hopper fell at once.
ROBOTS = ("hopper", "halfcheetah", "walker2d")
BOOTSTRAPPING = {*IN_MAZES, IQLConfig, IDQLConfig}
RATES = ("target_rate", "policy_rate", "policy_learning_rate")


# Where an action costs many calls of a network, a smoke run, of which no number is kept, makes fewer.
FEWER_CALLS: dict[type, dict[str, Any]] = {
    DiffuserConfig: {"solver": SolverConfig.accurate(3)},
    IDQLConfig: {"num_candidates": 8},
}


def _family(task: str) -> str:
    return task.removeprefix(REGENERATED).partition("-")[0]


def _steps(task: str, profile: str) -> int:
    if task == "two-way-bandit":  # one state
        return choose(profile, smoke=5, quick=2_000, full=20_000)
    return choose(profile, smoke=5, quick=5_000, full=100_000)


def _small(kind: Any, task: str, profile: str, **options: Any) -> Any:
    """The small budget of a method; in the simulators other steps, rates and sizes for some, see the constants above."""
    steps, family = _steps(task, profile), _family(task)
    more = choose(profile, smoke=steps, quick=8_000, full=steps)
    if family in (*ROBOTS, "maze2d", "antmaze") and kind is EMaQConfig:
        options = FEW_CANDIDATES | options
    if family in ROBOTS and kind is VEMConfig:
        options = SELDOM | options
    if family in ROBOTS and kind in BOOTSTRAPPING:
        default = kind()
        rates = {name: getattr(default, name) for name in RATES if hasattr(default, name)}
        training = TrainingConfig.small(more, batch_size=256, learning_rate=default.training.learning_rate)
        return kind.small(more, **({"training": training} | rates | options))
    if family in ("maze2d", "antmaze") and kind in IN_MAZES:
        return kind.small(more, **(IN_MAZES[kind] | options))
    return kind.small(steps, **options)


def _regression_config(task: str, profile: str, seed: int) -> WeightedRegressionConfig:
    return WeightedRegressionConfig.small(_steps(task, profile), seed=seed)  # that of chapter 4


def _iql_config(task: str, profile: str, seed: int, **settings: Any) -> IQLConfig:
    if _is_one_stream(task) and settings["rewards"] == "return_range":
        settings = {**settings, "rewards": "as_recorded"}  # the data are one episode: there is no range of returns
    return _published(IQLConfig, **settings)(task, profile, seed)


def _transformer_config(task: str, profile: str, seed: int) -> DecisionTransformerConfig:
    horizon = HORIZON[task.removeprefix(REGENERATED).removesuffix("-v1")] if _is_one_stream(task) else None
    return DecisionTransformerConfig.small(_steps(task, profile), horizon=horizon, seed=seed)


def _is_one_stream(task: str) -> bool:
    """Whether the task's data are one long episode, as Maze2D's are."""
    return _family(task) == "maze2d"


def _published(kind: Any, **options: Any) -> Callable[..., Any]:
    """The config's defaults, which are those of its paper, at "full"; below that its small budget."""

    def config(task: str, profile: str, seed: int) -> Any:
        if profile == "full":
            return kind(seed=seed, **options)
        fewer = FEWER_CALLS.get(kind, {}) if profile == "smoke" else {}
        return _small(kind, task, profile, seed=seed, **(fewer | options))

    return config


METHOD_CONFIGS: dict[str, Callable[..., Any]] = {
    "SfBC": sfbc_config,
    "BC": _published(BCConfig),
    "10% BC": _published(BCConfig, best_share=0.1),
    "BAIL": _published(BAILConfig),
    **{f"VEM, τ = 0.{tenth}": _published(VEMConfig, expectile=tenth / 10) for tenth in range(1, 10)},
    "EMaQ": _published(EMaQConfig),
    "BCQ": _published(BCQConfig),
    "CQL": _published(CQLConfig),
    "TD3+BC": _published(TD3BCConfig),
    "Diffusion-QL": _published(DiffusionQLConfig),
    "IDQL": _published(IDQLConfig),
    "Diffuser": _published(DiffuserConfig),
    "weighted regression": _regression_config,
    "AWR": _published(AWRConfig),
    **{name: lambda *where, of=of: _iql_config(*where, **of) for name, of in IQL_SETTINGS.items()},
    "Decision Transformer": _transformer_config,
}


def method_config(method: str, task: str, profile: str, seed: int = 0) -> Any:
    """The config of a method as this project runs it on a task, at the size of a profile.

    Args:
        method: one of the names in `METHOD_CONFIGS`.
        task: one of :func:`sfbc_core.tasks.registry.task_names`.
        profile: "smoke", "quick" or "full".
        seed: of the method.

    Raises:
        ValueError: no such method, task or profile.
    """
    if method not in METHOD_CONFIGS:
        raise ValueError(f"unknown method {method!r}; expected one of {list(METHOD_CONFIGS)}")
    checked_profile(profile)
    paper_settings(task)  # refuses a task that there is not
    return METHOD_CONFIGS[method](task, profile, seed)
