"""Where a training is, and where it goes on."""

import pytest

from util.errors import UserError
from util.training.checkpointer import Progress, resumed_progress

SAVED = {"progress": {"epoch": 3, "seen": 4, "images": 24, "size": 10}}


def test_the_last_step_of_an_epoch_may_be_smaller():
    progress = Progress(size=5)
    assert [progress.advance(2) for _ in range(3)] == [0, 2, 4]
    assert (progress.seen, progress.images) == (5, 5)


@pytest.mark.parametrize(("state", "epoch", "size", "expected"), [
    (None, 3, 10, Progress(3, size=10)),
    (SAVED, 3, 10, Progress(3, 4, 24, 10)),  # in its midst
    (SAVED, 4, 10, Progress(4, 0, 24, 10)),  # another epoch was asked for
    (SAVED, 3, 12, Progress(3, 0, 24, 12)),  # which images were seen is not known
])  # fmt: skip
def test_where_a_run_goes_on(state, epoch, size, expected):
    assert resumed_progress(state, epoch, size, allow_changed=size == 12) == expected


def test_another_number_of_images_is_refused_unless_it_is_allowed():
    with pytest.raises(UserError, match="10 -> 12 images an epoch.*--allow_changed"):
        resumed_progress(SAVED, 3, 12, allow_changed=False)
