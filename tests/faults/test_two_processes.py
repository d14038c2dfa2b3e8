"""Two processes on one folder: one works, the other waits or says so, and both end with the same bits."""

from __future__ import annotations

import time

import pytest
from processes import Started, bits_of, fit_stored, outcome_of, run_counted_trial, store_fit
from small_methods import SMALL, small_trial

from sfbc_core import load_task
from sfbc_core.files import save_json
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.methods.weighted_regression import WeightedRegressionConfig

pytestmark = pytest.mark.nightly
TRIES = range(4)
KINDS = pytest.mark.parametrize("kind", [SfBCConfig, IQLConfig, WeightedRegressionConfig])


def pair(first, second, moment):
    """Two processes, the second started when the first has computed for so many seconds."""
    one = Started(*first)
    while one.running and one.cpu_seconds < moment:
        time.sleep(0.002)
    return one, Started(*second)


@pytest.mark.fault(
    "two processes, one trial", "two processes with the same trial and folder, the second at a random moment"
)
@pytest.mark.parametrize("number", TRIES)
@KINDS
def test_two_processes_with_one_trial_train_once(kind, number, rng, tmp_path, outcome):
    save_json(tmp_path / "trial.json", small_trial(kind).to_json())
    alone = Started(run_counted_trial, tmp_path / "trial.json", tmp_path / "alone")
    expected, units = alone.result()
    run = run_counted_trial, tmp_path / "trial.json", tmp_path / "runs"
    both = pair(run, run, rng.choice([0, rng.random() * alone.used]))
    (one, first), (other, second) = (process.result() for process in both)
    assert one == other, "not the same result, of the same moment"
    assert outcome_of(one) == outcome_of(expected) and bits_of(tmp_path / "runs") == bits_of(tmp_path / "alone")
    assert sorted([first, second]) == [[], units], "every unit is learned once, all by the same process"
    outcome("one worked, the other waited and read its result")


@pytest.mark.fault("two processes, one fit", "two fits into the same run folder, the second at a random moment")
@pytest.mark.parametrize("number", TRIES)
@KINDS
def test_of_two_fits_one_works_and_the_other_says_so(kind, number, rng, tmp_path, outcome):
    for name in ("alone", "shared"):
        (tmp_path / name).mkdir()
        store_fit(tmp_path / name, SMALL[kind], load_task("bidirectional-car").load_trajectories(transitions=400))
    alone = Started(fit_stored, tmp_path / "alone")
    alone.result()
    run = fit_stored, tmp_path / "shared"
    refused = []
    for process in pair(run, run, rng.choice([0, rng.random() * alone.used])):
        try:
            process.result()
        except RuntimeError as error:
            assert str(error).startswith(f"another process is training in {tmp_path / 'shared' / 'run'}"), error
            refused.append(error)
    assert len(refused) < 2, "each refused the other"
    Started(fit_stored, tmp_path / "shared").result()  # now it is free
    assert bits_of(tmp_path / "shared") == bits_of(tmp_path / "alone")
    outcome("one worked, the other said so" if refused else "the second came when the first was done")
