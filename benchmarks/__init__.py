"""Speed, as medians and spread of cases that take turns in one run."""

import sys

from benchmarks import _root

sys.modules.setdefault("_root", _root)  # as its modules call it, which are found already
