"""A config holds plain values of the annotated types from the moment it is made, or is refused in words."""

from __future__ import annotations

import ast
import copy
import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import CriticConfig, SfBC, SfBCConfig, TrainingConfig
from sfbc_core.configuration import config_dataclass, config_to_json
from sfbc_core.experiments import Trial
from sfbc_core.methods import WeightedRegressionConfig

PACKAGE = Path(__file__).resolve().parents[1] / "sfbc_core"
# Dataclasses that nobody configures: data, results, and what holds functions. All others are configs.
NO_CONFIGS = {
    "Choice",
    *("Context", "Description", "EpisodeResults", "Fidelity", "Film", "GridWorld", "Place", "Redraws", "ReportedScore"),
    *("Rollouts", "Stage", "Suite", "TabularMDP", "Task", "NumberedSteps", "Transitions", "WindowBatch", "_Part"),
}
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
REALS = (np.float16, np.float32, np.float64, np.longdouble)
LARGEST = {np.longdouble: 2.0**63}  # beyond, numpy does not find it equal to the same int


def decorated(decorator: str) -> dict[str, str]:
    """The classes of the package with a decorator: name -> module."""
    found = {}
    for file in PACKAGE.rglob("*.py"):
        module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [getattr(part, "func", part) for part in getattr(node, "decorator_list", ())]
            if isinstance(node, ast.ClassDef) and decorator in (ast.unparse(name).split(".")[-1] for name in names):
                found[node.name] = module
    return found


CONFIGS = decorated("config_dataclass")
NEEDED = {  # by those that do not have a default for everything
    "Trial": {"task": "toy-maze", "method": WeightedRegressionConfig()},
    "Recipe": {"task": "maze2d-umaze-v1", "seed": 0, "steps": 5},
    "PaperSettings": {"planning_iterations": 1, "evaluation_episodes": 1, "trials": 1},
    "TrainingConfig": {"gradient_steps": 5},
}


def test_every_dataclass_is_a_config_unless_it_is_known_not_to_be_one():
    assert set(decorated("dataclass")) == NO_CONFIGS
    assert {"SfBCConfig", "VPSchedule", "Trial", "DownloadConfig", "Recipe"} <= set(CONFIGS)


def config_named(name: str) -> type:
    """The class; some need packages of an extra."""
    load = pytest.importorskip if ".d4rl." in CONFIGS[name] else import_module
    return getattr(load(CONFIGS[name]), name)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_of_every_config_refuses_what_its_annotation_does_not_have(name):
    kind = config_named(name)
    hints = get_type_hints(kind)
    good = NEEDED.get(name, {})
    kind(**good)
    for field in fields(kind):
        hint, wrong = hints[field.name], [object(), b"1", {1}, 1j, np.array([[1.0]])]
        if hint is Any:
            continue
        wrong += [] if hint is str else ["no such word", math.nan, -math.inf, np.float32("nan"), torch.tensor(math.nan)]
        wrong += [1, np.int64(1)] if hint is bool else [True, np.bool_(False)]
        wrong += [] if type(None) in get_args(hint) else [None]
        for value in wrong:
            with pytest.raises((TypeError, ValueError), match=rf"^{name}\.{field.name} must be .*, got "):
                kind(**good | {field.name: value})


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("kind", "field", "value", "error", "words"),
    [
        (SfBCConfig, "seed", True, TypeError, "an int, got True of type bool"),
        (SfBCConfig, "seed", "1", TypeError, "an int, got '1' of type str"),
        (SfBCConfig, "seed", 2.5, ValueError, r"an int, got 2\.5 of type float"),
        (SfBCConfig, "seed", math.inf, ValueError, "an int, got inf of type float"),
        (SfBCConfig, "alpha", math.nan, ValueError, "a finite float, got nan of type float"),
        (SfBCConfig, "alpha", None, TypeError, "a finite float, got None of type NoneType"),
        (SfBCConfig, "alpha", 2**53 + 1, ValueError, "a finite float, got 9007199254740993 of type int"),
        (SfBCConfig, "alpha", 10**400, ValueError, r"a finite float, got 1000*\.\.\.0* of type int"),
        (SfBCConfig, "alpha", np.ma.masked, TypeError, "a finite float, got masked of type MaskedConstant"),
        (SfBCConfig, "timeout", "drop", ValueError, r"one of \('bootstrap', 'cut'\), got 'drop' of type str"),
        (SfBCConfig, "timeout", 1, TypeError, r"one of \('bootstrap', 'cut'\), got 1 of type int"),
        (
            *(SfBCConfig, "behavior", TrainingConfig(5), TypeError),
            r"a DiffusionConfig or a GaussianConfig or .* a DistilledConfig, got TrainingConfi.* of type TrainingConfig",
        ),
        (CriticConfig, "hidden", (8, 2.5), ValueError, r"a tuple \(an int, \.\.\.\), got \(8, 2\.5\) of type tuple"),
        (CriticConfig, "hidden", 8, TypeError, r"a tuple \(an int, \.\.\.\), got 8 of type int"),
        (WeightedRegressionConfig, "max_weight", "20", TypeError, "a finite float or None, got '20' of type str"),
    ],
)
def test_a_refusal_names_the_field_and_says_what_was_expected_and_what_came(kind, field, value, error, words):
    with pytest.raises(error, match=rf"^{kind.__name__}\.{field} must be {words}$"):
        kind(**{field: value})


# ---- what is the same value ------------------------------------------------------------------------------------------


@config_dataclass
class Mixed:
    """One field of each kind that the configs of the package have."""

    flag: bool = False
    count: int = 0
    rate: float = 0.0
    either: int | float | None = None
    sizes: tuple[int, ...] = ()
    pair: tuple[float, int] = (0.0, 0)
    name: str = ""
    ways: Mapping[str, Mapping[str, Any]] | None = None


def forms(value: float | bool) -> list[Any]:
    """The same number in every type of numpy and torch that holds it."""
    if isinstance(value, bool):
        return [np.bool_(value), np.array(value), torch.tensor(value)]
    exact = [
        kind(value) for kind in INTEGERS if value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max
    ]
    for kind in REALS:
        if abs(value) <= LARGEST.get(kind, np.finfo(kind).max) and kind(value) == value:
            exact.append(kind(value))
    exact += [int(value)] if value == int(value) and abs(value) < 2**53 else []
    return exact + [np.array(number) for number in exact] + [torch.tensor(value, dtype=torch.float64)]


@examples(200)
@given(data=st.data())
@pytest.mark.usefixtures("untyped")
def test_numbers_of_numpy_and_torch_that_hold_the_value_make_the_same_config(data):
    integer = data.draw(st.integers(-(2**53), 2**53))
    real = data.draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-300, 300).map(float))
    flag = data.draw(st.booleans())
    plain = Mixed(flag, integer, real, real, (integer, 3), (real, integer))
    other = Mixed(
        data.draw(st.sampled_from(forms(flag))),
        data.draw(st.sampled_from(forms(integer))),
        *(data.draw(st.sampled_from(forms(real))) for _ in range(2)),
        [data.draw(st.sampled_from(forms(integer))), np.uint8(3)],
        [data.draw(st.sampled_from(forms(real))), data.draw(st.sampled_from(forms(integer)))],
    )
    assert other == plain and hash(other) == hash(plain)
    assert json.dumps(config_to_json(other)) == json.dumps(config_to_json(plain)), "20 and 20.0 differ here"


@pytest.mark.usefixtures("untyped")
def test_values_have_the_annotated_types():
    config = Mixed(np.bool_(True), 1e2, np.float32(20), 3.0, np.array([4, 5]), (1, 2.0), np.str_("a"))
    assert repr(config).endswith("Mixed(flag=True, count=100, rate=20.0, either=3, sizes=(4, 5), pair=(1.0, 2), "
                                 "name='a', ways=None)")  # fmt: skip
    assert type(config.name) is str and Mixed(either=2.5).either == 2.5
    assert repr(Mixed(ways={"a": {"n": np.int64(3)}}).ways) == "{'a': {'n': 3}}"


@pytest.mark.usefixtures("untyped")
def test_a_tuple_of_two_holds_two():
    with pytest.raises(ValueError, match=r"Mixed\.pair must be a tuple \(a finite float, an int\), got \(1, 2, 3\)"):
        Mixed(pair=(1, 2, 3))


# ---- dataclasses as ever ---------------------------------------------------------------------------------------------


@config_dataclass
class Wider(Mixed):
    half: float = 0.5

    def __post_init__(self) -> None:
        assert type(self.half) is float, "checks of its own run on what was converted"
        if self.half > 1:
            raise ValueError(f"half must be at most 1, got {self.half}")


@pytest.mark.usefixtures("untyped")
def test_it_is_a_frozen_dataclass_that_can_be_replaced_copied_pickled_and_extended():
    config = Wider(count=3, half=np.float16(0.25))
    for again in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), replace(config, count=np.int8(3))):
        assert again == config and hash(again) == hash(config)
    with pytest.raises(FrozenInstanceError):
        config.count = 4
    with pytest.raises(TypeError, match=r"^Wider\.count must be an int, got '4' of type str$"):
        replace(config, count="4")
    with pytest.raises(ValueError, match=r"^half must be at most 1, got 2\.0$"):
        Wider(half=np.int64(2))
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        Wider(speed=1)


@config_dataclass
class Outer:
    inner: Mixed = Mixed()


@pytest.mark.usefixtures("untyped")
def test_a_subclass_is_no_config_of_that_type_because_json_would_not_read_it_back():
    with pytest.raises(TypeError, match=r"^Outer\.inner must be a Mixed, got .* of type Wider$"):
        Outer(Wider())


# ---- what is made of configs -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untyped")
def test_the_same_trial_has_the_same_identity_however_it_is_written():
    plain = Trial("toy-maze", SfBCConfig(alpha=3.0, seed=1), 5, {"a": {"iteration": 1, "alpha": 20.0}}, 400)
    config = SfBCConfig(alpha=3, seed=np.int64(1))
    variants = {"a": {"iteration": np.int64(1), "alpha": 20}}
    other = Trial("toy-maze", config, np.int32(5), variants, 4e2)
    assert other == plain and other.to_json() == plain.to_json()
    assert (other.identity, other.training_identity) == (plain.identity, plain.training_identity)
    assert Trial.from_json(json.loads(json.dumps(other.to_json()))).identity == plain.identity
    assert replace(plain, variants={"a": {"iteration": 1.0, "alpha": torch.tensor(20)}}).identity == plain.identity


@pytest.mark.usefixtures("untyped")
def test_a_stored_trial_that_does_not_fit_is_refused_in_words():
    good = Trial("toy-maze", WeightedRegressionConfig()).to_json()
    for changes, message in (
        ({"speed": 1}, r"Trial has no field\(s\) \['speed'\]"),
        ({"episodes": "5"}, r"Trial\.episodes must be an int, got '5'"),
        ({"variants": {"a": {"deterministic": 1}}}, r"WeightedRegressionConfig\.deterministic must be a bool, got 1"),
        ({"method": None}, "method must be one of .* got NoneType"),
    ):
        with pytest.raises(ValueError, match=message):
            Trial.from_json({**good, **changes})
    with pytest.raises(ValueError, match=r"Trial lacks its field\(s\) \['task'\]"):
        Trial.from_json({name: value for name, value in good.items() if name != "task"})


@pytest.mark.usefixtures("untyped")
def test_another_way_to_act_goes_through_the_same_checks():
    agent = SfBC(SfBCConfig())
    acting = agent.acting(iteration=np.int64(1), num_candidates=8.0, alpha=3)
    assert acting.config == SfBCConfig(planning_iterations=1, num_candidates=8, alpha=3.0)
    assert len(acting.critics) == 1 and repr(acting.config.alpha) == "3.0"
    for changes, error, message in (
        ({"num_candidates": "8"}, TypeError, r"SfBCConfig\.num_candidates must be an int, got '8'"),
        ({"alpha": math.nan}, ValueError, r"SfBCConfig\.alpha must be a finite float, got nan"),
        ({"selection": "best"}, ValueError, r"SfBCConfig\.selection must be one of .*, got 'best'"),
        ({"iteration": True}, TypeError, "iteration must be an int or None, got True of type bool"),
        ({"iteration": 1.5}, ValueError, r"iteration must be an int or None, got 1\.5"),
    ):
        with pytest.raises(error, match=f"^{message}"):
            agent.acting(**changes)
