"""The measuring itself: that make bench measures what it says. No speed is asserted anywhere."""

import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system"), str(HERE.parent / "stub")]

import alone  # noqa: E402
from bench import Body  # noqa: E402
from body import PLACE, order_event  # noqa: E402
from results import Record, Results, ratio  # noqa: E402


@pytest.mark.parametrize("size", [700, 1_000, 4_000, 76_000])
@pytest.mark.parametrize("indent", [None, 4])
def test_bodies(size, indent):
    """An event is as long as was asked for, is JSON, and has one place for a message id."""
    content = order_event(size, indent)
    if size >= 1_000:
        assert len(content) == size
    assert json.loads(content)["orderEvent"]["meta"]["messageId"] == PLACE
    assert content.count(PLACE.encode()) == 1
    assert content == order_event(size, indent)


def test_ratio():
    """Rounds are compared with their own neighbours, so that a slow round slows both."""
    slow, fast = Record("a", "new"), Record("b", "new")
    slow.rounds = [{"ms": 2.0}, {"ms": 40.0}, {"ms": 2.2}]
    fast.rounds = [{"ms": 1.0}, {"ms": 20.0}, {"ms": 1.0}]
    assert ratio(slow, fast, "ms") == 2.0
    results = Results()
    results.add([slow, fast])
    assert results.ratio("ms", {"program": "a"}, {"program": "b"}) == 2.0
    assert results.ratio("ms", {"program": "a"}, {"program": "c"}) is None


@pytest.fixture
def body(tmp_path):
    content = order_event(4_000)
    path = tmp_path / "body"
    path.write_bytes(content)
    return Body(path, len(content), content.index(PLACE.encode()))


def test_every_run_is_an_event(tmp_path, body):
    """Each program leaves one whole file a run, with a message id of its own; the first round of
    each block is run, too, though not counted."""
    for name in ("floor", alone.OURS, "ordinary C", "Python"):
        spool = alone.make_spool(tmp_path / name)
        [record] = alone.measure("new", 3, body, spool, alone.grouped(alone.PROGRAMS, [name]))
        assert len(record.rounds) == 3
        assert all(run["ms"] > 0 and run["cpu_ms"] > 0 and run["kB"] > 0 for run in record.rounds)
        contents = [path.read_bytes() for path in (spool / "new").iterdir()]
        assert len(set(contents)) == 2 * 3, name
        assert all(len(content) >= body.size for content in contents), name
        assert os.listdir(spool / "tmp") == []


def test_duplicates(tmp_path, body):
    """Without a new id each time, the event is there once."""
    spool = alone.make_spool(tmp_path / "spool")
    alone.measure("duplicate", 3, body, spool, alone.grouped(alone.PROGRAMS, [alone.OURS]),
                  again=True)
    assert len(os.listdir(spool / "new")) == 1


def test_a_failure_is_no_measurement(tmp_path, body):
    """A program that refuses, or that fails, is not timed as if it had done its work."""
    spool = alone.make_spool(tmp_path / "spool")
    ours = alone.PROGRAMS[alone.OURS]
    with pytest.raises(alone.Failed, match="answered 503"):
        alone.measure("new", 1, body, spool, [{"x": (ours, {"TRADECLOUD_SPOOL": "/nowhere"})}])
    with pytest.raises(alone.Failed, match="answered 0"):
        alone.measure("new", 1, body, spool, [{"x": ("/bin/true", {})}])


@pytest.mark.parametrize("name", [alone.OURS, "ordinary C", "Python"])
def test_bearer(tmp_path, body, name):
    """A token is looked at by each: the right one admits, no other."""
    spool = alone.make_spool(tmp_path / "spool")
    variables = {"AUTH_TYPE": "", **alone.tokens(tmp_path / "tokens")}
    for token in (alone.TOKEN, alone.TOKEN + "4", alone.TOKEN[:-1], ""):
        variables["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        targets = [{name: (alone.PROGRAMS[name], variables)}]
        if token == alone.TOKEN:
            alone.measure("bearer", 1, body, spool, targets)
        else:
            with pytest.raises(alone.Failed, match="answered 401"):
                alone.measure("bearer", 1, body, spool, targets)


def test_filling(tmp_path):
    spool = alone.make_spool(tmp_path / "spool")
    alone.fill(spool, 1001)
    assert len(os.listdir(spool / "new")) == 500
    assert len(os.listdir(spool / "done")) == 501


def test_output(tmp_path):
    """A whole run, of programs alone: tables, figures for machines, and a chart."""
    done = subprocess.run([sys.executable, "-B", HERE / "bench.py", "--smoke", "--output",
                           tmp_path], check=True, capture_output=True, text=True)
    assert "A process alone, 4 kB, new" in done.stdout
    assert "POST 4 kB alone, time x floor" in done.stdout
    figures = json.loads((tmp_path / "bench.json").read_text())
    programs = {r["program"] for r in figures["records"] if r["case"] == "new"}
    assert programs == {"floor", alone.OURS, "ordinary C", "Python"}
    assert all(len(r["rounds"]) == 5 and r["median"]["ms"] > 0 for r in figures["records"])
    assert "| tradecloud-webhook | " in (tmp_path / "speed.md").read_text()
    assert xml.parse(tmp_path / "chart.svg").getroot().tag.endswith("svg")
