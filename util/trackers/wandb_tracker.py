"""Weights & Biases: sent to its server, or kept in the run's folder until `wandb sync`."""

import argparse
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from util import atomic
from util.errors import say, warn
from util.lazy import Lazy
from util.record import PageRow, Record, RunInfo, command_line
from util.trackers.base_tracker import Tracker

wandb = Lazy("wandb")


class WandbTracker(Tracker):
    """Losses and metrics by images seen, pictures by stage, the options as configuration.

    Args:
        run: in whose folder wandb/ comes to lie.
        project: that the run belongs to there.
    """

    package = "wandb"
    install = "pip install -r requirements-trackers.txt"

    @staticmethod
    def add_flags(parser: argparse._ActionsContainer) -> None:
        """The project's name, and the old form of `--track wandb`."""
        add = parser.add_argument
        add("--use_wandb", action="store_true", counts_with={"isTrain": True},
            help="old form of --track wandb")  # fmt: skip
        add("--wandb_project_name", default="CycleGAN-and-pix2pix",
            counts_with=(
                "with --track wandb, in train.py",
                lambda o: o["isTrain"] and ("wandb" in o["track"] or WandbTracker.asked(o)),
            ),
            help="the run's project in W&B")  # fmt: skip

    @staticmethod
    def asked(values: Mapping[str, Any]) -> bool:
        """By `--use_wandb`."""
        return values["use_wandb"]

    @staticmethod
    def settings(values: Mapping[str, Any]) -> dict[str, Any]:
        """The project's name."""
        return {"project": values["wandb_project_name"]}

    def __init__(self, run: RunInfo, project: str) -> None:
        mode = os.environ.get("WANDB_MODE") or _possible_mode()
        online = mode in ("online", "shared", "run")
        quiet = wandb.Settings(
            console="off", silent=True, init_timeout=30, save_code=False,
            finish_timeout=4 if online else 60,  # a server may be gone; a file just takes its time
        )  # fmt: skip
        self.run = wandb.init(
            project=project, name=run.name, id=_run_id(run.folder), mode=mode,
            dir=str(run.folder.resolve()),
            resume="allow" if online else None, config=run.options, reinit="create_new",
            settings=quiet,
        )  # fmt: skip
        self.run.define_metric("*", step_metric="images")
        (Path(self.run.dir) / "networks.txt").write_text(run.networks)
        self.images = 0
        if run.legend:
            self.run.log({"classes": wandb.Html(run.legend), "images": 0})
        sync = command_line(["wandb", "sync", Path(self.run.dir).parent])
        say(f"W&B: {self.run.url if online else f'offline; {sync} sends it'}")

    def log(self, record: Record) -> None:
        """A row of the run's history: loss/, epoch_mean/, metric/, and the rest by its name."""
        self.images = record.step.images
        parts = record.parts()
        row = parts["step"] | parts["speed"]
        rooms = {"loss": "losses", "epoch_mean": "means", "metric": "metrics"}
        for room, part in rooms.items():
            row |= {f"{room}/{name}": value for name, value in parts[part].items()}
        self.run.log(row)

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """A row of the history with pictures in it, at the images seen last."""
        shown = {
            f"pictures/{label}": wandb.Image(picture, caption=row.heading)
            for label, picture in pictures.items()
        }
        self.run.log(shown | {"images": self.images, "stage": row.number})

    def close(self) -> None:
        """Send, or write, what is left."""
        self.run.finish()


def _possible_mode() -> str:
    """Online if there is a login and a server that answers; says why not."""
    settings = wandb.setup().settings
    server = urlsplit(settings.base_url)
    if not wandb.login(prompt=False, verify=False):
        return "offline"
    port = server.port or (80 if server.scheme == "http" else 443)
    try:
        socket.create_connection((server.hostname, port), timeout=2).close()
    except OSError as error:
        warn(f"--track wandb: {settings.base_url} does not answer ({error}); going on offline")
        return "offline"
    return "online"


def _run_id(folder: Path) -> str:
    """The same in every session of a run."""
    file = folder / "wandb_id.txt"
    if not file.is_file():
        atomic.write(file, secrets.token_hex(4).encode())
    return file.read_text()
