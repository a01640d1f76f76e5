"""What the processes of test_many_processes do; importable by a process that starts afresh."""

import os
import socket
import subprocess
import sys

from pixelrnn.data.converted import digest


def prepare_together(module, barrier, answers, log):
    """Wait for the others, prepare, and tell what was read."""
    build = module.image_set.build

    def counted(builder):
        with open(log, "a") as stream:
            stream.write("built\n")
        build(builder)

    module.image_set.build = counted
    barrier.wait()
    module.prepare_data()
    module.setup()
    answers.put(
        {part: digest(module.image_set.part(part)) for part in module.image_set.source.parts}
    )


def prepare(module, started):
    """Prepare; `started` is set when the work begins."""
    started.set()
    module.prepare_data()


def dead_pid():
    """The number of a process that is gone."""
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def unfinished(name, pid=None, host=None):
    """The name that a process gives to an unfinished file."""
    host = host or socket.gethostname().replace(".", "-")
    return f".{name}.{host}.{os.getpid() if pid is None else pid}.0123abcd.tmp"
