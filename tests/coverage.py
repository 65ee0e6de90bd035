"""What `make coverage` counted: figures, and the lines that no test executes, by module; each must be
of one of the KINDS below, which say why. Usage: coverage.py REPORT (of gcovr --json)."""

import collections
import json
import pathlib
import re
import sys

# Why a line is not executed: its functions, as MODULE.FUNCTION, and what the line or the one before it
# must match, if only some of them are meant.
KINDS = {
    "memory runs out, where hunger.c does not come: it is not used on tradecloud-fetch, follow, or the"
    " writing of a few bytes more into memory that is there": [
        "api.ask_for_token", "auth.read_all problem_memory", "bulletin.bulletin_json",
        "display.print_bytes", "display.parse", "entry.read_attributes", "findings.print_json",
        "follower.tell", "follower.scan_directory no_memory", "follower.handle_name", "follower.follow",
        "body.body_init", "envelope.add_data_name", "event.take problem_memory", "event.event_read",
        "event.take_first", "event.take_time", "event.take_message", "event.take_object",
        "receipt.build_envelope", "rejection.add", "rejection.rejection_build problem_memory",
        "webhook.fetch", "http.explain problem_memory", "known.known_add", "presync.start_thread", "response.send", "table.hold", "token.add",
        "token.token_save", "fields.fields_value", "listing.list_names", "summary.summary_print"],
    "a system call fails that is not made to: of the static tradecloud-webhook, of follow, or one that"
    " fails for good only where a disk or kernel is broken": [
        "auth.check_file", "auth.read_all strerror|read ", "display.show_rejection", "http.explain",
        "follower.scan_directory", "follower.look_into", "follower.open_follower", "job.pass_on",
        "job.job_reap", "lease.is_locked", "move.move_aside failed", "pruning.prune",
        "recover.count return", "recover.give_back return false|move_aside", "recover.look_at_claim",
        "settle.move_to put_off|break", "claim.still_holds",
        "directory.advice", "claim.open_for FAILED"],
    "a disk fails while a large body is written or read back, or a signal comes then: crash/ does it,"
    " uncounted": [
        "draft.write_parts", "draft.draft_write_head", "draft.draft_read",
        "envelope.envelope_identify", "event.take return false", "rejection.rejection_build return"],
    "a write moves fewer bytes than it was asked to": ["attempt.fill", "lease.fill"],
    "getrandom() fails, which it does not do once the machine is up": [
        "attempt.attempt_put_off", "http.wait_a_moment", "move.move_aside random",
        "lease.lease_open"],
    "somebody else does something within microseconds; storms meet some of these, and fuzz_lease and"
    " the processes of test_race what the leases make of it": [
        "api.give_up_token", "claim.open_for ODD", "claim.claim", "claim.consider", "display.read_range",
        "follower.is_unchanged", "follower.lose", "follower.handle", "lease.link_own",
        "lease.is_unchanged", "lease.take_over", "lease.follow", "lease.lease_take",
        "move.rename_without_replacing", "recover.give_back", "recover.is_own", "recover.is_dead_claim",
        "runner.drop_held", "settle.move_to"],
    "more than a test has: ten thousand leases, 65,536 subjects, types of a kilobyte, texts of two"
    " gigabytes, events lost by inotify": [
        "claim.claim_wants", "claim.claim_release", "claim.take", "claim.walk_behind", "claim.leave",
        "claim.look_behind", "claim.claim_all", "fields.fields_text", "recover.adopt",
        "runner.receive_name", "settle.moved"],
    "another machine: a clock or a file system of its own kind, file systems without inodes to spare, a"
    " spool whose path has a newline, an API whose headers hold no token": [
        "bulletin.print_label", "directory.is_beside", "http.is_token", "http.take_token",
        "inspection.look_at_room", "inspection.look_at_clocks"],
    "defence: not as long as callers keep to what the headers say": [
        "claim.free_job", "display.has_beyond_64_bits", "progress.progress_show"],
}


def functions_of(lines, functions):
    """The function of each line: the last that begins before it."""
    starts = sorted((function["lineno"], function["name"]) for function in functions)
    return {line: next(name for start, name in reversed(starts) if start <= line) for line in lines}


def kind_of(function, text):
    for kind, wanted in KINDS.items():
        for one in wanted:
            name, _, pattern = one.partition(" ")
            if name == function and re.search(pattern, text):
                return kind
    return None


def share(counts):
    """Of those that there are, how many are not 0."""
    return f"{sum(count > 0 for count in counts)} of {len(counts)}, {100 * sum(count > 0 for count in counts) / len(counts):.1f} %"


def main():
    files = json.loads(pathlib.Path(sys.argv[1]).read_text())["files"]
    lines, branches = [], []
    kinds = collections.Counter()
    for file in files:
        module = pathlib.Path(file["file"]).stem
        source = pathlib.Path(file["file"]).read_text().splitlines()
        counted = [line for line in file["lines"] if not line.get("gcovr/noncode")]
        lines += [line["count"] for line in counted]
        branches += [branch["count"] for line in counted for branch in line["branches"]]
        missed = [line["line_number"] for line in counted if line["count"] == 0]
        function = functions_of(missed, file["functions"])
        for number in missed:
            text = "\n".join(source[max(0, number - 2):number])
            kind = kind_of(f"{module}.{function[number]}", text)
            kinds[kind] += 1
            print(f"{file['file']}:{number}: {function[number]}: {source[number - 1].strip()}  "
                  f"[{kind or 'WHY?'}]")
    for kind, count in kinds.most_common():
        print(f"{count:4} lines: {kind or 'not explained'}")
    print(f"lines: {share(lines)}; branches: {share(branches)}")
    sys.exit(1 if kinds[None] else 0)


main()
