"""Environments and data sets, by name."""

from sfbc_core.tasks.registry import Task, TaskConfig, load_task, task_names

__all__ = ["Task", "TaskConfig", "load_task", "task_names"]
