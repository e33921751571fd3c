"""A folder with train.py and test.py: this project, the published implementation, or the like."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from _root import ROOT

from util.errors import UserError

PLAIN = ROOT / "benchmarks" / "plain"
NEEDED = ("train.py", "test.py", "options/train_options.py", "models", "data")
FLAG = re.compile(r"""["']--(\w+)["']""")


@dataclass(frozen=True)
class Checkout:
    """One of the implementations that are compared.

    Args:
        folder: where its train.py and test.py are; they are started there, unmodified.
        python: the interpreter that it runs in.
        device: "cpu" or "cuda".
        flags: those that its sources name; others are not passed to it.
    """

    folder: Path
    python: str
    device: str
    flags: frozenset[str] = field(repr=False)

    def command(self, script: str, flags: list[str]) -> list[str]:
        """A command line without the flags that this checkout does not know."""
        if "device" in self.flags:
            flags = [*flags, "--device", self.device]
        elif "gpu_ids" in self.flags:
            flags = [*flags, "--gpu_ids", "-1" if self.device == "cpu" else "0"]
        return [script, *self.known(flags)]

    def known(self, flags: list[str]) -> list[str]:
        """Those of the flags, with their values, that the checkout knows."""
        kept, keep = [], True
        for word in flags:
            if word.startswith("--"):
                keep = word[2:] in self.flags
            if keep:
                kept.append(word)
        return kept

    def knows(self, flags: list[str]) -> bool:
        """Whether it knows all of the flags, and the model if one is named."""
        if "--model" in flags:
            model = flags[flags.index("--model") + 1]
            if not (self.folder / "models" / f"{model}_model.py").is_file():
                return False
        return self.known(flags) == flags

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes. Some versions take a GPU by themselves, so it is hidden for the CPU."""
        own = {"PYTHONPATH": "", "PYTHONUNBUFFERED": "1", "WANDB_MODE": "disabled"}
        return os.environ | own | ({"CUDA_VISIBLE_DEVICES": ""} if self.device == "cpu" else {})


def open_checkout(folder: str | Path, python: str, device: str, flag: str = "") -> Checkout:
    """The checkout in a folder.

    Args:
        flag: the command line's, for messages.

    Raises:
        UserError: there is none, or its interpreter has no torch.
    """
    folder = Path(folder).resolve()
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"{flag} {folder}: no {', '.join(missing)} there; give the folder of a checkout that "
            "has the published layout (train.py, test.py, options, models, data)"
        )
    sources = [path for room in ("options", "models", "data", "util")
               for path in sorted((folder / room).rglob("*.py"))]  # fmt: skip
    flags = {name for path in sources for name in FLAG.findall(path.read_text(errors="replace"))}
    return Checkout(folder, python, device, frozenset(flags))


def check_python(checkout: Checkout) -> None:
    """Raise UserError if the interpreter cannot run the checkout."""
    command = [checkout.python, "-c", "import torch, torchvision, PIL"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except OSError as error:
        raise UserError(
            f"--against_python {checkout.python}: {error.strerror}; give a Python's path"
        ) from None
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1]
        raise UserError(f"--against_python {checkout.python}: {why}; give a Python that has torch")
