"""Puts the project's root where Python looks for modules, so that `python FOLDER/script.py` works
from anywhere; every script imports it before anything of ours."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
