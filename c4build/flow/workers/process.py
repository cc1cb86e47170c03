"""A worker process: Beam's own worker, which ends with the process that started it and survives a full disk.

`start` is called by the parent, `main` is what then runs. The worker's standard input is a pipe that nobody writes to:
it ends when the parent ends, however that happens, on Linux as on macOS.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import BinaryIO

_SILENT = 70  # exit code of a worker that could not even say what failed
_SECONDS = 5  # in which the end of the parent shows that a broken connection told of first


def start(worker_id: str, socket: str, folder: str, log: BinaryIO | int) -> subprocess.Popen:
    """Starts a worker that connects to `socket`, such as unix:/tmp/a/b, and deletes its `folder` should the parent be killed;
    what it has to say goes to `log`."""
    environment = dict(
        os.environ,
        WORKER_ID=worker_id,
        CONTROL_API_SERVICE_DESCRIPTOR=f'url: "{socket}"',
        PIPELINE_OPTIONS="{}",
        PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path),
        PYTHONSAFEPATH="1",  # no module is taken from the folder that the command is run in
    )
    command = [sys.executable, "-m", __name__, folder]
    # Ctrl-C is for the process that started the workers. It stays blocked in what is started here.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main():
    """Runs the worker to the end of its parent, which kills it when it has no more work."""
    end = threading.Thread(target=_end_with_parent, args=(sys.argv[1],), daemon=True)
    end.start()
    sys.stdout = sys.stderr = io.TextIOWrapper(_Unfailing(), errors="backslashreplace", write_through=True)

    from apache_beam.runners.worker import sdk_worker, sdk_worker_main

    execute = sdk_worker.SdkHarness._execute

    def execute_or_end(*arguments):
        # Beam answers with the error of a step. Where that fails too, for want of memory, its runner would wait forever.
        try:
            execute(*arguments)
        except BaseException:
            os._exit(_SILENT)

    sdk_worker.SdkHarness._execute = execute_or_end  # type: ignore[method-assign]
    try:
        sdk_worker_main.main(sys.argv)
    finally:  # where its connection ended first, its parent may have: the folder is still to be deleted
        end.join(_SECONDS)


def _end_with_parent(folder: str):
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


class _Unfailing(io.RawIOBase):
    """Standard error, but for a full disk: Beam prints an error before it tells its runner of it."""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        try:
            os.write(2, data)
        except OSError:
            pass
        return len(data)


if __name__ == "__main__":
    main()
