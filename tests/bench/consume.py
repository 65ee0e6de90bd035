"""What tradecloud-spool run costs: how long an entry waits in new/ until its command has started,
with --watch; and processor time and memory with 10, 10,000 and 1,000,000 entries in new/.

    python3 tests/bench/consume.py [DIRECTORY]    (where the spools are made; /tmp)

Prints a table. The command of the first is bash, as it can tell the time by itself, and its own
start is a part of what is measured; that of the second is /bin/true, which is measured, too, by
itself.
"""

import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from consuming import content, name_of  # noqa: E402
from server import BUILD  # noqa: E402

ARRIVALS = 1000
CLAIMS = 1000
PROGRAM = BUILD / "tradecloud-spool"


def make_spool(directory):
    for state in ("tmp", "new", "work", "done", "failed", "rejected"):
        (directory / state).mkdir(parents=True)
    return directory


def environment(spool):
    return {"PATH": os.environ["PATH"], "TRADECLOUD_SPOOL": str(spool)}


def put(spool, number):
    temporary = spool / "tmp" / str(number)
    temporary.write_bytes(content(f"m{number}", f"S{number}"))
    os.link(temporary, spool / "new" / name_of(number))
    arrived = time.time()
    temporary.unlink()
    return arrived


def measure_latency(place):
    spool = make_spool(place / "latency")
    record = place / "record"
    script = f'echo "$CE_ID $EPOCHREALTIME" >>{record}'
    with open(place / "log", "wb") as log:
        runner = subprocess.Popen([PROGRAM, "run", "--watch", "--", "bash", "-c", script],
                                  env=environment(spool), stderr=log)
    time.sleep(1)
    arrived = {}
    for number in range(ARRIVALS):
        arrived[f"m{number}"] = put(spool, number)
        time.sleep(0.03)
    while len(os.listdir(spool / "done")) < ARRIVALS:
        time.sleep(0.1)
    runner.terminate()
    runner.wait()
    waits = []
    for line in record.read_text().splitlines():
        identifier, started = line.split(" ")
        waits.append((float(started) - arrived[identifier]) * 1000)
    waits.sort()
    print(f"from new/ to the command, {ARRIVALS} arrivals: median {statistics.median(waits):.1f} ms, "
          f"99 % {waits[ARRIVALS * 99 // 100]:.1f} ms, worst {waits[-1]:.1f} ms")


def fill(spool, count):
    for number in range(count):
        fd = os.open(spool / "new" / name_of(number), os.O_WRONLY | os.O_CREAT, 0o640)
        os.write(fd, content(f"m{number}", f"S{number % 50000}"))
        os.close(fd)


def peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def own_time(pid):
    """Seconds of processor time of the runner itself, without its children's."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_claims(place, count):
    spool = make_spool(place / str(count))
    fill(spool, count)
    wanted = min(count, CLAIMS)
    started = time.monotonic()
    runner = subprocess.Popen([PROGRAM, "run", "--watch", "--jobs", "2", "--", "/bin/true"],
                              env=environment(spool), stderr=subprocess.DEVNULL)
    while len(os.listdir(spool / "done")) < 1:
        time.sleep(0.001)
    first = time.monotonic() - started
    while len(os.listdir(spool / "done")) < wanted:
        time.sleep(0.01)
    elapsed = time.monotonic() - started
    processor, memory = own_time(runner.pid), peak(runner.pid)
    runner.terminate()
    runner.wait()
    print(f"{count:9,} entries: the first after {first * 1000:.0f} ms; {wanted} in {elapsed:.2f} s, "
          f"{processor / wanted * 1000:.2f} ms of processor time each, {memory} KiB at most")
    shutil.rmtree(spool)


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else "/tmp"
    place = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-bench.", dir=directory))
    try:
        measure_latency(place)
        for count in (10, 10000, 1000000):
            measure_claims(place, count)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(CLAIMS):
            subprocess.run(["/bin/true"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"/bin/true itself: {spent / CLAIMS * 1000:.2f} ms of processor time")
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
