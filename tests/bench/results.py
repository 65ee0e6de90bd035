"""What was measured: one record a program and case, with a value for each round."""

import statistics
from dataclasses import asdict, dataclass, field

SIZES = {1_000: "1 kB", 4_000: "4 kB", 76_000: "76 kB", 1_000_000: "1 MB", 5_000_000: "5 MB",
         20_000_000: "20 MB"}


@dataclass
class Record:
    program: str
    case: str  # what was done: "new", "duplicate" ...
    where: str = "alone"  # or behind which server
    size: int = 4000
    connections: int = 0
    tls: bool = False
    rounds: list = field(default_factory=list)  # of dictionaries, all with the same keys

    def values(self, key):
        return [one[key] for one in self.rounds]

    def median(self, key):
        values = self.values(key)
        return None if None in values else statistics.median(values)

    def quartiles(self, key):
        values = self.values(key)
        if len(values) < 4:
            return min(values), max(values)
        low, _, high = statistics.quantiles(values, n=4)
        return low, high

    def export(self):
        keys = self.rounds[0] if self.rounds else {}
        return {**asdict(self), "median": {key: self.median(key) for key in keys}}


def ratio(record, base, key):
    """The median of the rounds' ratios: what disturbs a round disturbs both."""
    pairs = zip(record.values(key), base.values(key), strict=True)
    return statistics.median(one / other for one, other in pairs)


class Results:
    def __init__(self):
        self.records = []
        self.instructions = {}  # {(program, size): count}
        self.scanning = {}  # {(size, form): {"scan": MB/s, "json-c": MB/s}}
        self.fetching = {}  # {name: [ms]}

    def add(self, records):
        self.records += records

    def find(self, **wanted):
        """The one record with these attributes; None if it was not measured."""
        found = [r for r in self.records
                 if all(getattr(r, name) == value for name, value in wanted.items())]
        assert len(found) <= 1, wanted
        return found[0] if found else None

    def ratio(self, key, one, other):
        """Of two records, each given by its attributes; None if one was not measured."""
        a, b = self.find(**one), self.find(**other)
        return ratio(a, b, key) if a and b else None
