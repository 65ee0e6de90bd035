"""make bench: what receiving an event costs, beside the floor under it and beside its peers.

    bench.py [--quick | --smoke] [--output DIRECTORY]

The floor (floor.c) does what cannot be done without, and judges nothing; the peers do the same job
in other ways. All is measured in one run, programs in turn, so that what disturbs one disturbs all;
what is told are medians, and medians of ratios. Tables go to the terminal, everything to
DIRECTORY/bench.json, and what the README shows to chart.svg and speed.md. --smoke tries the harness
in some seconds, with nothing but the programs alone: its figures mean nothing.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / name) for name in ("bench", "system", "stub")]

import alone  # noqa: E402
import chart  # noqa: E402
import fetch  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
from alone import OURS, PROGRAMS, TOKEN  # noqa: E402
from body import PLACE, order_event  # noqa: E402
from meter import Meter  # noqa: E402
from results import SIZES, Results  # noqa: E402
from server import Authority  # noqa: E402

INDENT = 4


@dataclass
class Scale:
    """How much is measured."""

    rounds: dict  # of programs alone, by size
    programs: tuple = tuple(PROGRAMS)
    indented: tuple = (76_000, 1_000_000)
    bearer: bool = True
    entries: tuple = (10, 1_000_000)  # in the small and the large spool
    loads: tuple = ()  # (rounds, size, connections, tls, case)
    fetches: int = 0
    callgrind: tuple = ()


FULL = Scale(
    rounds={1_000: 150, 4_000: 300, 76_000: 150, 1_000_000: 40, 5_000_000: 20, 20_000_000: 10},
    loads=((9, 4_000, 8, True, "new"), (3, 4_000, 1, True, "new"), (3, 4_000, 32, True, "new"),
           (5, 4_000, 8, False, "new"), (9, 4_000, 8, True, "bearer"),
           (3, 4_000, 8, True, "duplicate"),
           (3, 1_000, 8, True, "new"), (3, 76_000, 8, True, "new"), (3, 1_000_000, 8, True, "new"),
           (3, 5_000_000, 8, True, "new"), (3, 20_000_000, 8, True, "new")),
    fetches=20, callgrind=(4_000, 76_000))
QUICK = Scale(
    rounds={1_000: 30, 4_000: 60, 76_000: 30, 1_000_000: 15, 5_000_000: 5, 20_000_000: 5},
    entries=(10, 100_000), fetches=6,
    loads=((2, 4_000, 8, True, "new"), (2, 4_000, 8, True, "bearer")), callgrind=(4_000,))
# Perl's JSON module comes with what make bench installs.
SMOKE = Scale(rounds={1_000: 5, 4_000: 5}, entries=(10, 100), indented=(4_000,), bearer=False,
              programs=tuple(name for name in PROGRAMS if name != "Perl"))
COMPILED = ("floor", OURS, "ordinary C")


@dataclass
class Body:
    path: pathlib.Path
    size: int
    offset: int  # of the message id


class Bench:
    def __init__(self, scale, directory):
        self.scale = scale
        self.directory = directory
        self.programs = alone.install(directory / "programs")
        self.tokens = alone.tokens(directory / "tokens")
        self.results = Results()
        self.started = time.monotonic()
        self.bodies = {}
        self.spools = 0
        self.failed = False

    def attempt(self, what, measure, *arguments):
        """One case; the others are measured even if it fails."""
        self.say(what)
        try:
            measure(*arguments)
        except (alone.Failed, OSError, subprocess.CalledProcessError) as problem:
            self.failed = True
            self.say(f"NOT measured: {problem}")

    def say(self, text):
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"  {minutes:2}:{seconds:02}  {text}", flush=True)

    def body(self, size, indent=None):
        if (size, indent) not in self.bodies:
            path = self.directory / f"body.{size}.{indent}"
            content = order_event(size, indent)
            path.write_bytes(content)
            self.bodies[size, indent] = Body(path, size, content.index(PLACE.encode()))
        return self.bodies[size, indent]

    def spool(self):
        self.spools += 1
        return alone.make_spool(self.directory / f"spool.{self.spools}")

    def posts_alone(self):
        for size, rounds in self.scale.rounds.items():
            self.attempt(f"alone: {SIZES[size]}", self.alone, "new", rounds, self.body(size),
                         self.scale.programs)
            if size in self.scale.indented:
                self.attempt(f"alone: {SIZES[size]}, indented", self.alone, "new, indented", rounds,
                             self.body(size, INDENT), ("floor", OURS))
        self.attempt("alone: duplicate", self.duplicate)
        if self.scale.bearer:
            self.attempt("alone: bearer", self.bearer)

    def alone(self, case, rounds, body, programs):
        self.results.add(alone.measure(case, rounds, body, self.spool(),
                                       alone.grouped(self.programs, programs)))

    def duplicate(self):
        self.results.add(alone.measure("duplicate", self.scale.rounds[4_000], self.body(4_000),
                                       self.spool(), alone.grouped(self.programs, (OURS,)),
                                       again=True))

    def bearer(self):
        """Basic beside bearer, which the program checks itself."""
        variables = {"AUTH_TYPE": "", "HTTP_AUTHORIZATION": f"Bearer {TOKEN}",
                     **self.tokens}
        targets = {"basic": (self.programs[OURS], {}), "bearer": (self.programs[OURS], variables)}
        records = alone.measure("", self.scale.rounds[4_000], self.body(4_000), self.spool(),
                                [targets])
        for record in records:
            record.program, record.case = OURS, record.program
        self.results.add(records)

    def growth(self):
        few, many = self.scale.entries
        spools = {}
        for entries in (few, many):
            self.say(f"alone: a spool of {entries:,} entries")
            spools[entries] = self.spool()
            alone.fill(spools[entries], entries)
        targets = {(name, entries): (self.programs[name], {"TRADECLOUD_SPOOL": str(spool)})
                   for entries, spool in spools.items() for name in ("floor", OURS)}
        records = alone.measure("", self.scale.rounds[4_000], self.body(4_000), spools[few],
                                [targets])
        for record in records:
            record.program, entries = record.program
            record.case = f"new, spool of {entries:,}"
        self.results.add(records)

    def instructions(self):
        for size in self.scale.callgrind:
            self.say(f"instructions: {SIZES[size]}")
            for name in PROGRAMS if size < 10_000 else COMPILED:
                self.results.instructions[name, size] = alone.count_instructions(
                    self.programs[name], self.body(size), self.spool())

    def scanning(self):
        sizes = [size for size in self.scale.rounds if size <= 5_000_000]
        self.say("scanner and json-c")
        for size in sizes:
            for form, indent in (("compact", None), ("indented", INDENT)):
                if size > 1_000 or indent is None:
                    self.results.scanning[size, form] = alone.scan(
                        self.scale.rounds[size], self.body(size, indent))

    def load(self, sites, meter, rounds, size, connections, tls, case):
        # Of interpreters, some large bodies at once need more memory and time than they are worth.
        options = {"programs": (*COMPILED, servers.PHP, servers.WEBHOOK)} if size > 500_000 else {}
        if case == "duplicate":
            options = {"programs": (OURS,), "again": True}
        if case == "bearer":
            options = {"bearer": True}
        self.results.add(servers.measure(sites, meter, case, rounds, self.body(size), connections,
                                         tls, **options))

    def servers(self):
        meter = Meter()
        variables = {"TRADECLOUD_MIN_FREE": 0, **self.tokens}
        with contextlib.ExitStack() as stack:
            stack.callback(meter.close)
            sites = servers.start_sites(self.directory, Authority(self.directory / "ca"), meter,
                                        variables)
            for site in sites:
                stack.callback(site.stop)
            for rounds, size, connections, tls, case in self.scale.loads:
                self.attempt(f"servers: {SIZES[size]}, {connections} connections, "
                             f"{'TLS' if tls else 'no TLS'}, {case}", self.load, sites, meter,
                             rounds, size, connections, tls, case)

    def run(self):
        self.posts_alone()
        self.scanning()
        self.growth()
        self.instructions()
        if self.scale.fetches:
            self.say("GET, warm token")
            self.results.fetching = fetch.measure(self.directory / "fetch", self.scale.fetches)
        if self.scale.loads:
            self.servers()


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as stream:
        for line in stream:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{model}, {os.cpu_count()} processors, {system}, Linux {platform.release()}"


def export(results, found, about):
    return {"about": about, "targets": found, "records": [r.export() for r in results.records],
            "instructions": [{"program": program, "size": size, "instructions": count}
                             for (program, size), count in results.instructions.items()],
            "scanning": [{"size": size, "form": form, "megabytes_per_second": speed}
                         for (size, form), speed in results.scanning.items()],
            "fetching_ms": results.fetching}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", dest="scale", action="store_const", const=QUICK, default=FULL)
    parser.add_argument("--smoke", dest="scale", action="store_const", const=SMOKE)
    parser.add_argument("--output", type=pathlib.Path, default=alone.OUT)
    arguments = parser.parse_args()
    # Not /tmp, which may be in memory: what is measured is a disk.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tradecloud-bench.", dir="/var/tmp"))
    directory.chmod(0o755)
    about = {"machine": machine(), "date": datetime.date.today().isoformat()}
    print(f"{about['machine']}, {about['date']}", flush=True)
    bench = Bench(arguments.scale, directory)
    try:
        bench.run()
    finally:
        shutil.rmtree(directory)
    found = list(report.targets(bench.results, arguments.scale.entries))
    print()
    for line in report.lines(bench.results, found):
        print(line)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "bench.json").write_text(
        json.dumps(export(bench.results, found, about), indent=1) + "\n")
    (arguments.output / "speed.md").write_text("\n".join(report.summary(bench.results)) + "\n")
    (arguments.output / "chart.svg").write_text(
        chart.draw(bench.results, f"{about['machine']}; {about['date']}"))
    print(f"\n{arguments.output}/bench.json holds all of it, chart.svg and "
          "speed.md what the README shows.")
    sys.exit("Some cases were not measured, see above." if bench.failed else 0)


if __name__ == "__main__":
    main()
