"""Speed, as medians and spread of cases that take turns in one run."""
