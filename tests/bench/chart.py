"""The chart: plain panels of bars, as SVG."""

from html import escape

from alone import OURS
from report import at
from results import SIZES

WIDTH, LABEL, BAR, STEP = 860, 220, 500, 22
COLOURS = {OURS: "#0b6e4f", "floor": "#8a8a8a"}
OTHER = "#9db4c0"


def bars(rows, digits, unit):
    """Rows of (label, value, colour): their marks, from y = 0 down, and their height."""
    top = max(value for _, value, _ in rows)
    marks = []
    for i, (label, value, colour) in enumerate(rows):
        y = i * STEP
        length = max(1, BAR * value / top)
        marks.append(
            f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{length:.0f}" height="17" fill="{colour}"/>'
            f'<text x="{LABEL + length + 6:.0f}" y="{y + 13}">{value:,.{digits}f}{unit}</text>')
    return "\n".join(marks), len(rows) * STEP


def alone_rows(results):
    return [(r.program, r.median("ms"), COLOURS.get(r.program, OTHER)) for r in results.records
            if (r.where, r.case, r.size) == ("alone", "new", 4000)]


def server_rows(results, case):
    found = [r for r in results.records if r.where != "alone" and
             (r.case, r.size, r.connections, r.tls) == (case, 4000, 8, True)]
    return [(f"{r.where}: {r.program}", r.median("per_second"), COLOURS.get(r.program, OTHER))
            for r in found]


def size_rows(results):
    rows = []
    for size, name in SIZES.items():
        value = results.ratio("ms", at(OURS, size=size), at("floor", size=size))
        if value is not None:
            rows.append((name, value, COLOURS[OURS]))
    return rows


def draw(results, subtitle):
    panels = [
        ("One event of 4 kB, the program alone: milliseconds (less is better)",
         alone_rows(results), 2, " ms"),
        ("4 kB over TLS, 8 connections, with a password: events a second (more is better)",
         server_rows(results, "new"), 0, ""),
        ("The same with a bearer token, which the program checks",
         server_rows(results, "bearer"), 0, ""),
        (f"{OURS} alone, by size of the event: time, in times that of the floor",
         size_rows(results), 2, " x"),
    ]
    y, parts = 78, []
    for title, rows, digits, unit in panels:
        if not rows:
            continue
        marks, height = bars(rows, digits, unit)
        parts.append(f'<text x="16" y="{y}" font-weight="bold">{escape(title)}</text>\n'
                     f'<g transform="translate(0 {y + 12})">\n{marks}\n</g>')
        y += height + 48
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y - 20}" \
viewBox="0 0 {WIDTH} {y - 20}" font-family="sans-serif" font-size="13" fill="#1a1a1a">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="26" font-size="17" font-weight="bold">What an event costs</text>
<text x="16" y="44" fill="#555555">{escape(subtitle)}</text>
{chr(10).join(parts)}
</svg>
"""
