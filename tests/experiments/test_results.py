"""Stored results: nothing is changed unseen, nothing is lost, and the frame holds every episode."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sfbc_core.experiments import Results, Trial, beside_others, run_trial, score_table, stored_results
from sfbc_core.experiments import results as results_module
from sfbc_core.experiments.checks import digest_of
from sfbc_core.experiments.results import INSTALLED, add_lines, measurements_path, read_lines, results_folder
from sfbc_core.experiments.suites import SUITES

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"


def line_of(trial, score=1.0):
    """A line as a trial leaves it, with made-up episodes: returns of 0 and `score`."""
    earned = {"returns": [0.0, score], "lengths": [7, 9], "final": [[1.0, 2.0], [3.0, 4.0]]}
    facts = {"profile": "smoke", "seed": "3", "date": "2026-01-01 00:00 UTC", "seconds": "60"}
    return {
        "id": trial.identity,
        "trial": trial.to_json(),
        "transitions": 400,
        "reference_returns": [0.0, 2.0],
        "variants": {name: earned for name in trial.variants},
        "provenance": {**facts, "versions": "one", "machine": "two"},
    }


def test_the_stored_results_are_those_given_or_the_repositorys_or_the_installed(tmp_path, monkeypatch):
    assert results_folder() == results_folder("") == RESULTS
    assert results_folder(tmp_path / "mine") == results_folder(str(tmp_path / "mine")) == tmp_path / "mine"
    assert results_folder("~/mine") == Path("~/mine").expanduser()
    assert results_folder(".") == Path(".")

    package = tmp_path / "site-packages" / "sfbc_core"
    monkeypatch.setattr(results_module, "PACKAGE", package)
    with pytest.raises(FileNotFoundError, match=r"no stored results are in this package.*name their folder"):
        results_folder()
    (package.parent / "book" / "results").mkdir(parents=True)  # of another package that is called `book`
    (package / INSTALLED).mkdir(parents=True)
    assert results_folder() == package / INSTALLED
    (package.parent / "pyproject.toml").touch()
    assert results_folder() == package.parent / "book" / "results"


def test_lines_are_added_replaced_and_kept_in_order(trial, tmp_path):
    path, other = tmp_path / "suite.jsonl", replace(trial, episodes=2)
    add_lines(path, [line_of(trial)])
    add_lines(path, [line_of(other)])
    add_lines(path, [line_of(trial, score=2.0)])
    lines = read_lines(path)
    assert [line["id"] for line in lines] == [trial.identity, other.identity]
    assert lines[0]["variants"]["K = 1"]["returns"] == [0.0, 2.0]
    assert path.read_text().count("\n") == 2
    assert read_lines(tmp_path / "none.jsonl") == []


def test_a_line_edited_by_hand_is_refused(trial, tmp_path):
    path = tmp_path / "suite.jsonl"
    add_lines(path, [line_of(trial)])
    good = path.read_text()
    path.write_text(good.replace('"returns": [0.0, 1.0]', '"returns": [1.0, 1.0]', 1))
    with pytest.raises(ValueError, match=r"line 1 of .*suite\.jsonl was changed since it was written"):
        read_lines(path)
    with pytest.raises(ValueError, match="was changed"):
        add_lines(path, [line_of(replace(trial, episodes=2))])
    path.write_text(good + '{"id": ')
    with pytest.raises(ValueError, match=r"line 2 of .* is not valid JSON"):
        read_lines(path)
    path.write_text("[1, 2]\n")
    with pytest.raises(ValueError, match=r"line 1 .* was changed"):
        read_lines(path)


def test_no_damage_of_a_line_goes_unseen(trial, tmp_path):
    """A line with one character changed, or broken off anywhere, is refused in words that name the file."""
    path = tmp_path / "suite.jsonl"
    add_lines(path, [line_of(trial), line_of(replace(trial, episodes=2))])
    good = path.read_bytes()
    damaged = [good[:-2], good[:40], b"\xff" + good, good + b"{}\n", good + b"null\n", b"[" * 100_000]
    for position in range(0, len(good) - 1, 7):
        changed = bytearray(good)
        changed[position] ^= 2
        damaged.append(bytes(changed))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"suite\.jsonl") as caught:
            read_lines(path)
        assert len(str(caught.value)) < 600
    line = {"id": "x", "variants": {}}
    path.write_text(json.dumps({**line, "digest": digest_of(line)}))
    with pytest.raises(ValueError, match=r"line 1 of .* is no result of a trial: it lacks trial, transitions"):
        read_lines(path)


def test_the_frame_has_a_row_for_every_episode(trial, tmp_path):
    result = run_trial(trial, tmp_path)
    frame = Results([trial], [result]).frame()
    assert len(frame) == 3 * 3 and set(frame["variant"]) == {"K = 1", "K = 2", "any"}
    for name, of in frame.groupby("variant"):
        stored = result["variants"][name]
        assert of["return"].tolist() == stored["returns"] and of["length"].tolist() == stored["lengths"]
        assert of["score"].tolist() == [100 * earned for earned in stored["returns"]]
        assert of[["x", "y"]].to_numpy().tolist() == stored["final"]
        assert set(of["iteration"]) == {1 if name == "K = 1" else 2}
    assert set(frame["seed"]) == {trial.seed} and set(frame["id"]) == {trial.identity}


def test_variants_keep_their_order_through_a_file(trial, tmp_path):
    """A file sorts names; tables and figures follow the trial."""
    trial = replace(trial, variants={"zero": {"iteration": 1}, "all": {}, "one": {"iteration": 1}})
    add_lines(tmp_path / "suite.jsonl", [line_of(trial)])
    frame = Results([trial], read_lines(tmp_path / "suite.jsonl")).frame()
    assert list(frame["variant"].unique()) == ["zero", "all", "one"]


def test_a_variant_of_which_the_mean_alone_was_kept_has_one_row(trial):
    line = line_of(trial)
    line["variants"]["any"] = {"mean_score": 12.5, "episodes": 20}
    frame = Results([trial], [line]).frame()
    (score,) = frame[frame["variant"] == "any"]["score"]
    assert score == 12.5
    assert frame.groupby("variant")["score"].mean().to_dict() == {"K = 1": 25.0, "K = 2": 25.0, "any": 12.5}


def test_a_table_is_a_function_of_the_frame(trial):
    other = replace(trial, method=replace(trial.method, seed=9))
    table = score_table(Results([trial, other], [line_of(trial), line_of(other, score=2.0)]).frame())
    row = table.loc["bidirectional-car", "SfBC", "K = 1"]
    assert row["score"] == 37.5 and row["deviation over seeds"] == 12.5 and row["each seed"] == "25, 50"


def test_what_is_missing_is_said(trial):
    other = replace(trial, episodes=2)
    results = Results([trial, other], [line_of(trial)], command="this command")
    assert results.trials == [trial] and results.missing == [other]
    assert results.origin()["missing"] == "1 trials; the command above makes them"
    assert "this command" in repr(results) and "this command" in results._repr_html_()
    assert "missing" not in Results([trial], [line_of(trial)]).origin()


def test_a_field_added_to_a_config_later_makes_no_other_trial(trial):
    """Stored before `value_every` and `warmup_steps` existed, so to say."""
    line = line_of(trial)
    stored = json.loads(json.dumps(line["trial"]))
    del stored["method"]["value_every"], stored["method"]["behavior"]["training"]["warmup_steps"]
    assert Results([trial], [{**line, "trial": stored}]).trials == [trial]


# Suites that are still being run, which no page shows yet. What is stored must fit.
UNFINISHED = {"fidelity", "ablations", "table-1"}


@pytest.mark.skipif(find_spec("d4rl") is None, reason="d4rl is not installed")
@pytest.mark.parametrize("name", sorted(SUITES))
def test_the_committed_results_are_those_of_the_suite_as_it_is(name):
    """Or the book would show results of settings that are no longer those of its command."""
    results = stored_results(name, "quick", RESULTS)
    assert bool(results.missing) == (name in UNFINISHED)
    own = {line["id"] for line in read_lines(RESULTS / f"{name}.jsonl")}
    assert own <= {trial.identity for trial in results.trials}, "a line of no trial of the suite"
    for trial, line in zip(results.trials, results.lines, strict=True):
        assert line["id"] == trial.identity, "the default of a config field has changed since"
        assert {variant: dict(of) for variant, of in trial.variants.items()} == line["trial"]["variants"]
        assert np.isfinite(Results([trial], [line]).frame()["score"]).all()
        if SUITES[name].measurements:
            found = json.loads(measurements_path(RESULTS, trial).read_text(encoding="utf-8"))
            assert set(SUITES[name].measurements) <= set(found)


def test_a_line_of_another_version_does_not_keep_the_rest_from_being_read(trial):
    line, other = line_of(trial), replace(trial, episodes=2)
    line["trial"]["method"] |= {"temperature": 3}
    with pytest.raises(ValueError, match=r"SfBCConfig has no field\(s\) \['temperature'\]"):
        Trial.from_json(line["trial"])
    results = Results([trial, other], [line, line_of(other)])
    assert results.trials == [other] and results.missing == [trial]
    assert results.origin()["of another version"] == "1 stored results"


def test_a_table_of_nothing_is_empty():
    assert score_table(Results([], []).frame()).empty


def test_a_line_may_hold_any_character(trial, tmp_path):
    add_lines(tmp_path / "suite.jsonl", [line_of(replace(trial, label="a\u2028b"))])
    assert read_lines(tmp_path / "suite.jsonl")[0]["trial"]["label"] == "a\u2028b"


def test_scores_beside_those_of_others():
    """Two methods, one with two ways to act; the best first, and a gap where nobody reports a score."""
    task = "regen/hopper-medium-expert-v2"
    frame = pd.DataFrame(
        [
            (task, "AWR", "as configured", 0, 10.0),
            (task, "AWR", "as configured", 0, 30.0),
            (task, "IQL, as in locomotion", "as configured", 0, 80.0),
            (task, "IQL, as in locomotion", "as configured", 0, 80.0),
            (task, "IQL, as in antmaze", "as configured", 0, 1.0),
            (task, "IDQL", "greedy", 0, 40.0),
            (task, "IDQL", "greedy", 0, 50.0),
            (task, "IDQL", "greedy", 1, 55.0),
            ("toy-maze", "AWR", "as configured", 0, 99.0),
        ],
        columns=["task", "method", "variant", "seed", "score"],
    )
    table = beside_others(frame, task)
    assert table.index.tolist() == ["IQL, as in locomotion", "IDQL, greedy", "AWR", "IQL, as in antmaze"]
    assert table["score"].tolist() == [80.0, 50.0, 20.0, 1.0]
    assert table["standard error"].tolist()[:3] == [0.0, 5.0, 10.0], "over seeds where there are several"
    assert table["SfBC's paper"].tolist() == ["91.5", "", "27.1", ""]
    assert table["CORL"].tolist() == ["107.4", "", "", ""]
