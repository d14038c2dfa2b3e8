"""Interactive figures for the book: one Python file and one JavaScript module per widget."""

from sfbc_core.widgets.explorer import ActionExplorer

__all__ = ["ActionExplorer"]
