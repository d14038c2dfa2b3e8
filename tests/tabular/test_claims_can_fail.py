"""The two checks of the claims, `holds` and `fails`: each must be able to say no."""

import pytest


def test_holds_refuses_a_claim_that_is_violated_somewhere(holds):
    holds(lambda case: -1.0)
    with pytest.raises(AssertionError):
        holds(lambda case: case.q.max())  # positive in most MDPs


def test_fails_refuses_a_claim_that_is_never_violated(fails):
    fails(lambda case: case.q.max())
    with pytest.raises(pytest.fail.Exception, match="no violation"):
        fails(lambda case: -1.0)
