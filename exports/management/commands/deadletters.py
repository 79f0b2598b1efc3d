import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from exports.dead_letters import DeadLetter, DeadLetterQueue, DeadLettersError, get_dead_letters
from lambda_worker.contract import RENDER_VIDEO

_LIMIT: Final = 1000
"""How many messages one call takes in: all of them are dealt with before they would show again."""

_WAIT_S: Final = 1


class Command(BaseCommand):
    """Shows dead letters, and gets rid of them one way or the other."""

    help = (
        "Messages that the worker could not read, or crashed on again and again. The sweeper deals with "
        "those that can be read: it fails their exports, which are retried from there. What it can't read "
        "stays here."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define list, redrive and drop."""
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser(
            "list", help="Show them, the oldest first, and leave them where they are."
        )
        listing.add_argument("--json", action="store_true", help="Print a JSON list.")
        redrive = actions.add_parser(
            "redrive",
            help="Put them back on the worker's queue as they are.",
            description=(
                "Put messages back on the worker's queue as they are, for a worker that has been mended.\n"
                "A message whose export has moved on since is harmless: the worker asks before it starts\n"
                "a render, is told to skip it, and drops the message. A message that the worker still\n"
                "can't read comes back here at once, under another id."
            ),
            formatter_class=RawDescriptionHelpFormatter,
        )
        drop = actions.add_parser("drop", help="Delete them for good.")
        drop.add_argument("--yes", action="store_true", help="Don't ask.")
        for each in (redrive, drop):
            each.add_argument("ids", nargs="*", metavar="ID", help="A message's id, as list shows it.")
            each.add_argument("--all", action="store_true", help="All that are there now.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked."""
        action = options["action"]
        if action != "list" and bool(options["ids"]) == options["all"]:
            raise CommandError("Name the messages by their ids, or say --all.")
        try:
            letters = get_dead_letters()
            if action == "list":
                self._list(letters, as_json=options["json"])
            elif action == "redrive":
                self._redrive(letters, ids=options["ids"])
            elif options["yes"] or self._confirmed(options["ids"]):
                self._drop(letters, ids=options["ids"])
            else:
                raise CommandError("Nothing was dropped.")
        except DeadLettersError as error:
            raise CommandError(str(error)) from error

    def _list(self, letters: DeadLetterQueue, *, as_json: bool) -> None:
        found = list(letters.receive(limit=_LIMIT, wait_s=_WAIT_S))
        letters.release(found)
        rows = [_row(letter) for letter in sorted(found, key=lambda letter: letter.sent_at)]
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        if not rows:
            self.stdout.write("There are no dead letters.")
        for row in rows:
            self.stdout.write(f"{row['id']}  sent {row['sentAt']}  receive count {row['receiveCount']}")
            if row["type"]:
                self.stdout.write(f"  {row['action']} of export {row['exportId']}, attempt {row['attempt']}")
            self.stdout.write(f"  {row['reason']}")
        self._tell_of_more(found)

    def _redrive(self, letters: DeadLetterQueue, *, ids: Sequence[str]) -> None:
        # All are received before the first is sent: what the worker sets aside again is not met twice.
        chosen = self._choose(letters, ids=ids)
        done = 0
        try:
            for letter in chosen:
                letters.redrive([letter])
                done += 1
        finally:
            self.stdout.write(f"{done} redriven.")
        self._tell_of_more(chosen)

    def _drop(self, letters: DeadLetterQueue, *, ids: Sequence[str]) -> None:
        chosen = self._choose(letters, ids=ids)
        letters.delete(chosen)
        self.stdout.write(f"{len(chosen)} dropped.")
        self._tell_of_more(chosen)

    def _choose(self, letters: DeadLetterQueue, *, ids: Sequence[str]) -> list[DeadLetter]:
        """Receive the messages of these ids, or all where there are none, and release the others.

        Raises:
            CommandError: one of them isn't there; then all have been released.
        """
        found = list(letters.receive(limit=_LIMIT, wait_s=_WAIT_S))
        if not ids:
            return found
        missing = sorted(set(ids) - {letter.id for letter in found})
        letters.release([letter for letter in found if missing or letter.id not in ids])
        if missing:
            raise CommandError(
                f"Not on the dead-letter queue: {', '.join(missing)}. Nothing was changed; if one was listed "
                f"a moment ago, a sweeper may hold it just now: try again."
            )
        return [letter for letter in found if letter.id in ids]

    def _confirmed(self, ids: Sequence[str]) -> bool:
        what = f"{len(set(ids))} of the dead letters" if ids else "all dead letters"
        self.stdout.write(f"Delete {what} for good? [y/N] ", ending="")
        self.stdout.flush()
        try:
            return input().strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def _tell_of_more(self, found: Sequence[DeadLetter]) -> None:
        if len(found) == _LIMIT:
            self.stdout.write(f"These are the first {_LIMIT}; there may be more.")


def _row(letter: DeadLetter) -> dict[str, Any]:
    message = letter.message
    return {
        "id": letter.id,
        "sentAt": letter.sent_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "receiveCount": letter.receive_count,
        "reason": _printable(letter.reason)
        or "The worker received it several times and never finished with it.",
        "type": RENDER_VIDEO if message else None,
        "action": message.action if message else None,
        "exportId": _printable(message.export_id) if message else None,
        "attempt": message.attempt if message else None,
    }


def _printable(text: str) -> str:
    """Keep what a message holds from moving the terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)
