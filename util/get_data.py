"""The old name, for `python -m util.get_data` and `from util.get_data import GetData`."""

import sys

from util.downloads.get_data import GetData, main  # noqa: F401

if __name__ == "__main__":
    sys.exit(main())
