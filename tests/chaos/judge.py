"""Whether the system kept its rules: its records beside what the run knows to have happened."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos.ledger import Asked, Begun, Ledger
from tests.chaos.plan import Ending

ENDED: Final = ("completed", "failed", "cancelled")

_RIGHT_ENDS: Final = {
    Ending.FATAL: {"failed:composition_failed"},
    # The last attempt that it is allowed may be lost before Chromium dies.
    Ending.DOOMED: {"failed:browser_crashed", "failed:render_lost"},
    Ending.HANGING: {"failed:timeout"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures, and what is wrong with them, one sentence for each rule that was broken."""

    figures: dict[str, Any]
    faults: list[str]


def judge(
    ledger: Ledger,
    *,
    seed: int,
    limit: int,
    user_limit: int,
    max_running: int,
    max_rendering: int,
    max_of_a_user: int,
    exports: Sequence[Mapping[str, Any]],
    deliveries: Sequence[Mapping[str, Any]],
    outputs: Set[str],
    mails: Mapping[str, int],
    messages: Mapping[str, int],
    left_processes: Sequence[str],
    seconds: float,
) -> Verdict:
    """Compare all."""
    status = Counter(export["status"] for export in exports)
    wrong = [words for export in exports if (words := _wrong(export, ledger, outputs))]
    ends = {
        (f"export:{export['pk']}:{entry['attempt']}", f"export_{entry['status']}")
        for export in exports
        for entry in export["timeline"]
        if entry["status"] in ENDED
    }
    told = Counter((delivery["key"], delivery["kind"]) for delivery in deliveries)
    double_starts = {key: begun for key, begun in ledger.starts.items() if len(begun) > 1}
    abandoned = _abandoned(exports, ledger)
    lost_reports = sum(not delivered for delivered in ledger.reports.values())
    stranded = [export for export in exports if export["status"] not in ENDED]
    leaked = [
        export
        for export in exports
        if export["status"] in ENDED
        and (export["slot"] or export["user_slot"] or export["rank"] or export["due_at"])
    ]
    missing = set(ledger.asked) - {export["composition_id"] for export in exports}
    figures = {
        "seed": seed,
        "exports": len(ledger.asked),
        "ended": sum(status[each] for each in ENDED),
        "completed": status["completed"],
        "failed": status["failed"],
        "cancelled": status["cancelled"],
        "stranded": len(stranded),
        "starts": sum(map(len, ledger.starts.values())),
        "double_starts": sum(len(begun) - 1 for begun in double_starts.values()),
        "abandoned_starts": len(abandoned),
        "kills": ledger.kills,
        "max_running": max_running,
        "limit": limit,
        "notifications": len(deliveries),
        "missing_notifications": len(ends - set(told)),
        "double_notifications": sum(told.values()) - len(set(told) & ends),
        "left_in_queue": messages["queue"],
        "seconds": round(seconds, 1),
        "wrong_ends": len(wrong),
        "max_rendering": max_rendering,
        "user_limit": user_limit,
        "max_of_a_user": max_of_a_user,
        "start_calls": ledger.start_calls,
        "throttled_starts": ledger.throttled_starts,
        "unanswered_starts": ledger.unanswered_starts,
        "broken_starts": ledger.broken_starts,
        "lost_reports": lost_reports,
        "attempts": sum(export["attempt"] for export in exports),
        "retries_by_users": sum(asked.retries for asked in ledger.asked.values()),
        "cancellations_by_users": sum(asked.cancelled is True for asked in ledger.asked.values()),
        "duplicate_messages": ledger.duplicates,
        "webhooks": ledger.webhooks,
        "webhooks_lost": ledger.webhooks_lost,
        "webhooks_unanswered": ledger.webhooks_unanswered,
        "webhooks_late": ledger.webhooks_late,
        "webhooks_repeated": ledger.webhooks_repeated,
        "queue_refusals": ledger.refusals,
        "api_kills": ledger.api_kills,
        "sweeper_kills": ledger.sweeper_kills,
        "mails": len(mails),
        "mails_sent_twice": sum(count > 1 for count in mails.values()),
        "dead_letters": messages["dead letters"],
        "server_errors": len(ledger.server_errors),
        "left_processes": len(left_processes),
    }
    bound = ledger.kills + lost_reports + ledger.unanswered_starts
    rules = {
        "exports were never recorded: " + ", ".join(sorted(missing)[:5]): bool(missing),
        "exports were recorded more than once": len(exports) > len(set(ledger.asked) - missing),
        f"stranded: {_first(stranded)}": bool(stranded),
        "exports ended as they should not: " + "; ".join(wrong[:5]): bool(wrong),
        f"attempts were started twice: {list(double_starts)[:5]}": bool(double_starts),
        f"{len(abandoned)} starts were abandoned, and only {bound} had a cause": len(abandoned) > bound,
        f"{max_running} exports held a slot at one time": max_running > limit,
        f"{max_rendering} renders of exports with a slot ran at one time": max_rendering > limit,
        f"{max_of_a_user} exports of one user held a slot at one time": max_of_a_user > user_limit,
        f"exports kept something of their running time: {_first(leaked)}": bool(leaked),
        f"ends were not told: {sorted(ends - set(told))[:5]}": bool(ends - set(told)),
        "ends were told twice, or what was no end": figures["double_notifications"] > 0,
        f"messages were left: {dict(messages)}": any(messages.values()),
        f"the API answered with 5xx: {ledger.server_errors[:3]}": bool(ledger.server_errors),
        f"processes were left behind: {list(left_processes)}": bool(left_processes),
    }
    return Verdict(figures=figures, faults=[words for words, broken in rules.items() if broken])


def _wrong(export: Mapping[str, Any], ledger: Ledger, outputs: Set[str]) -> str | None:
    """Say why an export should not have ended as it has."""
    asked = ledger.asked.get(export["composition_id"])
    if asked is None:
        return f"{export['pk']} was asked for by nobody"
    ending, code = export["status"], export["error_code"]
    expected = _expected(asked)
    found = f"{ending}:{code}" if ending == "failed" else ending
    begun = ledger.starts.get((str(export["pk"]), export["attempt"]), [])
    if found not in expected:
        return f"{asked.order.composition} is {found}, not {' or '.join(sorted(expected))}"
    if ending != "completed":
        return None
    if not any(render.ended == "success" and render.ending is Ending.FINE for render in begun):
        return f"{asked.order.composition} is completed without a render that succeeded"
    if export["output_key"] not in outputs:
        return f"{asked.order.composition} is completed without its file"
    if export["render_id"] not in {None, *(render.render_id for render in begun)}:
        return f"{asked.order.composition} has the id of another render"
    return None


def _expected(asked: Asked) -> set[str]:
    """Return how an export may have ended, by its plan and by what its user did."""
    order = asked.order
    natural = _RIGHT_ENDS.get(order.ending, {"completed"})
    if order.ending is Ending.FATAL and asked.retries:
        # After a cancellation it throws for the first time at the retry.
        natural = natural | {"completed"} if asked.cancel_sent else {"completed"}
    if not asked.cancel_sent:
        return natural
    if asked.cancelled and not asked.retries:
        return {"cancelled"}
    return natural


def _abandoned(exports: Sequence[Mapping[str, Any]], ledger: Ledger) -> list[Begun]:
    """Return the renders of attempts that the system gave up as lost: paid for, and replaced by others."""
    found: list[Begun] = []
    for export in exports:
        for entry in export["timeline"]:
            if entry["type"] == "attempt_lost":
                found += ledger.starts.get((str(export["pk"]), entry["attempt"] - 1), [])
    return found


def _first(exports: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['composition_id']} ({each['status']})" for each in exports[:5])
