"""Interactive figures for the book: one Python file and one JavaScript module per widget, and what they share."""

from sfbc_core.book.widgets.diffusion_explorer import DiffusionExplorer
from sfbc_core.book.widgets.explorer import ActionExplorer
from sfbc_core.book.widgets.value_explorer import ValueExplorer

__all__ = ["ActionExplorer", "DiffusionExplorer", "ValueExplorer"]
