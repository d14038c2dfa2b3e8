"""Ranges of configs: each rule at its edges."""

import pytest

from sfbc_core.ranges import RULES, check_ranges


class Config:
    def __init__(self, value):
        self.value = value


EDGES = {
    "positive": ([1e-9, 2], [0, -1.0]),
    "nonnegative": ([0, 0.5], [-1e-9]),
    "count": ([1, 7], [0, -1]),
    "share": ([0, 1, 0.5], [-0.1, 1.1]),
    "positive_share": ([1e-9, 1], [0, 1.1]),
    "below_one": ([0, 0.99], [1, -0.1]),
    "between": ([0.1, 0.9], [0, 1]),
    "widths": ([(1,), (8, 8)], [(), (8, 0)]),
}


def test_every_rule_has_its_edges():
    assert set(EDGES) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_at_its_edges(rule):
    good, bad = EDGES[rule]
    for value in (*good, None):
        check_ranges(Config(value), **{rule: ["value"]})
    for value in bad:
        with pytest.raises(ValueError, match=r"value must .*, got "):
            check_ranges(Config(value), **{rule: ["value"]})
