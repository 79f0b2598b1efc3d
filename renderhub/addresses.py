"""Where a request comes from, behind the proxies that are trusted and no others."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What one customer of an internet provider is given at the least, and may choose addresses in.
_IPV6_PREFIX: Final = 64


def client_of(request: HttpRequest) -> str:
    """Return whose request it is, as a limit counts them: an IPv4 address, or an IPv6 network of 64 bits.

    Each proxy appends to ``X-Forwarded-For`` the address that it was called from, so what stands there is
    believed from the right, as long as whoever wrote it is one of ``TRUSTED_PROXIES``. What a client writes
    itself stands further left, and is never reached. Empty where not even the caller's address is known, as
    over a Unix socket.
    """
    address = _parse(request.META.get("REMOTE_ADDR", ""))
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if address is None or not _is_trusted(address, settings.TRUSTED_PROXIES):
            break
        before = _parse(hop)
        if before is None:
            break
        address = before
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _IPV6_PREFIX), strict=False))
    return str(address or "")


def _is_trusted(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    """Return the address in one place of the header, ``None`` where there is none; a port is left out."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # An IPv4 client of a server that listens on both.
        return address.ipv4_mapped or address
    return address
