"""What the run has done to the system, and the system at Remotion, as the run itself counts it."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.plan import Ending, Order


@dataclass(slots=True)
class Asked:
    """An export as its user knows it.

    Attributes:
        order: what the user was to do.
        export_id: its id, once an answer told it.
        cancelled: whether a cancellation was answered with success; ``None`` where none was answered.
        fatal_until: up to which attempt its renders throw.
        retries: how many retries were accepted.
    """

    order: Order
    export_id: str | None = None
    cancel_sent: bool = False
    cancelled: bool | None = None
    fatal_until: int = 1_000_000
    retries: int = 0


@dataclass(slots=True)
class Begun:
    """A render that was really started.

    Attributes:
        ending: how it ends by itself.
        ended: how it has ended, once it has: ``success``, ``error`` or ``cancelled``.
    """

    render_id: str
    export_id: str
    attempt: int
    ending: Ending
    ended: str | None = None
    progress: float = 0.0
    error: str = ""
    output_key: str = ""
    size_bytes: int = 0


@dataclass(slots=True)
class Ledger:
    """All of it."""

    asked: dict[str, Asked] = field(default_factory=dict)
    """By composition."""
    compositions: dict[str, str] = field(default_factory=dict)
    """By export."""
    renders: dict[str, Begun] = field(default_factory=dict)
    """By render id."""
    starts: defaultdict[tuple[str, int], list[Begun]] = field(default_factory=lambda: defaultdict(list))
    """By export and attempt."""
    start_calls: int = 0
    throttled_starts: int = 0
    broken_starts: int = 0
    unanswered_starts: int = 0
    duplicates: int = 0
    kills: int = 0
    webhooks: int = 0
    webhooks_lost: int = 0
    webhooks_unanswered: int = 0
    webhooks_late: int = 0
    webhooks_repeated: int = 0
    reports: dict[str, bool] = field(default_factory=dict)
    """Each first report of a render by the webhook's id, and whether the API has answered it."""
    refusals: int = 0
    server_errors: list[str] = field(default_factory=list)
    """Answers of 5xx by the API, which has no excuse for one."""
    api_kills: int = 0
    sweeper_kills: int = 0

    def number_of(self, export_id: str) -> int:
        """Return the export's number in the plan; -1 for one that nobody has asked for."""
        return int(self.compositions.get(export_id, "chaos--1").removeprefix("chaos-"))

    @property
    def running(self) -> list[Begun]:
        """The renders that run now."""
        return [render for render in self.renders.values() if render.ended is None]
