"""The tables, and which of the targets were reached."""

import statistics
from itertools import product

from alone import OURS, PROGRAMS
from results import SIZES, ratio
from servers import PHP, WEBHOOK



def number(value, digits=2):
    if value is None:
        return "-"
    return f"{value:,.{digits}f}" if value < 100 else f"{value:,.0f}"


def table(head, rows):
    """Lines; the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        yield "  " + "  ".join(cells)


def alone_lines(results):
    cases = dict.fromkeys((r.case, r.size) for r in results.records if r.where == "alone")
    for case, size in cases:
        records = [r for r in results.records
                   if (r.where, r.case, r.size) == ("alone", case, size)]
        yield f"A process alone, {SIZES[size]}, {case}, {len(records[0].rounds)} rounds"
        rows = []
        for r in records:
            low, high = r.quartiles("ms")
            times = results.ratio("ms", vars_of(r), {**vars_of(r), "program": "floor"})
            count = results.instructions.get((r.program, size)) if case == "new" else None
            rows.append([r.program, number(r.median("ms")), f"{number(low)} - {number(high)}",
                         number(times), number(r.median("cpu_ms")),
                         number(r.median("kB") / 1000), number(count and count / 1e6)])
        yield from table(["", "ms", "quartiles", "x floor", "CPU ms", "peak MB", "M instr."], rows)
        yield ""


def vars_of(record):
    """What tells a record's place, for Results.find."""
    return {name: getattr(record, name)
            for name in ("program", "case", "where", "size", "connections", "tls")}


def server_lines(results):
    cases = dict.fromkeys((r.case, r.size, r.connections, r.tls)
                          for r in results.records if r.where != "alone")
    for case, size, connections, tls in cases:
        records = [r for r in results.records if r.where != "alone" and
                   (r.case, r.size, r.connections, r.tls) == (case, size, connections, tls)]
        yield (f"Behind servers, {SIZES[size]}, {case}, {connections} connections, "
               f"{'TLS' if tls else 'no TLS'}, {len(records[0].rounds)} rounds")
        rows = []
        for r in records:
            low, high = min(r.values("per_second")), max(r.values("per_second"))
            share = results.ratio("per_second", vars_of(r), {**vars_of(r), "program": "floor"})
            ours = results.ratio("per_second", {**vars_of(r), "program": OURS}, vars_of(r))
            rows.append([f"{r.where}: {r.program}", number(r.median("per_second"), 1),
                         f"{number(low, 1)} - {number(high, 1)}", number(share), number(ours),
                         number(r.median("p50_ms")), number(r.median("p99_ms")),
                         number(r.median("cpu_ms"))])
        yield from table(["", "events/s", "from - to", "x floor", "ours is x", "median ms",
                          "p99 ms", "CPU ms"], rows)
        yield ""


def other_lines(results):
    if results.scanning:
        yield "Judging a body, MB/s"
        yield from table(["", "our scanner", "json-c"],
                         [[f"{SIZES[size]}, {form}", number(speed["scan"], 0),
                           number(speed["json-c"], 0)]
                          for (size, form), speed in results.scanning.items()])
        yield ""
    if results.fetching:
        yield "GET with a warm token, ms"
        rows = []
        for name, times in results.fetching.items():
            low, middle, high = statistics.quantiles(times, n=4)
            rows.append([name, number(middle), f"{number(low)} - {number(high)}"])
        yield from table(["", "ms", "quartiles"], rows)
        yield ""


# --- targets ---

def at(program, case="new", where="alone", size=4000, connections=0, tls=False):
    return {"program": program, "case": case, "where": where, "size": size,
            "connections": connections, "tls": tls}


def alone_targets(results):
    for size, limit in ((4_000, 1.15), (76_000, 1.25), (1_000_000, 1.3), (5_000_000, 1.3),
                        (20_000_000, 1.3)):
        yield (f"POST {SIZES[size]} alone, time x floor", "<=", limit,
               results.ratio("ms", at(OURS, size=size), at("floor", size=size)))
    memory = [(r.median("kB") * 1024 - 1.1 * r.size) / 2**20 for r in results.records
              if r.program == OURS and r.where == "alone"]
    yield "peak memory beyond 1.1 x the body, MiB", "<=", 4, max(memory, default=None)
    speeds = [speed["scan"] for (size, _), speed in results.scanning.items() if size >= 76_000]
    yield "the scanner, slowest body from 76 kB on, MB/s", ">=", 500, min(speeds, default=None)
    yield ("POST with bearer, time x Basic", "<=", 1.35,
           results.ratio("ms", at(OURS, "bearer"), at(OURS, "basic")))
    if results.fetching:
        medians = [statistics.median(times) for times in results.fetching.values()]
        yield "warm GET, ms beyond curl", "<=", 10, max(medians[1:]) - medians[0]


def server_targets(results):
    """Besides, what the floor reaches there: no program could do better."""
    for case, where in product(("new", "bearer"), ("apache", "nginx")):
        place = {"case": case, "where": where, "connections": 8, "tls": True}
        for other, limit in (("floor", 0.92), (WEBHOOK, 2.5), ("Perl", 6), ("Python", 6),
                             ("ordinary C", 3), (PHP, None)):
            there = {**place, "where": "own server"} if other == WEBHOOK else place
            if results.find(**at(OURS, **place)):
                yield (f"{where}, 8 connections, {case}, events/s x {other}", ">=", limit,
                       results.ratio("per_second", at(OURS, **place), at(other, **there)),
                       results.ratio("per_second", at("floor", **place), at(other, **there)))


def growth_target(results, entries):
    few, many = f"new, spool of {entries[0]}", f"new, spool of {entries[1]:,}"
    ours = results.ratio("ms", at(OURS, many), at(OURS, few))
    floor = results.ratio("ms", at("floor", many), at("floor", few))
    yield (f"growth from 10 to {entries[1]:,} entries, x the floor's", "<=", 1.1,
           ours / floor if ours and floor else None)


def targets(results, entries):
    """Each with what was measured and whether it was reached; None where there is no answer."""
    for name, sign, limit, value, *best in (*alone_targets(results), *server_targets(results),
                                            *growth_target(results, entries)):
        reached = None
        if value is not None and limit is not None:
            reached = value <= limit if sign == "<=" else value >= limit
        yield {"target": name, "sign": sign, "limit": limit, "value": value, "reached": reached,
               "floor": best[0] if best else None}


def target_lines(found):
    words = {True: "reached", False: "MISSED", None: ""}
    rows = [[t["target"], number(t["value"], 3), f"{t['sign']} {t['limit']}" if t["limit"] else "",
             words[t["reached"]], number(t["floor"], 3) if t["floor"] else ""] for t in found]
    yield "Targets"
    yield from table(["", "measured", "target", "", "the floor"], rows)
    ahead = [t["target"] for t in found if PHP in t["target"] and (t["value"] or 1) < 1]
    if ahead:
        yield f"  Ahead of us is {PHP}, whose process stays, at: {'; '.join(ahead)}"


# --- for the README ---

def with_ratio(record, base, key, form):
    """A median, and in brackets what it is in times that of the floor."""
    if record is None:
        return ""
    text = form.format(record.median(key))
    return text if base in (None, record) else f"{text} ({ratio(record, base, key):.2f} x)"


def summary(results):
    """The main figures as a table in Markdown."""
    yield "| 4 kB | alone | Apache, password | Apache, bearer | nginx, password | nginx, bearer |"
    yield "|---|---|---|---|---|---|"
    for program in (*PROGRAMS, PHP, WEBHOOK):
        cells = [program, with_ratio(results.find(**at(program)), results.find(**at("floor")), "ms",
                                     "{:.2f} ms")]
        for where, case in product(("apache", "nginx"), ("new", "bearer")):
            place = {"case": case, "where": where, "connections": 8, "tls": True}
            there = {**place, "where": "own server"} if program == WEBHOOK else place
            cells.append(with_ratio(results.find(**at(program, **there)),
                                    results.find(**at("floor", **place)), "per_second",
                                    "{:,.0f}/s"))
        yield f"| {' | '.join(cells)} |"


def lines(results, found):
    yield from alone_lines(results)
    yield from server_lines(results)
    yield from other_lines(results)
    yield from target_lines(found)
