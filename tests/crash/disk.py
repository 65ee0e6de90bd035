"""A disk that keeps only what POSIX says it must: fed with the system calls that strace saw, it
knows which files and names would surely be there if the power failed at any moment.

The bytes of a file are sure after a successful fsync() of it that comes after the last write; a
name is sure after a successful fsync() of its directory. A sync that failed, fdatasync() too, makes
nothing sure, nor does a later one on the same file, whose dirty pages the kernel may have dropped.
Nothing becomes sure by itself, in whatever order a file system would have written it, or by a
fdatasync(), beside which more is written: that is stricter than any.
"""

import re

LINE = re.compile(r"(?:(\d+) +)?(\w+)\((.*)\) += (-?\d+|\?)(.*)$")
DESCRIPTOR = re.compile(r"(\d+|AT_FDCWD)<([^>]*)>")
UNFINISHED = " <unfinished ...>"
RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)$")


class Violation(AssertionError):
    pass


def calls(text):
    """The system calls of a trace, in the order in which they ended: pid, name, arguments, result
    (None: it did not return) and what strace says of it."""
    begun = {}
    for line in text.splitlines():
        if line.endswith(UNFINISHED):
            begun[line.split()[0]] = line[:-len(UNFINISHED)]
            continue
        resumed = RESUMED.match(line)
        if resumed:
            line = begun.pop(resumed[1], "") + resumed[2]
        match = LINE.match(line)
        if match:
            result = None if match[4] == "?" else int(match[4])
            yield match[1], match[2], match[3], result, match[5]


def names(arguments):
    """The paths that a call names by directory and name: openat(3</spool>, "tmp", ...)."""
    found = re.findall(r'(?:\d+|AT_FDCWD)<([^>]*)>, "([^"]*)"', arguments)
    return [name if name.startswith("/") else f"{directory}/{name}" for directory, name in found]


class Disk:
    """What is sure of the spool. What was there before the first trace is."""

    def __init__(self, spool):
        self.spool = str(spool)
        self.dirty = set()  # files with bytes that are not sure
        self.spoilt = set()  # files of which a sync has failed
        self.unsure = {}  # names that are not sure: the file each is a name of, or None
        self.hasty = set()  # entries whose other name this process removed before they were sure
        self.answer = None  # the status, once it was begun

    def replay(self, trace):
        """Follow a process; raise Violation where it breaks a promise."""
        self.answer = None
        self.hasty = set()
        for _, name, arguments, result, remark in calls(trace):
            step = getattr(self, f"_{name}", None)
            if "INJECTED" in remark and result == 0:
                continue  # it only seems to have happened
            if step and result is not None and result >= 0:
                step(arguments)
            elif name in ("fsync", "fdatasync") and (result or 0) < 0 and "EINTR" not in remark:
                self.spoilt.update(self.dirty & {self._descriptor(arguments)})

    def sure(self, path):
        """Whether a path would be there after a power failure."""
        while path.startswith(self.spool + "/"):
            if path in self.unsure:
                return False
            path = path.rpartition("/")[0]
        return True

    @staticmethod
    def _descriptor(arguments):
        match = DESCRIPTOR.match(arguments)
        return match[2] if match else ""

    def _openat(self, arguments):
        if "O_CREAT" in arguments:
            for path in names(arguments):
                self.dirty.add(path)
                self.unsure[path] = None

    def _mkdirat(self, arguments):
        for path in names(arguments):
            self.unsure[path] = None

    def _symlinkat(self, arguments):
        directory, name = re.search(r'\d+<([^>]*)>, "([^"]*)"', arguments).groups()
        self.unsure[f"{directory}/{name}"] = None

    def _write(self, arguments):
        if arguments.startswith("1<"):
            self._answered(arguments)
        else:
            self.dirty.add(self._descriptor(arguments))

    _writev = _pwritev = _pwritev2 = _pwrite64 = _write

    def _fsync(self, arguments):
        path = self._descriptor(arguments)
        if path in self.spoilt:
            raise Violation(f"{path}: synced once more after a sync that failed")
        self.dirty.discard(path)
        for name in [n for n in self.unsure if n.rpartition("/")[0] == path]:
            del self.unsure[name]

    def _linkat(self, arguments):
        source, target = names(arguments)
        if source in self.dirty:
            raise Violation(f"{target}: visible before its bytes were sure")
        self.unsure[target] = source

    def _unlinkat(self, arguments):
        [path] = names(arguments)
        self.unsure.pop(path, None)
        self.dirty.discard(path)
        self.hasty.update(name for name, source in self.unsure.items() if source == path)

    def _answered(self, arguments):
        status = re.search(r'"Status: (\d+) ', arguments)
        if not status:
            return
        self.answer = int(status[1])
        kept = self.answer < 300 or self.answer in (400, 404)
        file = re.search(r'\\"file\\":\\"([^"\\]*)\\"', arguments)
        if not kept or (self.answer < 300 and not file):
            return
        wanted = f"{self.spool}/new/{file[1]}" if file else f"{self.spool}/rejected/"
        unsure = [n for n in self.unsure if n == wanted or (not file and n.startswith(wanted))]
        if unsure or not self.sure(wanted):
            raise Violation(f"answered {self.answer} before {wanted} was sure")
        receipts = [n for n in self.unsure if n.startswith(f"{self.spool}/state/received")]
        if self.answer < 300 and (receipts or not self.sure(f"{self.spool}/state/received")):
            raise Violation(f"answered {self.answer} before its time of receipt was sure")
        if wanted in self.hasty:
            raise Violation(f"{wanted}: its first name was removed before it was sure")
