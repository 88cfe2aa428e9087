"""Addresses where hosts meet, as people write them."""

import pytest

from nodes.runtime.endpoint import check_own, endpoint, own_address, parse_endpoint
from nodes.runtime.errors import UserError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.168.1.10", ("192.168.1.10", 20400)),
        ("192.168.1.10:30000", ("192.168.1.10", 30000)),
        ("robot.local:30000", ("robot.local", 30000)),
        ("fd00::1", ("fd00::1", 20400)),
        ("[fd00::1]:30000", ("fd00::1", 30000)),
        ("[fd00::1]", ("fd00::1", 20400)),
    ],
)
def test_what_is_an_address(text, meant):
    assert parse_endpoint(text) == meant
    assert parse_endpoint(endpoint(*meant)) == meant


@pytest.mark.parametrize("text", ["", ":30000", "10.0.0.1:port", "10.0.0.1:80", "10.0.0.1:65530"])
def test_what_is_none_is_said_in_one_line(text):
    with pytest.raises(UserError, match="not an address; write it like"):
        parse_endpoint(text)


def test_an_address_must_be_this_hosts_own():
    check_own("127.0.0.1", 0)
    with pytest.raises(UserError, match="give an address of this host"):
        check_own("192.0.2.1", 20400)
    with pytest.raises(UserError, match="not an address; give one in figures"):
        check_own("robot.local", 20400)


def test_the_own_address_is_the_one_on_the_way_there():
    assert own_address("127.0.0.1", 20400) == "127.0.0.1"
