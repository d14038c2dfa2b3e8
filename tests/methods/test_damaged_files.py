"""Damaged files of runs and agents: each is refused by its name, with a reason that fits on a screen, or is made again.

The files are edited with safetensors itself, so that they carry no digest: what is tested is the comparison with the models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import torch
from refusals import refused
from safetensors.torch import load_file, save_file
from small_methods import EVERY, SMALL, TRAINING, fitted, stopped_at_a_checkpoint

from sfbc_core.experiments import Trial, run_trial, trial_run
from sfbc_core.files import load_json, load_metadata, save_json
from sfbc_core.methods import METHODS, Method
from sfbc_core.methods.base import AGENT_FILE
from sfbc_core.methods.iql import IQLConfig
from sfbc_core.methods.sfbc import SfBCConfig
from sfbc_core.methods.weighted_regression import WeightedRegressionConfig


def assert_same(first, second):
    for name, model in first.models().items():
        tensors = second.models()[name].tensors()
        assert all(torch.equal(tensor, tensors[key]) for key, tensor in model.tensors().items()), name


def edits(tensors):
    """Each edit with a name: a tensor missing, too many, of another shape, or of another type."""
    for name, tensor in tensors.items():
        if "history" not in name:  # of which nobody knows how long it was
            yield f"without {name}", {key: value for key, value in tensors.items() if key != name}
        yield f"{name} of another shape", {**tensors, name: tensor[None, ..., None].contiguous()}
        if tensor.ndim and "history" not in name:
            yield f"{name} broadcast", {**tensors, name: tensor[:0].contiguous()}
        if tensor.ndim and len(tensor) > 1 and "history" not in name:
            yield f"{name} broadcast", {**tensors, name: tensor[:1].contiguous()}
        yield f"{name} of another type", {**tensors, name: tensor.to(torch.int16)}
    yield "one too many", {**tensors, "more.weight": torch.ones(1)}
    yield "one too many of a part", {**tensors, f"{next(iter(tensors)).partition('.')[0]}.more": torch.ones(1)}


def refusals(path, load):
    """Load after every edit of the file at `path`, and after every way to break it off; how often it was refused."""
    good, tensors, metadata = path.read_bytes(), load_file(path), load_metadata(path)
    metadata.pop("sha256")
    wrong, sizes = list(edits(tensors)), (0, 7, 40, len(good) // 2, len(good) - 1)
    for what, edited in wrong:
        save_file(edited, path, metadata=metadata)
        try:
            refused(load, path)
        except pytest.fail.Exception as error:
            raise AssertionError(f"accepted: {what}") from error
    for size in sizes:
        path.write_bytes(good[:size])
        refused(load, path, "not a readable safetensors file")
    middle = bytearray(good)
    middle[-3] ^= 4
    path.write_bytes(middle)
    refused(load, path, "was changed since it was written")
    save_file(tensors, path, metadata=metadata)  # an older file, which has no digest, is still read
    load()
    return len(wrong) + len(sizes) + 1


@EVERY
def test_a_damaged_agent_is_refused(config, walk, tmp_path):
    fitted(config, walk).save(tmp_path)
    path = tmp_path / AGENT_FILE
    # Two edits of each tensor at least, and those of the whole file.
    assert refusals(path, lambda: Method.load(tmp_path)) > 2 * len(load_file(path))


@EVERY
def test_a_damaged_unit_of_a_run_is_refused(config, walk, tmp_path):
    fitted(config, walk, tmp_path)
    units = sorted(tmp_path.glob("*.safetensors"))
    assert {path.stem for path in units} >= set(METHODS[type(config)](config).models())
    for path in units:
        assert refusals(path, lambda: fitted(config, walk, tmp_path)) > 2 * len(load_file(path))


@EVERY
def test_a_damaged_checkpoint_is_refused(config, walk, tmp_path):
    path = stopped_at_a_checkpoint(config, walk, tmp_path)
    tensors = load_file(path)
    without = {name: tensor for name, tensor in tensors.items() if not name.startswith("adam-0.")}
    assert len(without) == len(tensors) - 3
    save_file(without, path)
    refused(lambda: fitted(config, walk, tmp_path), path, "moments of")
    for step in (-1, 0, 60, 1000):
        save_file({**tensors, "loop.step": torch.tensor(step)}, path)
        refused(lambda: fitted(config, walk, tmp_path), path, f"fewer than 60 steps.*got {step} steps")
    # The number of moments alone may be missing, in a checkpoint from before it was kept.
    del tensors["loop.moments"]
    for what, edited in edits(tensors):
        save_file(edited, path)
        try:
            refused(lambda: fitted(config, walk, tmp_path), path)
        except pytest.fail.Exception as error:
            raise AssertionError(f"accepted: {what}") from error
    save_file(tensors, path)
    assert_same(fitted(config, walk, tmp_path), fitted(config, walk))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b'{"config": ', "is not valid JSON"),
        (b'["config"]', "must hold a JSON object, got a list"),
        (b"{}", "does not say whose run this is; .* has no 'config'"),
        (b'{"config": [], "data": "x"}', "holds a run with another config"),
        (b'{"config": {"type": ["WeightedRegressionConfig"]}, "data": "x"}', "holds a run with another config"),
        (b'{"config": {"type": "Gone", "alpha": 1}, "data": "x"}', "holds a run with another config"),
    ],
)
def test_a_damaged_manifest_is_refused(content, message, walk, tmp_path):
    fitted(SMALL[WeightedRegressionConfig], walk, tmp_path)
    path = tmp_path / "run.json"
    path.write_bytes(content)
    refused(lambda: fitted(SMALL[WeightedRegressionConfig], walk, tmp_path), path, message)


def test_a_manifest_of_another_version_is_refused_in_a_few_words(walk, tmp_path):
    config = SMALL[SfBCConfig]
    fitted(config, walk, tmp_path)
    path, good = tmp_path / "run.json", load_json(tmp_path / "run.json")
    for changes, message in (
        ({"temperature": 3}, r"config\.temperature: 3, not nothing"),
        ({f"field_{i}": "x" * 1000 for i in range(50)}, r"config\.field_0: xxx"),
        ({"behavior": [1] * 1000}, r"config\.behavior"),
        ({"alpha": "twenty"}, r"config\.alpha: twenty, not 20"),
        ({"critic": {"type": "CriticConfig", "members": None}}, r"config\.critic"),
    ):
        save_json(path, {**good, "config": {**good["config"], **changes}})
        refused(lambda: fitted(config, walk, tmp_path), path, message)
    save_json(path, {**good, "data": ["x" * 5000]})
    refused(lambda: fitted(config, walk, tmp_path), path, "holds a run on other data")


@dataclass(frozen=True)
class NeedsConfig:
    """A config with a field that has no default."""

    size: int
    seed: int = 0


class Needs(Method, config=NeedsConfig):
    def learn(self, data, run, progress):
        return None

    def decide(self, observations, generator):
        return observations

    def models(self):
        return {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("null", "found no config"),
        ("3", "found no config"),
        ("[]", "found no config"),
        ("{", "no config that can be read"),
        ('{"type": "NeedsConfig"}', "no config that can be read: NeedsConfig lacks its field.*'size'"),
        ('{"type": {}}', "no config that can be read"),
        ('{"type": "WeightedRegressionConfig", "alpha": -1}', "no config that can be read"),
        ('{"type": "WeightedRegressionConfig", "policy": 3}', "agent"),
        (
            json.dumps({"type": "WeightedRegressionConfig", **{"x" * 300 + str(i): 0 for i in range(20)}}),
            "no config that can be read",
        ),
    ],
)
def test_an_agent_with_a_config_that_does_not_fit_is_refused(config, message, walk, tmp_path):
    fitted(SMALL[WeightedRegressionConfig], walk).save(tmp_path)
    path = tmp_path / AGENT_FILE
    save_file(load_file(path), path, metadata={"config": config})
    written = path.read_bytes()
    refused(lambda: Method.load(tmp_path), path, message)
    assert path.read_bytes() == written, "what is refused stays as it is"


# ---- trials ----------------------------------------------------------------------------------------------------------


def test_a_damaged_file_of_a_trial_is_refused(tmp_path):
    trial = Trial("toy-maze", SMALL[WeightedRegressionConfig], 2, transitions=200, profile="smoke")
    result = run_trial(trial, tmp_path)
    path = tmp_path / f"{trial.identity}.json"
    (variant,) = result["variants"]
    earned = result["variants"][variant]

    def with_variant(**changes):
        return {**result, "variants": {variant: {**earned, **changes}}}

    for edited, message in (
        ({name: value for name, value in result.items() if name != "trial"}, "has no 'trial'"),
        ({name: value for name, value in result.items() if name != "provenance"}, "lacks provenance"),
        ({**result, "trial": "x" * 1000}, "is damaged or of another version"),
        ({**result, "trial": {**result["trial"], "method": {"type": "Gone"}}}, "unknown config type 'Gone'"),
        ({**result, "trial": {**result["trial"], "speed": 3}}, "Trial has no field.*'speed'"),
        ({**result, "trial": {name: v for name, v in result["trial"].items() if name != "task"}}, "'task'"),
        ({**result, "variants": {}}, "has no"),
        ({**result, "variants": []}, "is damaged"),
        (with_variant(returns=[0.0]), r"returns must be a list of 2 numbers, got \[0\.0\]"),
        (with_variant(returns=["x" * 900] * 2), "returns must be a list of 2 numbers"),
        (with_variant(lengths=7), "lengths must be a list"),
        (with_variant(final=[1, 2]), "is damaged"),
        ([result], "must hold a JSON object, got a list"),
    ):
        save_json(path, edited)
        refused(lambda: run_trial(trial, tmp_path), path, message)
    path.unlink()
    partial = tmp_path / trial.training_identity / f"{trial.identity}.partial.json"
    for content in ({variant: {"returns": [1]}}, {variant: 3}, [1]):
        save_json(partial, content)
        refused(lambda: run_trial(trial, tmp_path), partial)
    partial.unlink()
    assert run_trial(trial, tmp_path)["variants"] == result["variants"]


def test_a_number_of_a_trial_that_was_edited_is_refused(tmp_path, monkeypatch):
    """Of the right kind and in the right place: only a digest can tell. What is older than the digest is still read."""
    method = replace(SMALL[IQLConfig], training=replace(TRAINING, gradient_steps=4))
    trial = Trial("toy-maze", method, 2, transitions=200, curve_every=2, profile="smoke")
    run_trial(trial, tmp_path)
    here, stored = tmp_path / trial.training_identity, tmp_path / f"{trial.identity}.json"
    result, curve = load_json(stored), load_json(here / "curve.json")
    (variant,), words = result["variants"], "was changed since it was written"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        stored.unlink()
        patched.setattr(trial_run, "provenance_facts", stop)
        run_trial(trial, tmp_path)
    partial = load_json(here / f"{trial.identity}.partial.json")
    assert partial["contents"] == result["variants"] and set(curve["contents"]) == {"2", "4"}
    for path, good, earned in (
        (here / f"{trial.identity}.partial.json", partial, partial["contents"][variant]["returns"]),
        (here / "curve.json", curve, curve["contents"]["2"]),
        (stored, result, result["variants"][variant]["returns"]),
    ):
        stored.unlink(missing_ok=True)  # or the others are not read
        earned[0] += 1
        save_json(path, good)
        refused(lambda: run_trial(trial, tmp_path), path, words)
        earned[0] -= 1
        save_json(path, good)
        assert run_trial(trial, tmp_path)["variants"] == result["variants"]
    del result["digest"]
    save_json(stored, result)
    assert run_trial(trial, tmp_path) == result
    stored.unlink()
    save_json(here / "curve.json", curve["contents"])
    assert run_trial(trial, tmp_path)["curve"] == curve["contents"]


def stop(*_):
    raise KeyboardInterrupt


def test_a_damaged_curve_is_refused(tmp_path):
    method = replace(SMALL[IQLConfig], training=replace(TRAINING, gradient_steps=4))
    trial = Trial("toy-maze", method, 2, transitions=200, curve_every=2, profile="smoke")
    path = tmp_path / trial.training_identity / "curve.json"
    for content in ({"two": [0.0, 0.0]}, {"2": [0.0]}, {"2": None}, []):
        save_json(path, content)
        refused(lambda: run_trial(trial, tmp_path), path)
        assert json.loads(path.read_text()) == content, "what is refused stays as it is"
