"""What kind a flag is, said where it is declared: `add_argument("--lr", life="run")`.

Who saves a value, what `--continue_train` and test.py do with the run's own, and whether it decides
the pixels that `--cache disk` keeps, all follow from that.
"""

from dataclasses import dataclass, replace

from util.errors import UserError, did_you_mean

OWN = "own"  # not taken from the run: given anew, or the default
TAKEN = "taken"  # the run's value, where no other is given
FIXED = "fixed"  # the run's value; another one is refused
FATES = (OWN, TAKEN, FIXED)


@dataclass(frozen=True)
class Life:
    """What follows from a flag's kind.

    Args:
        kind: one of KINDS.
        resume: what happens to a run's value with `--continue_train`: OWN, TAKEN or FIXED.
        test: what happens to a run's value in test.py.
        saved: in the run's train_opt.yaml.
        decides_pixels: of the images that training reads, and so part of the disk cache's recipe.
        compared: shown where the options of several runs are compared.
    """

    kind: str
    resume: str
    test: str
    saved: bool = True
    decides_pixels: bool = False
    compared: bool = True

    def describe(self) -> str:
        """The kind, and where the flag differs from it; for the options reference."""
        usual, notes = KINDS[self.kind], []
        if self.resume != usual.resume:
            notes.append(f"--continue_train: {self.resume}")
        if self.test != usual.test:
            notes.append(f"test: {self.test}")
        return f"{self.kind} ({', '.join(notes)})" if notes else self.kind


KINDS = {
    # Of one call of the script.
    "call": Life("call", resume=OWN, test=OWN, saved=False),
    # Where the run is: it may be moved or copied, and no two runs are in one place.
    "place": Life("place", resume=OWN, test=OWN, compared=False),
    # How it is computed, kept and shown on this machine; may change between sessions.
    "machine": Life("machine", resume=TAKEN, test=OWN),
    # What comes out of the training.
    "run": Life("run", resume=FIXED, test=OWN),
    # What the weights are the weights of: in test another value could only do harm.
    "network": Life("network", resume=FIXED, test=FIXED),
    # How images are read; test may look at them in another way.
    "data": Life("data", resume=FIXED, test=TAKEN, decides_pixels=True),
}
# Of a plug-in's flag that does not say: what the network is may hang on it.
UNDECLARED = replace(KINDS["network"], test=TAKEN)


def declared(flag: str, life: str | None, resume: str | None, test: str | None) -> Life | None:
    """The kind `life`, with another fate of the run's value where one is given; None without any.

    Raises:
        UserError: no such kind, or no such fate.
    """
    given = {"life": life, "resume": resume, "test": test}
    given = {name: word for name, word in given.items() if word is not None}
    for name, word in given.items():
        accepted = list(KINDS) if name == "life" else FATES
        if word not in accepted:
            raise UserError(
                f"add_argument({flag!r}, {name}={word!r}): accepted: {', '.join(accepted)}"
                + did_you_mean(str(word), accepted)
            )
    if not given:
        return None
    kind = UNDECLARED if life is None else KINDS[life]
    return replace(kind, resume=resume or kind.resume, test=test or kind.test)


def undeclared(before: Life | None) -> Life:
    """Of a plug-in's flag that does not say its kind.

    Args:
        before: of the flag that it defines anew, if it does: that kind stays, but test takes the
            plug-in's value from the run.
    """
    if before is None:
        return UNDECLARED
    return replace(before, test=TAKEN) if before.test == OWN else before
