"""A second process beside this one that compiles into the same cache.

Numba compiles one function at a time in a process; its cache on disk is safe between processes. The second process is
told what to do as "module:function" words, says each when it is done, and ends when the first does, however that ends.
If it cannot be started or fails, the first finds nothing in the cache and compiles by itself.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Wait = Callable[[str], bool]


@contextmanager
def beside(*tasks: str) -> Iterator[Wait]:
    """Run `tasks` in order in a second process; yields a function that waits for one of them.

    It returns False if that task will not be done any more. Leaving the block ends the second process.
    """
    code = "import sys; from oneprice.core.beside import serve; serve(sys.argv[1:])"
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    try:
        other = subprocess.Popen(
            [sys.executable, "-c", code, *tasks], stdin=pipe, stdout=pipe, stderr=nowhere, text=True
        )
    except (OSError, ValueError):  # no room for a process, or no interpreter to start
        yield lambda task: False
        return
    done: set[str] = set()

    def wait(task: str) -> bool:
        assert other.stdout is not None
        while task not in done:
            line = other.stdout.readline()
            if not line:
                return False
            done.add(line.strip())
        return True

    with other:
        try:
            yield wait
        finally:
            other.kill()


def serve(tasks: list[str]) -> None:
    """In the second process: do each task, then say so on standard output."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for task in tasks:
        module, name = task.split(":")
        getattr(importlib.import_module(module), name)()
        print(task, flush=True)


def _end_with_parent() -> None:
    """The pipe from the first process closes when it ends, killed or not."""
    while os.read(0, 1):
        pass
    os._exit(1)
