"""The paper's tables: which episodes count in which cell, against frames that were worked out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from sfbc_core.experiments.ablations import ablation_trials
from sfbc_core.experiments.paper_tables import cells, figure_4, table_1, table_2, table_4
from sfbc_core.experiments.rendering import MISSING, rendered
from sfbc_core.experiments.results import Results
from sfbc_core.experiments.tables import name_elsewhere

HOPPER, CAR = "regen/hopper-medium-expert-v2", "bidirectional-car"
COLUMNS = ["task", "method", "variant", "seed", "score"]


def frame(*rows):
    """Episodes with what else a frame has of them; a trial is named by its method and seed."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(profile="quick", id=table["method"] + table["seed"].astype(str))


@pytest.fixture
def compared():
    usual = "as configured"
    return frame(
        (HOPPER, "Decision Transformer", usual, 0, 50.0),
        (CAR, "AWR", usual, 0, 0.0),
        (CAR, "AWR", usual, 0, 10.0),
        (CAR, "AWR", usual, 1, 15.0),
        (CAR, "VEM, τ = 0.3", usual, 0, 96.0),
        (CAR, "VEM, τ = 0.3", usual, 0, 94.0),
        (CAR, "VEM, τ = 0.9", usual, 0, 20.0),
        (CAR, "IDQL", "greedy", 0, 100.0),
        (CAR, "SfBC", usual, 0, 100.0),
        (HOPPER, "VEM, τ = 0.9", usual, 0, 30.0),
    )


def test_a_cell_of_table_1_is_the_mean_over_seeds_as_configured(compared):
    table = table_1(compared)
    assert table.index.tolist() == [
        (HOPPER, "VEM"),
        (HOPPER, "Decision Transformer"),
        (CAR, "SfBC"),
        (CAR, "VEM"),
        (CAR, "AWR"),
    ], "tasks and methods in the paper's order, and no other way to act"
    awr = table.loc[(CAR, "AWR")]
    assert awr["mean"] == 10.0 and awr["deviation"] == 5.0, "of 5 and 15, whatever the number of their episodes"
    assert awr["seeds"] == "0, 1" and awr["episodes"] == 3 and awr["trials"] == "AWR0, AWR1"
    assert table["data"].tolist() == ["regenerated"] * 2 + ["generated"] * 3
    assert math.isnan(table.loc[(CAR, "SfBC"), "deviation"]), "one seed has none"


def test_vem_has_the_best_of_its_expectiles_in_each_task(compared):
    table = table_1(compared)
    assert table.loc[(CAR, "VEM"), "mean"] == 95.0 and table.loc[(CAR, "VEM"), "note"] == "τ = 0.3, best of 2"
    assert table.loc[(HOPPER, "VEM"), "note"] == "τ = 0.9"


def test_what_is_within_5_percent_of_the_best_is_marked(compared):
    assert table_1(compared)["best"].tolist() == [False, True, True, True, False]
    losses = frame((CAR, "AWR", "as configured", 0, -10.0), (CAR, "SfBC", "as configured", 0, -10.4))
    assert table_1(losses)["best"].all(), "of negative scores too"


def test_the_papers_numbers_stand_beside_ours():
    rows = [
        (HOPPER, method, "as configured", 0, 1.0) for method in ("IQL, as in locomotion", "IQL, as in antmaze", "SfBC")
    ]
    table = table_1(frame(*rows))
    assert table.loc[HOPPER, "paper"].to_dict() == {
        "SfBC": "108.6 ± 2.1",
        "IQL, as in locomotion": "91.5",
        "IQL, as in antmaze": "",
    }
    ant = "regen/antmaze-umaze-v2"
    assert [name_elsewhere(f"IQL, as in {where}", ant) for where in ("locomotion", "antmaze")] == [
        "IQL, as in locomotion",
        "IQL",
    ], "each family has the settings of its own"


def ablated():
    """Two iterations, three models; the score tells which one it is."""
    rows = []
    for place, model in enumerate(("diffusion", "Gaussian", "VAE")):
        rows += [
            (HOPPER, model, f"as configured, K = {k}", seed, 10 * k + place + seed) for k in (1, 2) for seed in (0, 2)
        ]
    rows += [
        (HOPPER, "diffusion", "published solver, D = 5", 0, 1.0),
        (HOPPER, "diffusion", "accurate solver, D = 25", 0, 2.0),
    ]
    return frame(*rows)


def test_table_4_has_the_last_iteration_of_each_model_and_the_first_of_diffusion():
    table = table_4(ablated()).loc[HOPPER]
    assert table["mean"].to_dict() == {"diffusion": 21.0, "Gaussian": 22.0, "VAE": 23.0, "without planning": 11.0}
    assert table["paper"].tolist() == ["108.6 ± 2.1", "107.8 ± 7.8", "92 ± 7.3", "109 ± 1"]


def test_table_2_has_a_column_for_each_solver_and_number_of_steps():
    assert table_2(ablated()).loc[HOPPER]["mean"].to_dict() == {"published, D = 5": 1.0, "accurate, D = 25": 2.0}


def test_figure_4_has_diffusion_after_each_iteration():
    assert figure_4(ablated()).loc[HOPPER]["mean"].to_dict() == {1: 11.0, 2: 21.0}


@pytest.mark.parametrize("table", [table_1, table_2, table_4, figure_4])
def test_a_table_of_nothing_has_no_rows(table):
    assert len(table(Results([], []).frame())) == 0


def test_the_trials_have_what_the_tables_ask_for():
    """By name: a variant that is called otherwise would leave a column empty without a word."""
    trials = ablation_trials("quick")
    rows = [(of.task, of.label, variant, of.seed, 1.0) for of in trials for variant in of.variants]
    shown = {name: table(frame(*rows)) for name, table in (("2", table_2), ("4", table_4), ("K", figure_4))}
    assert len(shown["2"]) == 4 * 8 and len(shown["4"]) == 4 * 4 and len(shown["K"]) == 2 + 2 + 4 + 2
    assert set(shown["2"]["seeds"]) == {"0, 1, 2"}


def test_markdown_and_latex_mark_the_best(compared):
    table = table_1(compared)
    lines = rendered(table, "markdown").splitlines()
    assert [word.strip() for word in lines[3].split("|")[1:4]] == [CAR, "**100.0**", "**95.0 (τ = 0.3, best of 2)**"]
    assert MISSING in lines[2] and "10.0 ± 5.0" in lines[3]
    latex = rendered(table, "latex", across="tasks")
    assert r"AWR & -- &  & 10.0 $\pm$ 5.0 \\" in latex
    assert r"\textbf{95.0 ($\tau$ = 0.3, best of 2)}" in latex
    assert r"108.6 $\pm$ 2.1" in rendered(table_4(ablated()), "latex")


def test_html_says_where_a_cell_comes_from_and_escapes_names(compared):
    hostile = compared.assign(method=compared["method"].replace("AWR", "<script>"))
    page = rendered(table_1(hostile), "html")
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "generated data, quick, seeds 0, 1, trials AWR0, AWR1" in page
    assert "τ = 0.3, best of 2" in page and "<b title=" in page


def test_csv_has_a_row_for_each_cell(compared, tmp_path):
    (tmp_path / "table.csv").write_text(rendered(table_1(compared), "csv"))
    read = pd.read_csv(tmp_path / "table.csv", index_col=["task", "method"])
    assert read.loc[(CAR, "AWR"), "deviation"] == 5.0 and len(read) == 5


def test_the_papers_column_stands_beside_the_one_it_is_of():
    table = table_4(ablated())
    heads = [head.strip() for head in rendered(table).splitlines()[0].split("|")[2:-1]]
    assert heads[:4] == ["diffusion", "diffusion, in the paper", "Gaussian", "Gaussian, in the paper"]


@pytest.mark.parametrize(("kind", "across"), [("word", "columns"), ("html", "rows")])
def test_other_forms_are_refused(compared, kind, across):
    with pytest.raises(ValueError, match="must be"):
        rendered(table_1(compared), kind, across=across)


def test_cells_keep_columns_apart():
    table = cells(frame((CAR, "a", "v", 0, 1.0), (CAR, "b", "v", 0, 2.0)), "method")
    assert table["mean"].tolist() == [1.0, 2.0]
