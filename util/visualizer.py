"""The old name, for scripts that say `from util.visualizer import Visualizer`."""

from util.training.visualizer import Visualizer  # noqa: F401
