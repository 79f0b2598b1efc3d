"""What AWS charges for what an export uses, as data: by region, with its date.

List prices of the first tier, in US dollars, without taxes, discounts and free allowances. docs/costs.md has
the source of each.

A region that isn't here is priced as us-east-1, and every answer names the region whose prices it was made
with. A month has 30 days, a GB of a file 10^9 bytes (AWS bills 2^30, so this is up to 7 % too much), a GB of
memory 1,024 MB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_MILLION: Final = 1_000_000
_BYTES_PER_GB: Final = 10**9

MB_MS_PER_GB_SECOND: Final = 1024 * 1000

SQS_REQUESTS_PER_MESSAGE: Final = 3
"""It is sent, received and deleted. A message above 64 KiB is charged as several; that isn't counted here."""


class Architecture(StrEnum):
    """What a Lambda function runs on."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What AWS charges in one region, in US dollars.

    Attributes:
        region: AWS's name of it.
        as_of: the day on which these were the prices.
        sqs_request: a request to a standard queue.
        lambda_gb_second: a GB of memory for a second, by architecture.
        lambda_request: an invocation of a function.
        s3_gb_month: a GB of S3 Standard for a month.
        s3_put, s3_get: a request that writes or lists, a request that reads.
        transfer_gb: a GB sent to the internet.
        transfer_free_gb: what an account may send to the internet each month for nothing.
    """

    region: str
    as_of: date
    sqs_request: Decimal
    lambda_gb_second: Mapping[Architecture, Decimal]
    lambda_request: Decimal
    s3_gb_month: Decimal
    s3_put: Decimal
    s3_get: Decimal
    transfer_gb: Decimal
    transfer_free_gb: Decimal

    def compute(self, *, architecture: Architecture, mb_ms: int, invocations: int = 0) -> Decimal:
        """Return the price of time in a Lambda function, and of its invocations.

        Args:
            architecture: what the function runs on.
            mb_ms: its memory in MB times its billed milliseconds, over all invocations.
            invocations: how many there were.
        """
        gb_seconds = Decimal(mb_ms) / MB_MS_PER_GB_SECOND
        return gb_seconds * self.lambda_gb_second[architecture] + invocations * self.lambda_request

    def queue(self, *, messages: int) -> Decimal:
        """Return the price of messages that go through the queue once."""
        return messages * SQS_REQUESTS_PER_MESSAGE * self.sqs_request

    def storage(self, *, size_bytes: int, months: Decimal) -> Decimal:
        """Return the price of keeping a file."""
        return Decimal(size_bytes) / _BYTES_PER_GB * months * self.s3_gb_month

    def requests(self, *, puts: int, gets: int) -> Decimal:
        """Return the price of requests to S3."""
        return puts * self.s3_put + gets * self.s3_get

    def transfer(self, *, size_bytes: int, free_gb: Decimal = Decimal(0)) -> Decimal:
        """Return the price of sending bytes to the internet, of which the first ``free_gb`` cost nothing."""
        return max(Decimal(size_bytes) / _BYTES_PER_GB - free_gb, Decimal(0)) * self.transfer_gb


_LAMBDA: Final = MappingProxyType(
    {Architecture.ARM64: Decimal("0.0000133334"), Architecture.X86_64: Decimal("0.0000166667")}
)


def _prices(region: str, *, s3_gb_month: str, s3_thousand_puts: str, s3_thousand_gets: str) -> Prices:
    """Return a region's prices: S3's differ between those below, the others don't."""
    return Prices(
        region=region,
        as_of=date(2026, 8, 16),
        sqs_request=Decimal("0.40") / _MILLION,
        lambda_gb_second=_LAMBDA,
        lambda_request=Decimal("0.20") / _MILLION,
        s3_gb_month=Decimal(s3_gb_month),
        s3_put=Decimal(s3_thousand_puts) / 1000,
        s3_get=Decimal(s3_thousand_gets) / 1000,
        transfer_gb=Decimal("0.09"),
        transfer_free_gb=Decimal(100),
    )


DEFAULT_REGION: Final = "us-east-1"

PRICES: Final[Mapping[str, Prices]] = MappingProxyType(
    {
        prices.region: prices
        for prices in (
            _prices("us-east-1", s3_gb_month="0.023", s3_thousand_puts="0.005", s3_thousand_gets="0.0004"),
            _prices("eu-west-1", s3_gb_month="0.023", s3_thousand_puts="0.005", s3_thousand_gets="0.0004"),
            _prices(
                "eu-central-1", s3_gb_month="0.0245", s3_thousand_puts="0.0054", s3_thousand_gets="0.00043"
            ),
        )
    }
)


def prices_of(region: str) -> Prices:
    """Return a region's prices, or those of us-east-1 where they are not known."""
    return PRICES.get(region, PRICES[DEFAULT_REGION])
