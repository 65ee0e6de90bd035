"""One log-in serves everybody: tokens are shared, renewed and healed, a password that is refused is
not tried too often, and nobody ever sees a secret."""

import json
import os
import time

import pytest
from fetching import (check_secrets, fetch, fetch_until, files_below, in_background, netrc_of, offer,
                      processes_of, succeeds, wait_for, write_netrc)
from server import hand_over
from test_answers import check_problem


def token_file(site):
    return site.spool / "state/token.json"


def age(site):
    """Make the access token one that has expired, as far as our side knows."""
    content = json.loads(token_file(site).read_bytes())
    content["expires"] = 1
    token_file(site).write_text(json.dumps(content))


# --- the life of tokens ---

def test_one_log_in(fetcher, stub):
    for _ in range(4):
        succeeds(fetcher, stub)
    assert len(stub.logins()) == 1 and stub.refreshes() == []
    assert all(r.accepted for r in stub.requests)


def test_expired(fetcher, stub):
    """Both sides know it: it is refreshed, which needs no password."""
    succeeds(fetcher, stub)
    for _ in range(2):
        age(fetcher)
        stub.revoke()
        succeeds(fetcher, stub)
    assert len(stub.logins()) == 1 and len(stub.refreshes()) == 2
    assert all(r.accepted for r in stub.requests)
    for record in stub.refreshes():
        assert "authorization" not in record.headers


def test_expired_before_its_time(fetcher, stub):
    """The token says it is good for two seconds, but the clocks may differ."""
    stub.token_lifetime = 2
    succeeds(fetcher, stub)
    time.sleep(2.1)
    succeeds(fetcher, stub)


def test_revoked(fetcher, stub):
    for _ in range(3):
        succeeds(fetcher, stub)
        stub.revoke()
    succeeds(fetcher, stub)


def test_refresh_token_refused(fetcher, stub):
    succeeds(fetcher, stub)
    age(fetcher)
    stub.revoke_refresh()
    succeeds(fetcher, stub)
    assert [r.accepted for r in stub.refreshes()] == [False]
    assert len(stub.logins()) == 2


@pytest.mark.parametrize("kind", ["cut", "status:500", "status:403", "no-token-header", "html"])
def test_refresh_fails(fetcher, stub, kind):
    """The refresh token may be dead by then; the password still works."""
    succeeds(fetcher, stub)
    age(fetcher)
    stub.fault("/refresh$", kind)
    succeeds(fetcher, stub)


def test_refresh_hangs(hasty, stub):
    """That is a time-out, not a queue; and what is left of the time is not spent on a log-in."""
    succeeds(hasty, stub)
    age(hasty)
    stub.fault("/refresh$", "hang")
    check_problem(fetch(hasty, "/order/an-id"), 504)
    assert len(stub.logins()) == 1
    stub.mend()
    succeeds(hasty, stub)


def test_superseded(fetcher, stub):
    """Somebody else has logged in as the same user."""
    for _ in range(3):
        succeeds(fetcher, stub)
        stub.supersede()
    succeeds(fetcher, stub)
    age(fetcher)
    stub.supersede()
    succeeds(fetcher, stub)


def test_other_tokens(fetcher, stub):
    """Long ones, and such as are no JWT; header names in lower case."""
    stub.lower_case, stub.http2 = True, False
    for stub.token_filler, stub.opaque_tokens in ((0, False), (11_000, False), (0, True)):
        stub.supersede()
        succeeds(fetcher, stub)
    assert max(len(r.headers["authorization"]) for r in stub.gets()) > 15_000
    assert len(stub.logins()) == 3


def corrupt(content):
    def damage(path, _place):
        path.write_bytes(content)

    return damage


def truncate(path, _place):
    path.write_bytes(path.read_bytes()[:-100])


def lose(path, _place):
    path.unlink()


def open_to_all(path, _place):
    """Others may have read it: nothing is taken from there, least of all what they may have put."""
    path.chmod(0o644)


def link(path, place):
    target = place / "token"
    path.rename(target)
    path.symlink_to(target)


def give_away(path, _place):
    if os.getuid() == 0:
        os.chown(path, 0, 0)


DAMAGES = {"empty": corrupt(b""), "garbage": corrupt(b"\xff\0garbage"), "object": corrupt(b"{}"),
           "array": corrupt(b"[1]"), "deep": corrupt(b"[" * 100_000),
           "megabytes": corrupt(b" " * 3_000_000),
           "types": corrupt(b'{"access":1,"refresh":[],"expires":"x"}'), "truncated": truncate,
           "lost": lose, "open to all": open_to_all, "link": link, "given away": give_away}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_cache(fetcher, stub, place, case):
    succeeds(fetcher, stub)
    DAMAGES[case](token_file(fetcher), place)
    succeeds(fetcher, stub)
    assert len(stub.logins()) == 2
    assert token_file(fetcher).stat().st_mode & 0o7777 == 0o600


def test_what_a_killed_process_left(fetcher, stub):
    succeeds(fetcher, stub)
    stub.supersede()
    for name in ("token.json.new", "token.json.tmp", "pace.new"):
        left = fetcher.spool / "state" / name
        left.write_bytes(b"x")
        left.chmod(0o600)
        hand_over(left)
    for name in os.listdir(fetcher.spool / "state"):
        if name.startswith("pace"):
            (fetcher.spool / "state" / name).write_bytes(b"garbage")
    succeeds(fetcher, stub)


def test_other_credentials(fetcher, stub):
    """The tokens of one user are not used for another."""
    succeeds(fetcher, stub)
    stub.user, stub.password = "another@example.com", "another-password"
    write_netrc(stub)
    succeeds(fetcher, stub)
    assert [r.accepted for r in stub.logins()] == [True, True]
    assert len(stub.gets()) == 2, "the old token was not even tried"


# --- the password ---

def check_refused_netrc(site, stub, reason):
    offer(stub)
    check_problem(fetch(site, "/order/an-id"), 503)
    line = site.log_lines()[-1]
    assert str(netrc_of(stub)) in line["reason"] and reason in line["reason"]
    assert stub.requests == []


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o660, 0o666])
def test_password_file_open_to_others(fetcher, stub, mode):
    write_netrc(stub, mode=mode)
    check_refused_netrc(fetcher, stub, "chmod")
    write_netrc(stub)
    succeeds(fetcher, stub)


def test_password_file_missing(fetcher, stub):
    netrc_of(stub).unlink()
    check_refused_netrc(fetcher, stub, "No such file")
    write_netrc(stub)
    succeeds(fetcher, stub)


def test_password_file_not_readable(fetcher, stub):
    if os.getuid() != 0:
        return  # one's own files are
    write_netrc(stub)
    os.chown(netrc_of(stub), 0, 0)
    check_refused_netrc(fetcher, stub, "Permission denied")


def test_password_file_readable_for_the_group(fetcher, stub):
    """As make install's instructions do it for htpasswd."""
    write_netrc(stub, mode=0o640)
    succeeds(fetcher, stub)


def test_password_file_for_another_host(fetcher, stub):
    """Nobody else's password is tried."""
    write_netrc(stub, host="api.example.com")
    offer(stub)
    answer = fetch(fetcher, "/order/an-id")
    assert answer.status in (502, 503)
    assert str(netrc_of(stub)) in fetcher.log_lines()[-1]["reason"]
    assert not any("authorization" in r.headers for r in stub.requests)
    write_netrc(stub)
    succeeds(fetcher, stub)


@pytest.mark.parametrize("password", ["a:b#c%d&e$f!g", "two words", "ünïcødé", "x" * 200])
def test_odd_passwords(fetcher, stub, password):
    """In quotes, where libcurl needs them: for spaces, and since 8.14 for letters beyond ASCII."""
    stub.password = password
    plain = password.isascii() and " " not in password
    write_netrc(stub, password=password if plain else f'"{password}"')
    succeeds(fetcher, stub)


def test_wrong_password(fetcher, stub):
    """The operator is told, the API is spared, and the right password helps at once."""
    write_netrc(stub, password="wrong")
    offer(stub)
    started = time.monotonic()
    waiting = [in_background(lambda: fetch(fetcher, "/order/an-id")) for _ in range(8)]
    for wait in waiting:
        check_problem(wait(), 502)
    while time.monotonic() < started + 3:
        check_problem(fetch(fetcher, "/order/an-id"), 502)
    assert [r.accepted for r in stub.logins()] == [False]
    for line in fetcher.log_lines():
        assert str(netrc_of(stub)) in line["reason"] and "password" in line["reason"]
    write_netrc(stub)
    fetch_until(fetcher, "/order/an-id", seconds=10)
    assert fetcher.entries("tmp") == []


def test_wrong_password_is_tried_again(fetcher, stub):
    """After some seconds: it may be the API's side that was corrected."""
    right = stub.password
    stub.password = "not-yet-known-there"
    offer(stub)
    check_problem(fetch(fetcher, "/order/an-id"), 502)
    stub.password = right
    fetch_until(fetcher, "/order/an-id", seconds=12)
    first, second = stub.logins()
    assert second.time - first.time > 2


@pytest.mark.parametrize("kind", ["status:401", "status:403", "status:404", "status:429",
                                  "status:500", "html", "no-token-header"])
def test_log_in_is_not_hammered(fetcher, stub, kind):
    """Whatever the reason that it fails."""
    offer(stub)
    stub.fault("/login$", kind)
    started = time.monotonic()
    while time.monotonic() < started + 1:
        assert fetch(fetcher, "/order/an-id").status in (502, 503)
    assert len(stub.logins()) <= 2, "one attempt, and perhaps its repetition"


def test_object_that_is_always_refused(fetcher, stub):
    """A user without the right to see one order does not make us log in again and again."""
    offer(stub)
    stub.fault("/order/", "status:401")
    started = time.monotonic()
    while time.monotonic() < started + 2:
        check_problem(fetch(fetcher, "/order/an-id"), 502)
    assert len(stub.logins()) <= 3


# --- secrets ---

def read_if_alive(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def test_secrets_of_a_running_process(fetcher, stub):
    """Neither argument nor environment, and only what is ours can be read by others."""
    succeeds(fetcher, stub)
    stub.fault("/order/", "slow-first-byte:1", times=1)
    answer = in_background(lambda: fetch(fetcher, "/order/an-id", "-H", "X-Test: seen"))
    wait_for(lambda: len(stub.gets()) == 2)
    [pid] = processes_of(fetcher)
    environment = read_if_alive(f"/proc/{pid}/environ")
    arguments = b"".join(read_if_alive(f"/proc/{p}/cmdline") for p in os.listdir("/proc"))
    assert answer().status == 200
    assert b"TRADECLOUD_SPOOL=" in environment and b"an-id" in arguments
    for secret in stub.secrets():
        assert secret.encode() not in environment + arguments
    assert b"HTTP_AUTHORIZATION=B" not in environment
    assert fetcher.password.encode() not in environment


def test_state_is_ours_alone(fetcher, stub):
    succeeds(fetcher, stub)
    state = fetcher.spool / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert list(files_below(state))
    for path in files_below(state):
        assert os.stat(path).st_mode & 0o777 == 0o600, path
    # The search for secrets that ends every test would find what is there.
    assert stub.secrets()[-1].encode() in token_file(fetcher).read_bytes()


def test_secrets_when_all_goes_wrong(fetcher, stub):
    """Nothing of what the API echoes, and no trouble, brings them into a log or a file."""
    for secret in stub.secrets()[:2]:
        stub.orders["an-id"] = json.dumps({"id": "another", "echo": secret}).encode()
        fetch(fetcher, "/order/an-id")
    for kind in ("cut", "status:401", "not-json"):
        stub.fault("", kind)
        check_problem(fetch(fetcher, "/order/an-id"), 502)
        stub.mend()
    check_secrets(fetcher, stub)
