"""A download completes whatever a server does, or fails with one line and nothing unverified."""

import hashlib
import random
import time
import urllib.request
from dataclasses import replace

import pytest
from hostile_server import HostileServer

from engines.catalogue import Known
from engines.fetch import Patience, _Redirects, fetch
from nodes.runtime.errors import UserError

pytestmark = pytest.mark.live

BODY = random.Random(1).randbytes(1_000_000)
KNOWN = Known(sha256=hashlib.sha256(BODY).hexdigest(), bytes=len(BODY))
# So long that a busy machine is not taken for a server that stalls; where one does, a moment is enough.
BRIEFLY = Patience(stall_s=10.0, tries=3, pause_s=0.0)
HASTILY = Patience(stall_s=0.4, tries=3, pause_s=0.0)


@pytest.fixture
def server():
    serving = HostileServer({"/model.bin": BODY, "/moved/model.bin": BODY})
    yield serving
    serving.close()


@pytest.fixture
def part(tmp_path):
    return tmp_path / "model.part"


def bring(server, part, path="/model.bin", patience=BRIEFLY):
    seen = []
    fetch(server.url(path), KNOWN, part, seen.append, patience)
    assert part.read_bytes() == BODY
    assert list(part.parent.iterdir()) == [part]
    return seen


def refused(server, part, path="/model.bin", patience=BRIEFLY):
    with pytest.raises(UserError) as error:
        fetch(server.url(path), KNOWN, part, lambda have: None, patience)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_honest_server_is_asked_once(server, part):
    seen = bring(server, part)
    assert seen == sorted(seen)
    assert seen[-1] == len(BODY)
    assert server.asked == [("/model.bin", None)]


@pytest.mark.parametrize("way", ["truncate 400000", "stall 400000"])
def test_a_broken_download_goes_on_where_it_broke(server, part, way):
    server.ways = [way]
    bring(server, part, patience=replace(BRIEFLY, stall_s=2.0) if way.startswith("stall") else BRIEFLY)
    assert server.asked == [("/model.bin", None), ("/model.bin", "bytes=400000-")]
    assert server.given == len(BODY)


def test_a_download_that_breaks_every_time_gives_up_and_keeps_what_came(server, part):
    server.ways = ["truncate 100000"] * 3
    assert "0.3 MB are kept, the same command goes on from there" in refused(server, part)
    bring(server, part)
    assert server.asked[-1] == ("/model.bin", "bytes=300000-")


def test_a_server_without_ranges_starts_again(server, part):
    server.ways = ["truncate 400000", "without_ranges"]
    bring(server, part)


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server, part):
    server.ways = ["truncate 400000"]
    server.etag = '"old"'
    server.ways += ["truncate 0"] * 2
    refused(server, part)
    server.etag = '"new"'
    bring(server, part)
    assert server.given == 400_000 + len(BODY)


def test_pieces_of_two_files_are_never_taken_for_one(server, part):
    server.ways = ["truncate 400000", "wrong_rest"]
    bring(server, part)
    assert server.asked[-1] == ("/model.bin", None)


def test_a_server_that_goes_on_elsewhere_is_asked_from_the_start(server, part):
    server.ways = ["truncate 400000", "another_range"]
    bring(server, part)
    assert server.asked[-1] == ("/model.bin", None)


def test_wrong_bytes_are_refused_and_not_kept(server, part):
    server.ways = ["wrong_bytes"]
    assert "not the known file" in refused(server, part)
    assert list(part.parent.iterdir()) == []
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("way", "says"),
    [("say_longer", "the server has 1001000 bytes"), ("say_shorter", "the server has 999000 bytes")],
)
def test_a_server_that_lies_about_the_length_is_refused_at_once(server, part, way, says):
    server.ways = [way]
    assert says in refused(server, part)
    assert server.asked == [("/model.bin", None)]
    assert not part.exists()


def test_a_body_without_end_is_cut_at_the_known_size(server, part):
    server.ways = ["endless"]
    assert "sends more than the 1000000 bytes" in refused(server, part)
    assert list(part.parent.iterdir()) == []


@pytest.mark.parametrize("way", ["stall 0", "drip", "drip_headers"])
def test_a_server_that_gives_next_to_nothing_is_left(server, part, way):
    server.ways = [way] * 3
    began = time.monotonic()
    refused(server, part, patience=HASTILY)
    assert time.monotonic() - began < 3 * 4 * HASTILY.stall_s
    assert len(server.asked) == 3


def test_a_busy_server_is_asked_again_and_one_without_the_file_is_not(server, part):
    server.ways = ["error 503", "rubbish"]
    bring(server, part)
    part.unlink()
    server.asked.clear()
    assert "404" in refused(server, part, "/elsewhere.bin")
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_followed_with_the_range(server, part, code):
    server.ways = ["truncate 400000", f"redirect {code}"]
    bring(server, part)
    assert server.asked[-1] == ("/moved/model.bin", "bytes=400000-")


def test_a_redirect_to_a_file_of_this_machine_or_for_ever_is_refused(server, part):
    server.ways = ["redirect_to_a_file"]
    assert "'file:///etc/passwd' is not allowed" in refused(server, part)
    server.ways = ["redirect_for_ever"]
    assert "redirect" in refused(server, part)
    assert not part.exists()


@pytest.mark.parametrize(
    ("asked", "led_to"), [("https", "http"), ("https", "ftp"), ("http", "ftp"), ("http", "file")]
)
def test_a_redirect_to_anything_less_is_refused(asked, led_to):
    request = urllib.request.Request(f"{asked}://example.org/model.bin")
    with pytest.raises(UserError, match=rf"redirects to {led_to}://elsewhere/model\.bin; refused"):
        _Redirects().redirect_request(request, None, 302, "", {}, f"{led_to}://elsewhere/model.bin")


def test_without_a_server_the_remedy_is_in_one_line(server, part):
    url = server.url()
    server.close()
    began = time.monotonic()
    with pytest.raises(UserError, match=r"^127.0.0.1:\d+: cannot be reached \(Connection refused\); without"):
        fetch(url, KNOWN, part, lambda have: None, BRIEFLY)
    with pytest.raises(UserError, match=r"^nowhere\.invalid: cannot be reached \("):
        fetch("http://nowhere.invalid/model.bin", KNOWN, part, lambda have: None, BRIEFLY)
    assert time.monotonic() - began < 10


def test_a_part_that_is_too_long_or_of_another_file_is_replaced(server, part):
    part.write_bytes(BODY + b"more")
    bring(server, part)
    part.write_bytes(bytes(len(BODY)))
    bring(server, part)


@pytest.mark.parametrize("validator", ["", 'W/"weak"', "\r\nX-Evil: 1", "\x00"])
def test_only_a_strong_validator_is_sent(server, part, validator):
    part.write_bytes(BODY[:400_000])
    part.with_name(part.name + ".etag").write_text(validator)
    bring(server, part)
    assert server.asked == [("/model.bin", "bytes=400000-")]
