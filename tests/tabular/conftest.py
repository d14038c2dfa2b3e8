"""Random MDPs by the thousand, and two ways to use them: a claim holds in all of them, or fails in one."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption

from sfbc_core.tabular import TabularMDP, random_mdp, random_policy

EXAMPLES = 150  # MDPs a claim
SEARCH = 300  # MDPs in which a wrong operator has to be found out
TOLERANCE = 1e-7  # of rounding, and of fixed points found by iteration; the tables are of size 1 to 30


class Case(NamedTuple):
    """One random MDP with what a claim needs."""

    mdp: TabularMDP
    behavior: np.ndarray  # μ, (S, A); in half of the cases it never takes about half of the actions
    policy: np.ndarray  # π, (S, A), which takes no action that μ does not
    q: np.ndarray  # (S, A)
    higher_q: np.ndarray  # (S, A), nowhere below q
    alpha: float
    tau: float  # in [0.5, 0.97]


def make_case(seed: int, states: int, actions: int, branching: int, discount: float) -> Case:
    rng = np.random.default_rng(seed)
    terminal = int(rng.integers(states))
    mdp = random_mdp(rng, states, actions, branching=min(branching, states), discount=discount, num_terminal=terminal)
    behavior = random_policy(rng, states, actions, full_support=bool(rng.integers(2)))
    policy = random_policy(rng, states, actions) * (behavior > 0)
    q = rng.normal(0, 3, size=(states, actions))
    higher = q + rng.exponential(size=q.shape) * rng.integers(2, size=q.shape)
    alpha, tau = float(rng.choice([0.0, 0.3, 1.0, 5.0, 50.0])), float(rng.uniform(0.5, 0.97))
    return Case(mdp, behavior, policy / policy.sum(1, keepdims=True), q, higher, alpha, tau)


cases = st.builds(
    make_case,
    seed=st.integers(0, 2**32 - 1),
    states=st.integers(1, 5),
    actions=st.integers(1, 4),
    branching=st.integers(1, 3),
    discount=st.sampled_from([0.0, 0.5, 0.8]),
)


@pytest.fixture
def holds():
    """Assert that `violation(case)`, by how much a claim is violated, is nowhere positive."""

    def check(violation):
        @settings(max_examples=EXAMPLES)
        @given(cases)
        def in_every_case(case):
            assert violation(case) <= TOLERANCE

        in_every_case()

    return check


@pytest.fixture
def fails():
    """Assert that the claim is violated somewhere: with a wrong operator in it, it must be, or it checks nothing."""

    def check(violation):
        for seed in range(SEARCH):
            case = make_case(seed, states=2 + seed % 3, actions=2 + seed % 2, branching=1 + seed % 2, discount=0.5)
            with suppress(UnsatisfiedAssumption):  # the claim says nothing of this case
                if violation(case) > 1000 * TOLERANCE:
                    return
        pytest.fail(f"no violation in {SEARCH} MDPs")

    return check
