"""Every config of the methods, with any of its fields changed, is the same after a way through JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from sfbc_core import TrainingConfig
from sfbc_core.configuration import config_dataclass, config_from_json, config_to_json, differences
from sfbc_core.methods import METHODS

OURS = [
    kind for kind, method in METHODS.items() if method.__module__.startswith("sfbc_core.")
]  # other tests add theirs


def with_inner(kind: type) -> list[type]:
    """A config and those inside it."""
    parts = [part for hint in get_type_hints(kind).values() for part in (hint, *get_args(hint)) if is_dataclass(part)]
    return [kind, *(inner for part in parts for inner in with_inner(part))]


KINDS = list(dict.fromkeys(inner for kind in OURS for inner in with_inner(kind)))
EVERY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
# In [0, 1] half of the time, where shares and discounts must lie; always finite, because JSON has no infinity.
FLOATS = st.floats(0, 1) | st.floats(allow_nan=False, allow_infinity=False)
# A solver's steps are worked out when its config is made, so a million of them would take minutes.
OF_THE_SOLVER = {"steps": st.integers(-1, 30), "t_end": st.floats(1e-8, 0.9)}


def made(kind: type) -> Any:
    """A config with its defaults, where it has them."""
    return TrainingConfig(gradient_steps=7) if kind is TrainingConfig else kind()


def values_of(hint: Any) -> st.SearchStrategy:
    """Values of a field with this annotation, possible or not."""
    if is_dataclass(hint):
        return configs(hint)
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*map(values_of, get_args(hint)))
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        return st.lists(values_of(get_args(hint)[0]), max_size=4).map(tuple)
    known = {int: st.integers(0, 12) | st.integers(-(2**70), 2**70), float: FLOATS, bool: st.booleans()}
    return {**known, type(None): st.none()}[hint]


@st.composite
def configs(draw, kind):
    """A config of which every field was changed, if the config allows it."""
    config, hints = made(kind), get_type_hints(kind)
    for field in fields(kind):
        changes = {field.name: draw(OF_THE_SOLVER.get(field.name, values_of(hints[field.name])))}
        if field.name in ("gradient_steps", "epochs"):  # one of the two
            changes = {"gradient_steps": None, "epochs": None} | changes
        try:
            config = replace(config, **changes)
        except ValueError:  # an impossible value, or one that does not go with the others
            continue
    return config


@EVERY
@examples(25)
@given(data=st.data())
@pytest.mark.usefixtures("untyped")
def test_a_config_is_the_same_after_a_way_through_json(kind, data):
    config = data.draw(configs(kind))
    text = json.dumps(config_to_json(config), allow_nan=False)
    found = config_from_json(json.loads(text), kind)
    assert found == config and type(found) is kind and hash(found) == hash(config)
    for compact in (False, True):  # the digests that name runs and trials are made of these
        again = json.dumps(config_to_json(found, compact=compact), sort_keys=True)
        assert again == json.dumps(config_to_json(config, compact=compact), sort_keys=True)
    assert differences(json.loads(text), config_to_json(found)) == ""


@EVERY
@examples(15)
@given(data=st.data())
@pytest.mark.usefixtures("untyped")
def test_a_change_is_named_by_its_field(kind, data):
    field = data.draw(st.sampled_from([field.name for field in fields(kind)]))
    config = made(kind)
    try:
        other = replace(config, **{field: data.draw(OF_THE_SOLVER.get(field, values_of(get_type_hints(kind)[field])))})
    except ValueError:
        return
    words = differences(config_to_json(other), config_to_json(config))
    assert (words == "") == (other == config)
    assert other == config or words.startswith(f"config.{field}")


@EVERY
def test_fields_that_came_later_have_their_defaults_and_unknown_ones_are_refused(kind):
    config = made(kind)
    assert config_from_json(config_to_json(config, compact=True), kind) == config
    with pytest.raises(ValueError, match=rf"^{kind.__name__} has no field\(s\) \['speed'\]; it has"):
        config_from_json(config_to_json(config) | {"speed": 1}, kind)
    with pytest.raises(ValueError, match=r"unknown config type 'Other'; expected one of"):
        config_from_json({"type": "Other"}, kind)


@config_dataclass
class Needy:
    size: int
    rate: float = 0.5


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"rate": 0.1}, r"Needy lacks its field\(s\) \['size'\], which have no default"),
        ({"size": "1"}, r"Needy\.size must be an int, got '1' of type str"),
        ({"size": [1]}, r"Needy\.size must be an int, got \(1,\) of type tuple"),
        ({"size": {"type": "Needy"}}, r"Needy\.size must be an int, got \{'type': 'Needy'\} of type dict"),
        ({"size": 1, "rate": None}, r"Needy\.rate must be a finite float, got None of type NoneType"),
        ({"size": "1" * 10**6}, r"Needy\.size must be an int, got '1+\.\.\.1+' of type str"),
        ({f"{'s' * 100}{i}": i for i in range(10**4)}, r"Needy has no field\(s\) .*; it has \['rate', 'size'\]"),
        ({"type": ["Needy"]}, r"unknown config type \['Needy'\]; expected one of \['Needy'\]"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_a_reason_that_fits_on_a_screen(data, reason):
    with pytest.raises(ValueError, match=f"^{reason}$") as error:
        config_from_json({"type": "Needy", **data}, Needy)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("value", [np.int64(3), np.float32(0.5), {"a": 1}, {1}, b"bytes", object()])
def test_what_json_cannot_hold_is_refused(value):
    @dataclass(frozen=True)
    class Odd:
        value: Any

    with pytest.raises(TypeError, match=f"numbers, strings, tuples and other configs, got {type(value).__name__}"):
        config_to_json(Odd(value))
