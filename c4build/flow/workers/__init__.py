"""Worker processes of this machine: `process` is one of them, `runner` is the Beam runner that starts and watches them."""

import psutil


def end_workers():
    """Ends the processes that this one started, and theirs."""
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
