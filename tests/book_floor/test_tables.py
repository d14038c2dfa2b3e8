"""Tables as a page shows them, read back by pandas itself."""

from __future__ import annotations

import base64
import io

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib_inline.backend_inline import configure_inline_support

from sfbc_core.book import use_book_style
from sfbc_core.book.tables import styled_table_html, table_html

VALUES = {"score": [1.5, -0.0], "each seed": ["1, 2", "<b>"]}


def rows_of(html: str) -> list[list[str]]:
    """The texts of a table, row by row; every row is as wide as the table."""
    (table,) = pd.read_html(io.StringIO(html), header=None, keep_default_na=False)
    head = table.columns.to_frame().T.astype(str).to_numpy().tolist()
    return head + table.astype(str).to_numpy().tolist()


def test_the_name_of_the_index_heads_its_column():
    frame = pd.DataFrame(VALUES, index=pd.Index([0.5, 1], name="α & K"))
    assert rows_of(table_html(frame)) == [
        ["α & K", "score", "each seed"],
        ["0.5", "1.5", "1, 2"],
        ["1.0", "0.0", "<b>"],
    ]


def test_several_names_head_their_columns():
    index = pd.MultiIndex.from_tuples([("maze", 1), ("maze", 2)], names=["task", "K"])
    head, first, second = rows_of(table_html(pd.DataFrame(VALUES, index=index)))
    assert head == ["task", "K", "score", "each seed"]
    assert first == ["maze", "1", "1.5", "1, 2"] and second[:2] == ["maze", "2"]


def test_the_name_of_the_columns_stands_above_them():
    frame = pd.DataFrame(VALUES, index=pd.Index([1, 2], name="K")).rename_axis(columns="of <each>")
    html = table_html(frame)
    assert html.count("<tr") == 4
    assert '<th colspan="2" style="text-align: center;">of &lt;each&gt;</th>' in html
    assert rows_of(html)[1][1:] == ["score", "each seed"]


@pytest.mark.parametrize("name", [None, "K"])
def test_columns_of_two_levels_and_an_index_without_a_name_are_left_to_pandas(name):
    frame = pd.DataFrame(VALUES).rename_axis(name)
    frame.columns = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
    assert table_html(frame) == frame._repr_html_().replace("-0.0", "0.0")
    assert "-0" not in table_html(pd.DataFrame(VALUES))


def test_a_table_with_formats_of_its_own_is_no_exception():
    frame = pd.DataFrame({"a": [1.25, -0.001], "b": [2.0, float("nan")]}, index=pd.Index([1, 2], name="K"))
    rows = rows_of(styled_table_html(frame.style.format("{:.2f}", na_rep="")))
    assert rows == [["K", "a", "b"], ["1", "1.25", "2.00"], ["2", "0.0", ""]]
    html = styled_table_html(frame.rename_axis(None).style.format("{:.1f}"))
    assert ">-0.0<" not in html and 'class="dataframe"' in html


def test_the_frame_itself_is_not_changed():
    frame = pd.DataFrame(VALUES)
    table_html(frame)
    assert str(frame["score"].tolist()) == "[1.5, -0.0]"


def test_in_a_notebook_pictures_are_twice_as_fine_and_tables_are_ours():
    shell = InteractiveShell.instance()
    try:
        use_book_style()
        frame = pd.DataFrame(VALUES, index=pd.Index([1, 2], name="K"))
        data, _ = shell.display_formatter.format(frame)
        assert data["text/html"] == table_html(frame)

        configure_inline_support(shell, "inline")
        figure = plt.figure(figsize=(3, 2))
        figure.add_subplot().plot([1, 2])
        data, metadata = shell.display_formatter.format(figure)
        plt.close(figure)
        width = int.from_bytes(base64.b64decode(data["image/png"])[16:20], "big")
        assert metadata["image/png"]["width"] == width // 2
    finally:
        InteractiveShell.clear_instance()
