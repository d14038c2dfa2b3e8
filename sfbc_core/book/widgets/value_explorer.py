"""The value explorer: a table of value maps over a maze, whose axes are sliders."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Float, Int

from sfbc_core.book.widgets.book_widget import BookWidget, load_module
from sfbc_core.book.widgets.packing import pack_rows


class ValueExplorer(BookWidget):
    """Explore how the values of the cells of a maze depend on several settings, computed beforehand.

    The axes of `values` before the last two are settings. Each becomes a slider, or a menu, in the order given; the first is
    also the horizontal axis of the curve of the chosen cell.

    Example:
        >>> values = np.arange(12.0).reshape(3, 2, 2)
        >>> explorer = ValueExplorer(values, {"planning iterations K": [1, 2, 3]})
        >>> explorer.position = [2]
        >>> explorer.value
        8.0

    Attributes:
        position: the index on every axis.
        row: row of the chosen cell, counted from the top.
        column: column of the chosen cell.
    """

    _esm = load_module("value_explorer.js")
    STATE = ("position", "row", "column")

    position = traitlets.List(traitlets.Int()).tag(sync=True)
    row = traitlets.Int(0).tag(sync=True)
    column = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        values: Float[np.ndarray, "*axes H W"],
        axes: Mapping[str, Sequence[Any]],
        *,
        arrows: Int[np.ndarray, "*axes H W"] | None = None,
        reference: Float[np.ndarray, "*reference H W"] | None = None,
        reference_label: str = "reference",
        letters: Mapping[str, tuple[int, int]] | None = None,
        menus: Sequence[str] = (),
        position: Sequence[int] | None = None,
        row: int = 0,
        column: int = 0,
        title: str = "Values over the maze",
        map_label: str = "Value of every cell",
        value_label: str = "value",
    ):
        """Pack the table.

        Args:
            values: one map for every combination of settings; NaN marks a wall, in every map the same.
            axes: the name of each setting and the labels of its positions.
            arrows: the action shown in each cell: 0 up, 1 right, 2 down, 3 left, anything else none.
            reference: maps to compare with; an axis of length 1 stands for all positions.
            reference_label: what the reference is.
            letters: text in cells, such as {"S": (0, 0)}, as (row, column).
            menus: names of the settings that are a menu, not a slider.
            position: initial index on every axis. Default: the first of all.
            row: initial row of the chosen cell.
            column: initial column.
            title: heading of the widget.
            map_label: what the map shows.
            value_label: name of the values.

        Raises:
            ValueError: shapes disagree, walls differ between maps, a number is infinite, or a menu is no axis.
            traitlets.TraitError: an initial position or cell is out of range.
        """
        lengths = tuple(len(labels) for labels in axes.values())
        if not lengths or 0 in lengths or values.shape[:-2] != lengths:
            raise ValueError(
                f"values must have shape (*axes, H, W) with axes of length {lengths} as labelled (at least one); "
                f"got {values.shape}"
            )
        free = ~np.isnan(values.reshape(-1, *values.shape[-2:])[0])
        self._free = free
        self._values = values
        if unknown := set(menus) - set(axes):
            raise ValueError(f"menus must name axes, {list(axes)}; got {sorted(unknown)}")
        if arrows is not None and arrows.shape != values.shape:
            raise ValueError(f"arrows must have the shape of values, {values.shape}; got {arrows.shape}")
        packed = self._pack("values", values)
        limits = [float(np.nanmin(values)), float(np.nanmax(values))]
        data: dict[str, Any] = {
            "axes": [[name, [str(label) for label in labels]] for name, labels in axes.items()],
            "menus": list(menus),
            "grid": list(free.shape),
            "cells": np.argwhere(free).tolist(),
            "values": packed,
            "limits": limits if limits[0] < limits[1] else [limits[0] - 0.5, limits[0] + 0.5],
            "letters": [[*cell, text] for text, cell in (letters or {}).items()],
            "title": title,
            "map_label": map_label,
            "value_label": value_label,
        }
        if arrows is not None:
            shown = np.where((arrows >= 0) & (arrows < 4), arrows, 255).astype(np.uint8)
            data["arrows"] = base64.b64encode(shown[..., free].tobytes()).decode()
        if reference is not None:
            if reference.ndim != values.ndim or any(
                have not in (1, length) for have, length in zip(reference.shape[:-2], lengths, strict=True)
            ):
                raise ValueError(f"reference must have shape {values.shape}, or 1 for an axis; got {reference.shape}")
            data["reference"] = {
                "values": self._pack("reference", reference),
                "shape": list(reference.shape[:-2]),
                "label": reference_label,
            }
        start = [0] * len(lengths) if position is None else list(position)
        super().__init__(data=data, position=start, row=row, column=column)

    def _pack(self, name: str, values: Float[np.ndarray, "..."]) -> dict[str, str]:
        """The free cells of every map, one row a map; refuses maps with other walls."""
        maps = values.reshape(-1, *values.shape[-2:])
        if maps.shape[1:] != self._free.shape or (np.isnan(maps) == self._free).any():
            raise ValueError(
                f"all maps of {name} must have the same walls (NaN) as the first map of values; they differ"
            )
        cells = maps[:, self._free]
        if not np.isfinite(cells).all() or cells.shape[1] == 0:
            raise ValueError(f"{name} must be finite in at least one cell and NaN only in walls")
        return pack_rows(cells)

    @traitlets.validate("position")
    def _validate_position(self, proposal: dict[str, Any]) -> list[int]:
        lengths, position = self._values.shape[:-2], proposal["value"]
        if len(position) != len(lengths) or not all(0 <= i < n for i, n in zip(position, lengths, strict=False)):
            raise traitlets.TraitError(
                f"position must hold one index for each axis of lengths {lengths}; got {position}"
            )
        return position

    @traitlets.validate("row", "column")
    def _validate_cell(self, proposal: dict[str, Any]) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        count = self._free.shape[("row", "column").index(name)]
        if not 0 <= value < count:
            raise traitlets.TraitError(f"{name} must be between 0 and {count - 1}; got {value}")
        return value

    @property
    def value(self) -> float:
        """The value of the chosen cell at the current position; NaN in a wall."""
        return float(self._values[(*self.position, self.row, self.column)])

    def preview_png(self) -> bytes:
        """A still picture of the map and of the chosen cell's curve at the current position."""
        import matplotlib  # only needed here, and slow to import
        from matplotlib.figure import Figure

        with matplotlib.rc_context({"text.parse_math": False}):  # the page shows labels as they are: "$" is a dollar
            figure = Figure(figsize=(7.2, 3.0), layout="constrained")
            left, right = figure.subplots(1, 2)
            low, high = self.data["limits"]
            picture = left.imshow(self._values[tuple(self.position)], cmap="viridis", vmin=low, vmax=high)
            for row, column, text in self.data["letters"]:
                left.text(column, row, text, ha="center", va="center", color="white")
            left.plot(self.column, self.row, "s", mfc="none", mec="red", ms=9)
            left.set(xticks=[], yticks=[], title=self.data["map_label"], facecolor="0.5")
            figure.colorbar(picture, ax=left, label=self.data["value_label"])
            name, labels = self.data["axes"][0]
            right.plot(labels, self._values[(slice(None), *self.position[1:], self.row, self.column)], "o-")
            right.set(xlabel=name, ylabel=self.data["value_label"], title="the chosen cell")
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=80)
        return buffer.getvalue()

    def preview_description(self) -> str:
        """What the still picture shows: the settings, and the value of the chosen cell."""
        settings = ", ".join(
            f"{name}: {labels[i]}" for (name, labels), i in zip(self.data["axes"], self.position, strict=True)
        )
        return (
            f"“{self.data['title']}”, a still picture: {self.data['map_label']}, beside the {self.data['value_label']} of "
            f"one cell. {settings}; at row {self.row + 1}, column {self.column + 1}: {self.value:.3g}."
        )

    def __repr__(self) -> str:
        height, width = self._free.shape
        lengths = " x ".join(map(str, self._values.shape[:-2]))
        return f"ValueExplorer({lengths} maps of {height} x {width} cells, position={self.position})"
