"""Finds plug-ins by file name: models/<name>_model.py holds class <Name>Model."""

import importlib
from pathlib import Path

from util.errors import UserError, did_you_mean


class Registry:
    """The classes of one package, one file each; case and underscores do not matter in names.

    Args:
        package: import name of the package, also its folder's name, e.g. "models".
        suffix: last part of file and class names, e.g. "model".
        base: name of the base class, which plug-ins must extend.
    """

    def __init__(self, package: str, suffix: str, base: str) -> None:
        self.package, self.suffix, self.base = package, suffix, base

    def names(self) -> list[str]:
        """Names to choose from, read from the folder: nothing is imported."""
        folders = importlib.import_module(self.package).__path__
        files = [f for folder in folders for f in Path(folder).glob(f"*_{self.suffix}.py")]
        names = {f.name.removesuffix(f"_{self.suffix}.py") for f in files}
        return sorted(names - {"base"})

    def find(self, name: str) -> type:
        """The class called `name`.

        Raises:
            UserError: no such file, or the file has no such class.
        """
        if name not in self.names():
            raise UserError(
                f"unknown {self.suffix} {name!r}; accepted: {', '.join(self.names())}"
                + did_you_mean(name, self.names())
            )
        base = getattr(importlib.import_module(f"{self.package}.base_{self.suffix}"), self.base)
        module = importlib.import_module(f"{self.package}.{name}_{self.suffix}")
        wanted = f"{name}{self.suffix}".replace("_", "").lower()
        for key, value in vars(module).items():
            is_plugin = isinstance(value, type) and issubclass(value, base)
            if is_plugin and key.replace("_", "").lower() == wanted:
                return value
        there = [k for k, v in vars(module).items() if isinstance(v, type) and v is not base]
        class_name = f"{name}_{self.suffix}".title().replace("_", "")
        raise UserError(
            f"{module.__file__}: no class for {name!r} among {', '.join(there) or 'none'}; "
            f"write `class {class_name}({self.base})` in it"
        )
