"""The old name, for `python -m util.visdom_server`."""

import sys

from util.trackers.visdom_server import main

if __name__ == "__main__":
    sys.exit(main())
