"""An export in the place of a model: it takes batches and gives visuals."""

from __future__ import annotations

from pathlib import Path

import torch

from models.export.files import first_line, opened
from util.errors import UserError, warn
from util.machine import is_out_of_memory


class ExportedModel:
    """What `models.translation` needs of a model, computed by an .onnx or .pt2 file.

    Args:
        path: the file.
        device: that computes.
    """

    accepted_sides = (1, 1)  # the file pads and cuts by itself
    translation_names: tuple[str, ...] = ()

    def __init__(self, path: Path, device: torch.device) -> None:
        self.file = opened(path, device.type)
        self.path, self.device = path, device
        self._rounds = False  # whether that was said

    def networks(self) -> dict[str, torch.nn.Module]:
        """None that could be changed."""
        return {}

    def one_network(self) -> None:
        """No network whose layers could be computed in tiles."""

    def set_input(self, batch: dict) -> None:
        """Args: batch with "A" (N, C, H, W) in [-1, 1], and "A_paths"."""
        self.image_paths = batch["A_paths"]
        unit = ((batch["A"].cpu() + 1) / 2).permute(0, 2, 3, 1)
        if not self.file.floats:
            levels = unit * 255
            unit = levels.round().clamp(0, 255)
            if not self._rounds and (levels - unit).abs().max() > 0.01:
                self._rounds = True
                warn(f"{self.path}: takes 8 bits a value: deeper pictures are rounded to that; "
                     "scripts/export.py --float makes a file for them")  # fmt: skip
            unit = unit.to(torch.uint8)
        self.pictures = unit.contiguous().numpy()

    def test(self) -> None:
        """Compute.

        Raises:
            UserError: what the runtime says, if it is not about memory.
        """
        try:
            values = self.file.run(self.pictures)[1]
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            told = f"{self.path}: {self.file.runtime} fails: {first_line(error)}"
            raise UserError(told) from error
        self.fake = torch.from_numpy(values).permute(0, 3, 1, 2) * 2 - 1

    def get_current_visuals(self) -> dict[str, torch.Tensor]:
        """ "fake": (N, C, H, W) in [-1, 1]."""
        return {"fake": self.fake}

    def get_image_paths(self) -> list[str]:
        """The files of the current batch."""
        return self.image_paths
