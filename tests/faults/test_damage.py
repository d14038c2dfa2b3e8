"""Files damaged at random: refused in words that fit on a screen, or read with the numbers they had; never with others."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from processes import bits_of, outcome_of
from refusals import refused
from small_methods import EVERY, SMALL, fitted, stopped_at_a_checkpoint

from sfbc_core.configuration import config_to_json
from sfbc_core.experiments import Trial, run_trial
from sfbc_core.experiments.results import read_lines
from sfbc_core.files import load_json, load_tensors, save_json, save_tensors
from sfbc_core.methods import Method
from sfbc_core.methods.base import AGENT_FILE
from sfbc_core.methods.decision_transformer import DecisionTransformerConfig
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.methods.weighted_regression import WeightedRegressionConfig

pytestmark = pytest.mark.nightly
RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"
REFUSED, SAME = "refused in words", "read with the numbers it had"
TRIES = {"agent": 50, "checkpoint": 15, "architecture": 3, "version": 25, "lines": 200, "trial": 40}


def fault(kind, done):
    return pytest.mark.fault(kind, done)


# ---- damage ----------------------------------------------------------------------------------------------------------


def truncated(content, rng):
    return content[: rng.randrange(len(content))]


def flipped(content, rng):
    """Some bits of some bytes, others than they were."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= rng.randint(1, 255)
    return bytes(changed)


def parts_of(value):
    """Every dictionary and list in a JSON value."""
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from parts_of(part)


def each_damage(kind, what):
    """Parametrise a test by how a file is damaged; each is a kind of fault of its own."""
    cut = pytest.param(truncated, marks=fault(f"{kind}, cut off", f"{what}, cut off at a random byte"))
    changed = pytest.param(flipped, marks=fault(f"{kind}, bytes", f"{what} with one to eight bytes changed"))
    return pytest.mark.parametrize("damage", [cut, changed])


def of_another_version(config, rng):
    """A config as JSON with a field that nobody knows, of a type that nobody knows, or with a value of no use."""
    config = copy.deepcopy(config)
    part = rng.choice([part for part in parts_of(config) if isinstance(part, dict)])
    junk = rng.choice([{"a": []}, "x" * rng.randint(1, 5000), [["y"]], {"type": "Gone"}])
    change = rng.choice(["unknown field", "unknown type", "value"])
    name = {"unknown field": "f" * rng.randint(1, 300) + "_", "unknown type": "type"}.get(
        change, rng.choice(sorted(part))
    )
    part[name] = junk
    return config


def edited(value, rng):
    """A JSON object in which one number is another, or one name is gone."""
    value = copy.deepcopy(value)
    part = rng.choice([part for part in parts_of(value) if part])
    key = rng.choice(sorted(part)) if isinstance(part, dict) else rng.randrange(len(part))
    if type(part[key]) in (int, float):
        part[key] += rng.choice([-1, 1]) * 10.0 ** rng.randint(-3, 3)
    else:
        del part[key]
    return value


def tried(load, path, outcome, words=SAME):
    """Read a file that was damaged; `load` asserts of what it reads that nothing is different, and may say what it is."""
    try:
        found = load()
    except ValueError:
        refused(load, path)
        found = REFUSED
    outcome(found or words)


# ---- agents ----------------------------------------------------------------------------------------------------------


@each_damage("damaged agent", "a saved agent")
@EVERY
def test_a_damaged_agent_is_refused(config, damage, walk, rng, tmp_path, outcome):
    fitted(config, walk).save(tmp_path)
    path, bits = tmp_path / AGENT_FILE, bits_of(tmp_path)
    content = path.read_bytes()

    def load():
        assert Method.load(tmp_path).config == config and bits_of(tmp_path) == bits, "read with other numbers"

    for _ in range(TRIES["agent"]):
        path.write_bytes(damage(content, rng))
        tried(load, path, outcome)


@fault(
    "agent of another version",
    "a saved agent whose config has an unknown field or type, or a value of no use, anywhere",
)
@EVERY
def test_an_agent_of_another_version_is_refused(config, walk, rng, tmp_path, outcome):
    fitted(config, walk).save(tmp_path)
    path = tmp_path / AGENT_FILE
    tensors = load_tensors(path)
    for _ in range(TRIES["version"]):
        changed = of_another_version(config_to_json(config), rng)
        save_tensors(path, tensors, {"config": json.dumps(changed)})
        written = path.read_bytes()
        refused(lambda: Method.load(tmp_path), path)
        assert path.read_bytes() == written, "what is refused stays as it is"
        outcome(REFUSED)


def of_another_size(config, rng):
    """The same config with other sizes of its networks."""
    size = rng.choice([size for size in range(2, 24) if size != 8])
    return {
        SfBCConfig: lambda: replace(
            config,
            behavior=replace(config.behavior, network=replace(config.behavior.network, widths=(size,))),
            critic=replace(config.critic, hidden=(size, 8)),
        ),
        WeightedRegressionConfig: lambda: replace(
            config,
            policy=replace(config.policy, hidden=size),
            critic=replace(config.critic, hidden=(size, 8)),
        ),
        IQLConfig: lambda: replace(config, hidden=(8, size)),
        DecisionTransformerConfig: lambda: replace(config, embedding=size),
    }[type(config)]()


@fault(
    "agent of another architecture", "the tensors of an agent with networks of another size, under this one's config"
)
@EVERY
def test_an_agent_of_another_architecture_is_refused(config, walk, rng, tmp_path, outcome):
    path = tmp_path / AGENT_FILE
    for _ in range(TRIES["architecture"]):
        fitted(of_another_size(config, rng), walk).save(tmp_path)
        save_tensors(path, load_tensors(path), {"config": json.dumps(config_to_json(config))})
        written = path.read_bytes()
        refused(lambda: Method.load(tmp_path), path, "does not hold the")
        assert path.read_bytes() == written, "what is refused stays as it is"
        outcome(REFUSED)


# ---- runs ------------------------------------------------------------------------------------------------------------


def begun_again(config, walk, checkpoint, folder):
    """Fit with this checkpoint in a fresh folder of the same run; where the checkpoint is, and what reads it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(checkpoint.parent / "run.json", folder)
    return folder / checkpoint.name, lambda: fitted(config, walk, folder)


@each_damage("damaged checkpoint", "a checkpoint")
@EVERY
def test_a_damaged_checkpoint_is_refused(config, damage, walk, rng, tmp_path, outcome):
    checkpoint = stopped_at_a_checkpoint(config, walk, tmp_path / "stopped")
    content = checkpoint.read_bytes()
    fitted(config, walk).save(tmp_path / "undisturbed")
    for _ in range(TRIES["checkpoint"]):
        path, fit = begun_again(config, walk, checkpoint, tmp_path / "run")
        path.write_bytes(damage(content, rng))

        def load(fit=fit):
            fit().save(tmp_path / "agent")
            assert bits_of(tmp_path / "agent") == bits_of(tmp_path / "undisturbed"), "went on with other numbers"

        tried(load, path, outcome)


@fault(
    "checkpoint of another architecture",
    "the checkpoint of networks of another size, in this run's folder",
)
@EVERY
def test_a_checkpoint_of_another_architecture_is_refused(config, walk, rng, tmp_path, outcome):
    own = stopped_at_a_checkpoint(config, walk, tmp_path / "own")
    for number in range(TRIES["architecture"]):
        checkpoint = stopped_at_a_checkpoint(of_another_size(config, rng), walk, tmp_path / f"other-{number}")
        path, fit = begun_again(config, walk, own, tmp_path / "run")
        shutil.copy(checkpoint, path)
        refused(fit, path, "another training, remove it")
        outcome(REFUSED)


@fault("run of another version", "a run whose config has an unknown field or type, or a value of no use, anywhere")
@EVERY
def test_a_run_of_another_version_is_refused(config, walk, rng, tmp_path, outcome):
    fitted(config, walk, tmp_path)
    path, good = tmp_path / "run.json", load_json(tmp_path / "run.json")
    for _ in range(TRIES["version"]):
        save_json(path, {**good, "config": of_another_version(good["config"], rng)})
        refused(lambda: fitted(config, walk, tmp_path), path, "holds a run with another config")
        outcome(REFUSED)


# ---- results ---------------------------------------------------------------------------------------------------------


@fault(
    "edited results, a line of the book",
    "a file of the book's results, edited, some bytes changed, or cut off",
)
def test_an_edited_line_of_results_is_refused(rng, tmp_path, outcome):
    path = tmp_path / "suite.jsonl"
    good = "".join((RESULTS / "maze2d.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:3])
    path.write_text(good, encoding="utf-8")
    lines = read_lines(path)
    assert len(lines) == 3

    def load():
        found = read_lines(path)
        assert found == lines[: len(found)], "read with other numbers"
        return SAME if len(found) == 3 else "cut off between two lines: the whole ones are read"

    for _ in range(TRIES["lines"]):
        number, content = rng.randrange(3), good.encode()
        changed = {**dict(enumerate(lines)), number: edited(lines[number], rng)}
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in changed.values()).encode()
        path.write_bytes(rng.choice([text, truncated(content, rng), flipped(content, rng)]))
        tried(load, path, outcome)


@fault(
    "edited results, a trial",
    "a trial's stored result, edited, some bytes changed, or cut off",
)
def test_an_edited_result_of_a_trial_is_refused_or_made_again(rng, tmp_path, outcome):
    trial = Trial("toy-maze", SMALL[WeightedRegressionConfig], 2, transitions=200, profile="smoke")
    good = run_trial(trial, tmp_path)
    path = tmp_path / f"{trial.identity}.json"
    content = path.read_bytes()

    def load():
        before = path.stat().st_mtime_ns
        assert outcome_of(run_trial(trial, tmp_path))["variants"] == good["variants"], "read with other numbers"
        return SAME if path.stat().st_mtime_ns == before else "made again, with the same numbers"

    for _ in range(TRIES["trial"]):
        text = json.dumps(edited(good, rng), sort_keys=True).encode()
        path.write_bytes(rng.choice([text, truncated(content, rng), flipped(content, rng)]))
        tried(load, path, outcome)
