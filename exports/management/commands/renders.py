import getpass
import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from exports import services
from exports.overview import LATE_S, Overview, read_overview
from exports.queue import get_queue
from exports.representations import iso


class Command(BaseCommand):
    """The switch for an incident, and how all renders stand."""

    help = "Pause renders, resume them, or show how they stand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define pause, resume and status."""
        actions = parser.add_subparsers(dest="action", required=True)
        pause = actions.add_parser(
            "pause",
            help="Give no export a slot until resume. What has one goes on; new exports are taken and wait.",
        )
        pause.add_argument("--reason", default="", help="Shown to whoever looks.")
        resume = actions.add_parser("resume", help="Let exports render again, the first in line first.")
        for each in (pause, resume):
            each.add_argument("--by", default="", help="Who does it; unset: the user of this shell.")
        status = actions.add_parser("status", help="Show how all renders stand.")
        status.add_argument("--json", action="store_true", help="Print a JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked."""
        now = timezone.now()
        match options["action"]:
            case "pause":
                self._pause(by=options["by"] or getpass.getuser(), reason=options["reason"], now=now)
            case "resume":
                by = options["by"] or getpass.getuser()
                admitted = services.resume_renders(by=by, queue=get_queue(), now=now)
                self.stdout.write(f"Renders go on. Slots given at once: {admitted}.")
            case _:
                seen = read_overview(now=now)
                text = json.dumps(_row(seen), indent=2) if options["json"] else _words(seen, now=now)
                self.stdout.write(text)

    def _pause(self, *, by: str, reason: str, now: datetime) -> None:
        pause = services.pause_renders(by=by, reason=reason, now=now)
        if pause.since == now:
            self.stdout.write("Renders are paused. manage.py renders resume lets them go on.")
        else:
            self.stdout.write(f"Renders were paused already: {pause}.")


def _words(seen: Overview, *, now: datetime) -> str:
    state = "going on"
    if seen.pause is not None:
        state = f"{seen.pause}" + (f": {seen.pause.reason}" if seen.pause.reason else "")
    oldest = "-"
    if seen.oldest_queued_at is not None:
        oldest = f"{(now - seen.oldest_queued_at).total_seconds():.0f} s"
    late = f"{seen.late}" + (f" (for more than {LATE_S} s: is a sweeper running?)" if seen.late else "")
    return "\n".join(
        (
            f"renders          {state}",
            f"slots taken      {seen.slots_taken} of {seen.slots}",
            f"waiting exports  {seen.waiting}",
            f"users in line    {seen.users_in_line}",
            f"oldest wait      {oldest}",
            f"due late         {late}",
        )
    )


def _row(seen: Overview) -> dict[str, Any]:
    pause = seen.pause
    return {
        "paused": pause is not None,
        "pausedBy": pause.by if pause else None,
        "pausedSince": iso(pause.since) if pause else None,
        "pauseReason": pause.reason if pause else None,
        "slots": seen.slots,
        "slotsTaken": seen.slots_taken,
        "waiting": seen.waiting,
        "usersInLine": seen.users_in_line,
        "oldestQueuedAt": iso(seen.oldest_queued_at),
        "late": seen.late,
    }
