"""Whose request it is, behind proxies."""

from ipaddress import ip_network

import pytest
from django.test import RequestFactory

from renderhub.addresses import client_of

PROXY = "10.0.0.7"
CDN = "130.176.1.2"


@pytest.fixture
def client_behind(rf: RequestFactory, settings):
    """Tells whose a request is that came from ``peer`` with an X-Forwarded-For."""
    settings.TRUSTED_PROXIES = tuple(map(ip_network, ("10.0.0.0/16", "130.176.0.0/16", "fd00::/8")))

    def client_behind(peer, forwarded=None):
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        return client_of(rf.get("/", headers=headers, REMOTE_ADDR=peer))

    return client_behind


def test_without_a_trusted_proxy_the_header_says_nothing(client_behind, settings):
    settings.TRUSTED_PROXIES = ()
    assert client_behind("10.0.0.7", "198.51.100.1") == "10.0.0.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        (PROXY, None, PROXY),
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, f"198.51.100.1, {CDN}", "198.51.100.1"),
        (PROXY, f"198.51.100.1,{CDN} , 10.0.0.8", "198.51.100.1"),
    ],
    ids=["direct", "a stranger's own", "the proxy's own", "one proxy", "two", "three"],
)
def test_the_client_is_found_behind_trusted_proxies_alone(client_behind, peer, forwarded, client):
    assert client_behind(peer, forwarded) == client


@pytest.mark.parametrize("forged", ["1.1.1.1", "10.0.0.9", "127.0.0.1, 10.0.0.9", "nonsense", "1.1.1.1, ,"])
def test_what_a_client_writes_itself_changes_nothing(client_behind, forged):
    assert client_behind(PROXY, f"{forged}, 203.0.113.9") == "203.0.113.9"
    assert client_behind(PROXY, f"{forged}, 203.0.113.9, {CDN}") == "203.0.113.9"


@pytest.mark.parametrize("garbage", ["", ",", "unknown", "_hidden", "1.2.3.4.5", "999.1.1.1", "\0", "[", "ä"])
def test_garbage_from_a_proxy_leaves_the_proxy_as_the_client(client_behind, garbage):
    assert client_behind(PROXY, f"1.1.1.1, {garbage}") == PROXY
    assert client_behind(PROXY, f"1.1.1.1, {garbage}, {CDN}") == CDN


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2::9, fd00::3", "2001:db8:1:2::/64"),
    ],
)
def test_ports_and_zones_go_and_ipv6_is_one_network_of_64_bits(client_behind, forwarded, client):
    assert client_behind(PROXY, forwarded) == client


def test_a_mapped_proxy_is_the_proxy(client_behind):
    assert client_behind(f"::ffff:{PROXY}", "198.51.100.1") == "198.51.100.1"


def test_over_a_unix_socket_all_are_one(client_behind):
    assert client_behind("", "198.51.100.1") == ""
