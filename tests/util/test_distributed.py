import subprocess
import sys

import pytest

from tests.helpers import ROOT, environment


@pytest.mark.parametrize("norm", ["instance", "syncbatch"])
def test_two_processes_make_the_step_of_one_with_the_double_batch(norm):
    worker = ROOT / "tests" / "util" / "distributed_worker.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
               "--standalone", str(worker), norm]  # fmt: skip
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-3000:]
