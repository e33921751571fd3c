"""Runs scripts in processes of their own, without the seconds that importing torch takes.

    python -m tests.fork_server SOCKET

It imports what they all need, and forks one process for each request; see tests/processes.py. What
a script sees is what it would see if it had been started from a shell: its own arguments, folder,
variables, session, standard streams, and the signals at their defaults.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys

READY = ["torch", "torch._dynamo", "torchvision", "torch.distributed", "torch.utils.data",
         "train", "test", "data.aligned_dataset", "data.unaligned_dataset",
         "models.pix2pix_model", "models.cycle_gan_model", "models.compute.configure",
         "util.training.session"]  # fmt: skip


def serve(path: str) -> None:
    """Answer requests until a signal comes, or stdin is closed: whoever started it was killed.
    Returns in each script's process, set up."""
    for module in READY:
        importlib.import_module(module)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + ".part")
        listener.listen()
        os.rename(path + ".part", path)
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            request, _ = listener.accept()
            if os.fork() == 0:
                break
            request.close()
            _reap()
        else:
            sys.exit()
    keep(request)


def _reap() -> None:
    """Let go of those that have ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def keep(request: socket.socket) -> None:
    """Fork the script's process; tell its number, and at the end its exit status. It is killed,
    with its workers, if nobody waits for it any more."""
    text, streams, _, _ = socket.recv_fds(request, 1 << 20, 3)
    wanted = json.loads(text)
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(release)
        os.read(hold, 1)  # until its number is known to whoever wants to send it signals
        request.close()
        become(wanted, streams)
        return
    for stream in streams:
        os.close(stream)
    request.sendall(f"{pid}\n".encode())
    os.close(release)
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if select.select([request], [], [], 0.02)[0]:
            with contextlib.suppress(ProcessLookupError):  # it has no session of its own yet
                os.killpg(pid, signal.SIGKILL)
    status = ended[1]
    with contextlib.suppress(OSError):
        request.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(wanted: dict, streams: list[int]) -> None:
    """Take on a script's session, streams, folder, variables and signals."""
    os.setsid()
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environ"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    sys.argv = wanted["argv"]
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    exec(wanted["before"], {})  # in this process, before the script


if __name__ == "__main__":
    serve(sys.argv[1])
    # Here, outside every function, as the main module: so it ends as any script does.
    __file__ = sys.argv[0]
    with open(__file__) as script:
        code = compile(script.read(), __file__, "exec")
    exec(code)
