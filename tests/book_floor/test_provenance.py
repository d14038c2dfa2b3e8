"""What the last cell of a chapter shows."""

from __future__ import annotations

import time

import pytest

from sfbc_core.book import Provenance


def test_a_page_shows_every_fact_by_name(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 100.0)
    provenance = Provenance("smoke", 7)
    monkeypatch.setattr(time, "perf_counter", lambda: 142.0)
    facts = provenance.facts()
    assert facts["profile"] == "smoke" and facts["seed"] == "7" and facts["seconds"] == "42"
    html = provenance._repr_html_()
    assert "<th>profile</th><td>smoke</td>" in html
    assert all(f"<th>{name}</th>" in html and f"{name}: " in repr(provenance) for name in facts)


def test_an_unknown_profile_is_refused_in_the_first_cell():
    with pytest.raises(ValueError, match="got 'fast'"):
        Provenance("fast", 0)
