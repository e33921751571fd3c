"""What is measured of pictures: one file a metric, found by name."""
