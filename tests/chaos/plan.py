"""What befalls each export and each message, decided by the seed alone.

A decision is keyed by what it is about (the export's number, the attempt, the kind of step), never by the
order in which things happen to arrive: the same seed strikes the same steps, however the machine is loaded.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

Choice = TypeVar("Choice")

USERS: Final = 20

# Shares of what may go wrong.
DUPLICATES: Final = 0.05
WEBHOOKS_LOST: Final = 0.05
WEBHOOKS_LATE: Final = 0.10
STARTS_THROTTLED: Final = 0.10
STARTS_UNANSWERED: Final = 0.015
STARTS_BROKEN: Final = 0.005
KILLS: Final = {"claim": 0.005, "start": 0.010, "report": 0.005, "look": 0.002}

_LONG_RENDERS: Final = 0.04
_MAX_THROTTLED: Final = 2


class Ending(StrEnum):
    """How the renders of an export end."""

    FINE = "fine"
    FATAL = "fatal"
    """The composition throws, until a person asks for it again."""
    FLAKY = "flaky"
    """Chromium dies once or twice."""
    DOOMED = "doomed"
    """Chromium dies every time."""
    HANGING = "hanging"
    """It never ends."""


_ENDINGS: Final = {
    Ending.FATAL: 0.03,
    Ending.FLAKY: 0.04,
    Ending.DOOMED: 0.003,
    Ending.HANGING: 0.003,
}


class Fate(StrEnum):
    """What becomes of a webhook on its way, at every try to send it."""

    DELIVERED = "delivered"
    LOST = "lost"
    UNANSWERED = "unanswered"
    """It arrives; its answer doesn't come back."""
    LATE = "late"
    REPEATED = "repeated"
    """It arrives, and once more later."""


class Start(StrEnum):
    """What a start at Remotion is answered."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    UNANSWERED = "unanswered"
    """The render begins, and the answer is a 500 or none."""
    BROKEN = "broken"
    """A 500, and no render begins."""


class Kill(StrEnum):
    """When the worker that has sent a request is killed."""

    BEFORE = "before"
    """Before anybody has seen the request."""
    AFTER = "after"
    """After the request was carried out, before its answer."""
    SOON = "soon"
    """At any moment of the next 150 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One export that a user will ask for.

    Attributes:
        number: which of the run's exports it is; its composition is named after it.
        user: which user asks.
        at_s: when, in seconds from the beginning.
        ending: how its renders end.
        crashes: how many of its attempts end with a dead Chromium.
        cancel_after_s: when the user cancels it, from its creation; ``None`` for never.
        retried: whether the user asks again once it has failed or was cancelled.
    """

    number: int
    user: int
    at_s: float
    priority: str
    ending: Ending
    crashes: int
    cancel_after_s: float | None
    retried: bool

    @property
    def composition(self) -> str:
        """The name under which the export is found everywhere."""
        return f"chaos-{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that breaks for all: which, and when, in seconds from the beginning."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run, before it begins.

    Attributes:
        seed: decides everything.
        exports: how many are asked for.
        rate: how many a second.
    """

    seed: int
    exports: int
    rate: float

    @property
    def span_s(self) -> float:
        """How long users go on asking for exports."""
        return max(self.exports / self.rate, 30.0)

    @property
    def outage_s(self) -> float:
        """How long the API and the queue stay down: 10 s, less in a short run."""
        return min(10.0, self.span_s / 8)

    def orders(self) -> list[Order]:
        """Return the exports in their order: most are asked for at a steady rate, some in bursts."""
        bursts = [self._dice("burst", i).uniform(0, self.span_s) for i in range(8)]
        found = []
        for number in range(self.exports):
            dice = self._dice("order", number)
            at_s = dice.uniform(0, self.span_s) if dice.random() < 0.7 else dice.choice(bursts)
            ending = _pick(dice.random(), _ENDINGS, Ending.FINE)
            found.append(
                Order(
                    number=number,
                    # The first one has twice its share.
                    user=min(int(USERS * dice.random() ** 1.2), USERS - 1),
                    at_s=at_s,
                    priority=dice.choices(("high", "normal", "low"), (1, 8, 1))[0],
                    ending=ending,
                    crashes=dice.choice((1, 2)) if ending is Ending.FLAKY else 0,
                    cancel_after_s=dice.choice((0.0, dice.uniform(0, 3), dice.uniform(0, 15)))
                    if dice.random() < 0.05
                    else None,
                    retried=dice.random() < 0.5,
                )
            )
        return sorted(found, key=lambda order: order.at_s)

    def incidents(self) -> list[Incident]:
        """Return what breaks for all."""
        shares = {
            "api down": (0.12, 0.70),
            "sweeper killed": (0.30, 0.60),
            "api killed": (0.45,),
            "queue down": (0.85,),
        }
        return sorted(
            (
                Incident(at_s=self.span_s * at, what=what)
                for what, moments in shares.items()
                for at in moments
            ),
            key=lambda incident: incident.at_s,
        )

    def duplicate_after_s(self, *message: object) -> float | None:
        """Return after how many seconds SQS delivers a message once more, ``None`` where it doesn't."""
        dice = self._dice("duplicate", *message)
        if dice.random() >= DUPLICATES:
            return None
        return dice.choice((0.0, dice.uniform(0, 1), dice.uniform(0, 10)))

    def fate(self, *webhook: object) -> tuple[Fate, float]:
        """Return what becomes of a webhook, and the seconds that it takes, or comes again after."""
        dice = self._dice("webhook", *webhook)
        fate = _pick(
            dice.random(),
            {
                Fate.LOST: WEBHOOKS_LOST / 2,
                Fate.UNANSWERED: WEBHOOKS_LOST / 2,
                Fate.LATE: WEBHOOKS_LATE * 0.6,
                Fate.REPEATED: WEBHOOKS_LATE * 0.4,
            },
            Fate.DELIVERED,
        )
        return fate, dice.uniform(0.1, 1.5) if fate is Fate.LATE else dice.uniform(0.5, 10.0)

    def start(self, number: int, attempt: int, call: int) -> tuple[Start, bool]:
        """Return what an attempt's start is answered at this call, and whether the connection breaks instead.

        Two calls are throttled at the most: each pause is as long as all before it, and the limit is short.
        """
        dice = self._dice("start", number, attempt, call)
        answer = _pick(
            dice.random(),
            {
                Start.THROTTLED: STARTS_THROTTLED if call <= _MAX_THROTTLED else 0.0,
                Start.UNANSWERED: STARTS_UNANSWERED,
                Start.BROKEN: STARTS_BROKEN,
            },
            Start.ANSWERED,
        )
        return answer, dice.random() < 0.5

    def kill(self, step: str, *request: object) -> tuple[Kill, float] | None:
        """Return when the worker that makes a request is killed, and after how many seconds where soon."""
        dice = self._dice("kill", step, *request)
        if dice.random() >= KILLS[step]:
            return None
        return dice.choice(list(Kill)), dice.uniform(0, 0.15)

    def duration_s(self, number: int, attempt: int, *, claim_s: float) -> float:
        """Return how long a render lasts: a few outlast the time that a claim may stay unreported."""
        dice = self._dice("duration", number, attempt)
        return dice.uniform(0.8, 1.4) * claim_s if dice.random() < _LONG_RENDERS else dice.uniform(0.2, 3.0)

    def _dice(self, *key: object) -> random.Random:
        return random.Random(":".join(map(str, (self.seed, *key))))


def _pick(value: float, shares: dict[Choice, float], otherwise: Choice) -> Choice:
    for choice, share in shares.items():
        if value < share:
            return choice
        value -= share
    return otherwise
