"""Files are whole or not there, what was there before a failure still is, and errors are in words that fit on a screen."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfbc_core.files import atomic_path, check_layout, load_json, load_metadata, load_tensors, save_json, save_tensors
from sfbc_core.paths import file_to_write, make_folder, user_path

ROOT = Path(__file__).resolve().parents[1]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    save_json(path, {"score": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert load_json(path) == {"score": 1}
    assert os.listdir(tmp_path) == ["result.json"], "a temporary file was left behind"


def test_a_link_to_a_file_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real.json", tmp_path / "link.json"
    save_json(target, {"score": 1})
    link.symlink_to(target)
    save_json(link, {"score": 2})
    assert link.is_symlink() and load_json(target) == {"score": 2}
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link.json"]
    assert os.listdir(tmp_path / "elsewhere") == ["real.json"]


def test_a_link_to_a_folder_is_as_good_as_the_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    save_json(tmp_path / "link" / "below" / "result.json", {"score": 1})
    assert load_json(tmp_path / "real" / "below" / "result.json") == {"score": 1}
    assert (tmp_path / "link").is_symlink()


def test_a_link_to_nothing_is_refused_by_name(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/not/mounted")
    for write in (make_folder, file_to_write, lambda path: save_json(path / "below.json", {})):
        with pytest.raises(FileNotFoundError, match=r"a link to /not/mounted, which is not there: '.*/link'"):
            write(link)
    assert link.is_symlink() and os.listdir(tmp_path) == ["link"]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(FileNotFoundError, match="a link to circle"):
        make_folder(tmp_path / "circle")


def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    with pytest.raises(IsADirectoryError, match=r"expected a file to write, this is a folder: '.*folder'"):
        save_json(tmp_path / "folder", {})
    for path in (tmp_path / "folder" / "notes.txt", tmp_path / "folder" / "notes.txt" / "below"):
        with pytest.raises(NotADirectoryError, match=r"expected a folder, this is a file: '.*notes\.txt'"):
            make_folder(path)
    assert (tmp_path / "folder" / "notes.txt").read_text() == "mine" and os.listdir(tmp_path) == ["folder"]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_json("~/a/result.json", {"score": 1})
    save_tensors("~/a/weights.safetensors", {"w": torch.ones(2)})
    assert sorted(os.listdir(tmp_path / "a")) == ["result.json", "weights.safetensors"]
    assert load_json("~/a/result.json") == {"score": 1} and load_tensors("~/a/weights.safetensors")["w"].sum() == 2
    with pytest.raises(ValueError, match=r"~nobody-of-that-name/x"):
        user_path("~nobody-of-that-name/x")


def test_there_is_one_way_to_expand_a_path():
    """`~` in any path that a user gives goes through `user_path`; a second way would be forgotten somewhere."""
    files = [path for folder in ("sfbc_core", "book") for path in (ROOT / folder).rglob("*.py")]
    found = [path.name for path in files if re.search(r"\bexpanduser\b|\.home\(\)", path.read_text(encoding="utf-8"))]
    assert found == ["paths.py"]


def test_tensors_round_trip_and_damage_is_reported(tmp_path):
    path = tmp_path / "deep" / "weights.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "flag": torch.tensor(True), "none": torch.zeros(0, 2)}
    one = {"expanded": torch.ones(()).expand(1).clone(), "half": torch.ones(2, dtype=torch.bfloat16)}
    save_tensors(path, tensors | one, {"of": "mine"})
    assert all(torch.equal(load_tensors(path)[name], tensor) for name, tensor in (tensors | one).items())
    assert load_tensors(path)["a"].tolist() == [[0, 3], [1, 4], [2, 5]] and load_metadata(path)["of"] == "mine"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"weights.safetensors is not a readable safetensors file"):
        load_tensors(path)
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "none")


def test_no_bit_of_a_file_of_tensors_can_change_what_is_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(1)}, {"config": "alpha 20"})
    good, tensors, metadata = path.read_bytes(), load_tensors(path), load_metadata(path)
    for bit in range(8 * len(good)):
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            found, words = load_tensors(path), load_metadata(path)
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < 600
        else:  # the word "sha256" itself was hit: a file without a digest, whose contents are the same
            assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)
            assert words["config"] == metadata["config"]


def test_tensors_of_another_program_have_no_digest_and_are_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(3)}, path)
    assert load_tensors(path)["a"].tolist() == [1, 1, 1]
    save_tensors(path, {"a": torch.ones(3)})
    assert load_file(path)["a"].tolist() == [1, 1, 1], "and others read ours"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "lacks bias and 1 more"),
        ({"bias": torch.zeros(3)}, "lacks weight$"),
        ({"bias": torch.zeros(3), "weight": torch.zeros(2, 3), "more": torch.zeros(1)}, "has an unknown more"),
        (
            {"bias": torch.zeros(1), "weight": torch.zeros(2, 3)},
            r"bias to have shape \(3,\) of torch.float32, got \(1,\)",
        ),
        ({"bias": torch.zeros(3).long(), "weight": torch.zeros(2, 3)}, "got .* of torch.int64"),
    ],
)
def test_tensors_of_another_layout_are_refused(found, message):
    with pytest.raises(ValueError, match=message):
        check_layout(found, {"bias": torch.zeros(3), "weight": torch.zeros(2, 3)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON: .*utf-8"),
        (b"[" * 100_000, "is not valid JSON: maximum recursion"),
        (b"[1, 2]", "must hold a JSON object, got a list"),
        (b"null", "must hold a JSON object, got a NoneType"),
    ],
)
def test_what_is_no_json_object_is_reported_with_its_path(tmp_path, content, message):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"run\.json {message}") as caught:
        load_json(path)
    assert len(str(caught.value)) < 600
