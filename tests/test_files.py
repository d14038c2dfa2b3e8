"""Files are whole or not there, and what was there before a failure still is."""

from __future__ import annotations

import os

import pytest
import torch

from sfbc_core.files import atomic_path, load_json, load_tensors, save_json, save_tensors


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    save_json(path, {"score": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert load_json(path) == {"score": 1}
    assert os.listdir(tmp_path) == ["result.json"], "a temporary file was left behind"


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "agent"
    for version in ("old", "new"):
        with atomic_path(path) as folder:
            folder.mkdir()
            (folder / version).touch()
    assert os.listdir(path) == ["new"] and os.listdir(tmp_path) == ["agent"]


def test_a_folder_survives_a_failed_replacement(tmp_path, monkeypatch):
    path = tmp_path / "agent"
    with atomic_path(path) as folder:
        folder.mkdir()
        (folder / "old").touch()
    replace = os.replace

    def fail_on_the_new_one(source, target):
        if os.fspath(target) == os.fspath(path) and "replaced" not in os.fspath(source):
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_on_the_new_one)
    with pytest.raises(OSError, match="disk full"), atomic_path(path) as folder:
        folder.mkdir()
    assert os.listdir(path) == ["old"] and os.listdir(tmp_path) == ["agent"]


def test_tensors_round_trip_and_damage_is_reported(tmp_path):
    path = tmp_path / "deep" / "weights.safetensors"
    save_tensors(path, {"a": torch.arange(6.0).reshape(2, 3).T})
    assert load_tensors(path)["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"weights.safetensors is not a readable safetensors file"):
        load_tensors(path)
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "none")


def test_broken_json_is_reported_with_its_path(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is not valid JSON"):
        load_json(tmp_path / "run.json")
