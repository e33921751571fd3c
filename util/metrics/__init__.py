"""What is measured of pictures: one file a metric, found by name."""

from util.registry import Registry

registry = Registry("util.metrics", suffix="metric", base="Metric")
