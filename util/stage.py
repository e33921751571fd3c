"""What a row of pictures on a training page stands for."""

from typing import NamedTuple


class Stage(NamedTuple):
    """A row's number never falls; its pictures' files begin with the stem."""

    number: int
    heading: str
    file_stem: str
