"""Finds plug-ins by file name: models/<name>_model.py holds class <Name>Model; and tables to which
plug-ins of this kind belong."""

import importlib
import inspect
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from util.errors import UserError, did_you_mean


class Registry:
    """The classes of one package, one file each; case and underscores do not matter in names.

    Args:
        package: import name of the package, also its folder's name, e.g. "models".
        suffix: last part of file and class names, e.g. "model".
        base: the base class, which plug-ins must extend: its name in <package>.base_<suffix>, or
            "module:Class" if it is elsewhere.
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
        base = self._base()
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
            f"write `class {class_name}({self.base.replace(':', '.')})` in it"
        )

    def _base(self) -> type:
        module, _, name = self.base.rpartition(":")
        module = module or f"{self.package}.base_{self.suffix}"
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True)
class Entry:
    """A row of a table of classes, which are imported when one is built.

    Args:
        where: "module:Class".
        arguments: of its constructor, that make this row what it is.
    """

    where: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> type:
        """The class."""
        module, _, name = self.where.partition(":")
        return getattr(importlib.import_module(module), name)

    def build(
        self, flag: str, values: tuple[Any, ...], offered: dict[str, Any], own: dict[str, Any]
    ) -> Any:
        """An instance of the class.

        Args:
            flag: what it was chosen by, for messages, e.g. "--netG unet_256".
            values: of the constructor's first parameters.
            offered: by name; those that the constructor does not have are left out.
            own: by name; the constructor must have them.

        Raises:
            UserError: an unknown name in `own`.
        """
        make = self.load()
        parameters = inspect.signature(make).parameters
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            for name in own.keys() - parameters.keys():
                raise UserError(
                    f"{flag} takes no argument {name!r}; accepted: {', '.join(parameters)}"
                )
            offered = {name: value for name, value in offered.items() if name in parameters}
        return make(*values, **{**offered, **self.arguments, **own})


class Table(UserDict[str, Any]):
    """Name -> row: our own rows, and one for each plug-in of a registry, which is imported when its
    row is asked for, and not for its name. A plug-in of another kind may add a row by assignment.

    Args:
        rows: our own.
        plugins: finds the classes of plug-ins.
        row_of: from such a class to its row.
    """

    def __init__(
        self, rows: dict[str, Any], plugins: Registry, row_of: Callable[[type], Any]
    ) -> None:
        super().__init__(rows)
        self.plugins, self.row_of = plugins, row_of

    def __missing__(self, name: str) -> Any:
        if name not in self.plugins.names():
            raise KeyError(name)
        return self.row_of(self.plugins.find(name))

    def __contains__(self, name: object) -> bool:
        return name in self.data or name in self.plugins.names()

    def __iter__(self) -> Iterator[str]:
        yield from self.data
        yield from (name for name in self.plugins.names() if name not in self.data)

    def __len__(self) -> int:
        return len(list(iter(self)))
