"""Commands around training: demo, documentation, downloads."""

import sys

from scripts import _root

sys.modules.setdefault("_root", _root)  # as its modules call it, which are found already
