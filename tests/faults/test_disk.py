"""Disks that are full at a random place of a trial: an error in words, and after space is made the same bits."""

from __future__ import annotations

import pytest
from processes import Started, trial_on_full_disks
from small_methods import each_of, small_trial

from sfbc_core.files import save_json
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig

pytest.importorskip("resource", reason="limits of a process are POSIX")
pytestmark = pytest.mark.nightly
TRIES = 12
DONE = "a trial of {}, whose disk is full within a random write, at a random byte of it; then started again"
TRIED = each_of((SfBCConfig, IQLConfig, DecisionTransformerConfig), "full disk", DONE)


@pytest.mark.parametrize("kind", TRIED)
def test_a_trial_on_a_full_disk_says_so_and_ends_with_the_same_bits(kind, rng, tmp_path, outcome):
    save_json(tmp_path / "trial.json", small_trial(kind).to_json())
    draws = [(rng.random(), rng.random()) for _ in range(TRIES)]
    names = Started(trial_on_full_disks, tmp_path / "trial.json", tmp_path / "runs", draws).result()
    assert len(names) == TRIES
    outcome("an error in words, what was there stayed, then the same bits", TRIES)
