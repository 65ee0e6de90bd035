"""The processor time of servers with all the processes they start, by a control group."""

import contextlib
import os
import pathlib


def own_group():
    """The mount point of the control groups (version 2) and this process's own, or None."""
    with open("/proc/mounts") as mounts:
        points = [fields[1] for fields in map(str.split, mounts) if fields[2] == "cgroup2"]
    with open("/proc/self/cgroup") as groups:
        paths = [line.strip()[3:] for line in groups if line.startswith("0::")]
    if not points or not paths:
        return None
    return pathlib.Path(points[0]), pathlib.Path(points[0] + paths[0])


class Meter:
    """Without the right to make a control group, it measures nothing."""

    def __init__(self):
        self.group = None
        found = own_group()
        if found:
            root, self.home = found
            with contextlib.suppress(OSError):
                (root / f"tradecloud-bench.{os.getpid()}").mkdir()
                self.group = root / f"tradecloud-bench.{os.getpid()}"

    @contextlib.contextmanager
    def inside(self):
        """What is started here is measured, and all that it starts."""
        if self.group:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            if self.group:
                (self.home / "cgroup.procs").write_text(str(os.getpid()))

    def milliseconds(self):
        if not self.group:
            return None
        lines = (self.group / "cpu.stat").read_text().split()
        return int(lines[lines.index("usage_usec") + 1]) / 1000

    def close(self):
        if self.group:
            with contextlib.suppress(OSError):
                self.group.rmdir()
