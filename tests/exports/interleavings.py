"""Every interleaving of racing calls of the real services, at the level of their single operations.

An operation is one statement on the database (a transaction is one, too) or one effect outside of it.
Between two operations the code of a racer depends on nothing but the answers that it has had so far. So a
racer is not a thread that is stopped and woken: it is run from its beginning with the answers that it has
had, and cut off at the first operation whose answer it lacks. That operation is then performed on the
database as it stands at this point of the schedule.

Two schedules that have given every racer the same answers, and have left the database and the world outside
alike, go on alike, so that what follows is explored once. This leaves out no interleaving: the schedules are
counted all the same, and any state's earliest one can be told.
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import pytest
from django.db import connection

from lambda_worker.contract import Message, StartMessage

TABLES: Final = ("pauses", "batches", "export_requests", "renders", "deliveries")
"""What races may write, in an order in which rows can be inserted."""

MAX_OPERATIONS: Final = 120
"""A schedule as long as this goes in circles."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One indivisible step of a racer.

    Attributes:
        name: ``sql``, or the name of an effect outside of the database.
        arguments: the statement and its parameters, or the effect's own arguments.
        inside: it belongs to the transaction of the operation before it.
    """

    name: str
    arguments: tuple[Any, ...]
    inside: bool = False

    def __str__(self) -> str:
        text = " ".join(str(argument) for argument in self.arguments)
        return f"{self.name} {text[:100] + ' … ' + text[-160:] if len(text) > 260 else text}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation gives back: rows and their number, an error, or an effect's value."""

    rows: tuple[tuple[Any, ...], ...] = ()
    count: int = -1
    error: tuple[type[Exception], str] | None = None
    value: Any = None


class Database:
    """The tables that races write, as values that can be compared, and put back."""

    def __init__(self) -> None:
        connection.ensure_connection()
        # A second connection without Django's conversions: what is read is what is written back.
        name = connection.settings_dict["NAME"]
        self._raw = sqlite3.connect(name, uri=True, isolation_level=None)
        self._raw.execute("PRAGMA foreign_keys = OFF")
        self.columns = {
            table: [row[1] for row in self._raw.execute(f"PRAGMA table_info({table})")] for table in TABLES
        }

    def read(self) -> tuple[tuple[tuple[Any, ...], ...], ...]:
        """Return the rows of each of :data:`TABLES`."""
        return tuple(
            tuple(self._raw.execute(f"SELECT * FROM {table} ORDER BY id"))  # noqa: S608  # of TABLES
            for table in TABLES
        )

    def write(self, rows: Sequence[Sequence[Sequence[Any]]]) -> None:
        """Make the tables hold these rows and no others."""
        self._raw.execute("BEGIN IMMEDIATE")
        for table, content in zip(TABLES, rows, strict=True):
            self._raw.execute(f"DELETE FROM {table}")  # noqa: S608  # of TABLES
            if content:
                marks = ",".join("?" * len(self.columns[table]))
                self._raw.executemany(
                    f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608  # of TABLES
                    content,
                )
        self._raw.execute("COMMIT")

    def close(self) -> None:
        self._raw.close()


class Outside:
    """SQS, S3 and Remotion: what has been sent, started, stopped and written, in no order."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.run: _Run | Lockstep | None = None
        self.same_choices = True

    def do(self, name: str, *arguments: Any) -> Any:
        """Perform an effect, as an operation of its own where a racer does it."""
        operation = Operation(name, arguments)
        if self.run is not None:
            return self.run.ask(operation).value
        return self.perform(operation)

    def perform(self, operation: Operation) -> Any:
        match operation.name:
            case "send":
                self.done += [("message", *message) for message in operation.arguments]
                return None
            case "find_output":
                return 7 if ("file", *operation.arguments) in self.done else None
            case _:
                self.done.append((operation.name, *operation.arguments))
                return True

    def choose(self, options: Sequence[Any]) -> Any:
        """Choose as everybody does, so that racers clash; or each racer another, so that none does."""
        return options[0 if self.same_choices else _Ids.owner % len(options)]

    def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Take every message, as the queue does."""
        parts = tuple(
            (
                message.action,
                message.export_id,
                message.attempt,
                message.version,
                None if isinstance(message, StartMessage) else message.render_id,
            )
            for message in messages
        )
        self.do("send", *parts)
        return [f"m-{export_id}-{version}" for _, export_id, _, version, _ in parts]

    def find_output(self, key: str) -> int | None:
        size_bytes: int | None = self.do("find_output", key)
        return size_bytes

    def cancel_render(self, *, bucket_name: str, render_id: str, now: Any) -> bool:
        return bool(self.do("stopped", render_id))


@dataclass(eq=False, slots=True)
class World:
    """One content of the database and of the world outside."""

    rows: tuple[tuple[tuple[Any, ...], ...], ...]
    done: tuple[tuple[Any, ...], ...]


@dataclass(eq=False, slots=True)
class Stand:
    """How far a racer has come: a node for each sequence of answers that it has had.

    Attributes:
        answers: what it has asked so far, each with its answer.
        asks: its next operation; ``None`` where it has ended.
        result: what it returned, or the error that it raised.
    """

    answers: tuple[tuple[Operation, Answer], ...]
    asks: Operation | None
    result: Any = None
    next: dict[Answer, "Stand"] = field(default_factory=dict)


class _Cut(BaseException):
    """Ends a run at the operation whose answer isn't known; no ``except Exception`` stops it."""


class _Run:
    """One run of a racer's code on known answers."""

    def __init__(self, answers: tuple[tuple[Operation, Answer], ...]) -> None:
        self._answers = iter(answers)
        self.asks: Operation | None = None

    def ask(self, operation: Operation) -> Answer:
        known = next(self._answers, None)
        if known is None:
            self.asks = operation
            raise _Cut
        asked, answer = known
        assert asked == operation, f"a racer is not the same in each run: {asked}, then {operation}"
        if answer.error is not None:
            kind, text = answer.error
            raise kind(text)
        return answer

    def statement(self, execute: Any, sql: str, params: Any, many: bool, context: Mapping[str, Any]) -> None:
        assert not many
        arguments = (sql, tuple(params or ()))
        answer = self.ask(Operation("sql", arguments, inside=connection.in_atomic_block))
        context["cursor"].cursor = _Known(answer)


class _Known:
    """A cursor whose statement was performed before."""

    def __init__(self, answer: Answer) -> None:
        self._rows = iter(answer.rows)
        self.rowcount = answer.count

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int) -> list[Any]:
        return [row for row, _ in zip(self._rows, range(size), strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def close(self) -> None:
        pass


@dataclass(eq=False, slots=True)
class State:
    """One point that schedules come to.

    Attributes:
        world: how the database and the world outside are.
        stands: how far each racer has come.
        schedules: how many schedules lead here.
        via: one of the states before, and the racer that went on from it.
    """

    world: World
    stands: tuple[Stand, ...]
    schedules: int = 1
    via: "tuple[State, int] | None" = None
    exclusive: int | None = None

    def told(self) -> str:
        """Return one schedule that leads here."""
        lines: list[str] = []
        state: State = self
        while state.via is not None:
            before, racer = state.via
            lines.append(f"  {racer}: {before.stands[racer].asks}")
            state = before
        return "\n".join(reversed(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What an exploration has found.

    Attributes:
        ends: the states in which every racer has ended.
        worlds: every world that some schedule goes through, with a state of it.
        changes: every step from one world to another, with the state that it leads to.
        schedules: how many different schedules there are.
        states: how many different points they go through.
    """

    ends: list[State]
    worlds: dict[World, State]
    changes: dict[tuple[World, World], State]
    schedules: int
    states: int


class Explorer:
    """Explores every schedule of some racers.

    Args:
        database: the tables.
        outside: what the racers do besides.
        racers: calls of services that return the same wherever they get the same answers.
    """

    def __init__(self, database: Database, outside: Outside, racers: Sequence[Callable[[], Any]]) -> None:
        self._database = database
        self._outside = outside
        self._racers = racers
        self._worlds: dict[Any, World] = {}
        self._performed: dict[tuple[World, Operation], tuple[Answer, World]] = {}
        self._current: World | None = None

    def world(self) -> World:
        """Return the world as it is."""
        key = (self._database.read(), tuple(sorted(self._outside.done, key=repr)))
        self._current = self._worlds.setdefault(key, World(*key))
        return self._current

    def restore(self, world: World) -> None:
        """Make the world what it was."""
        if self._current is not world:
            self._database.write(world.rows)
        self._outside.done = list(world.done)
        self._current = None

    def start(self) -> State:
        """Return the state in which no racer has done anything, in the world as it is."""
        return State(self.world(), tuple(self._stand(i, ()) for i in range(len(self._racers))))

    def explore(self) -> Explored:
        """Go through every schedule from the world as it is."""
        start = self.start()
        ends: list[State] = []
        worlds = {start.world: start}
        changes: dict[tuple[World, World], State] = {}
        level: dict[Any, State] = {start.stands: start}
        states = 0
        for _ in range(MAX_OPERATIONS):
            states += len(level)
            after: dict[Any, State] = {}
            for state in level.values():
                if all(stand.asks is None for stand in state.stands):
                    ends.append(state)
                for racer in self.able(state):
                    reached = self.step(state, racer)
                    # All schedules on one level are of one length, so that none comes here again later.
                    key = (reached.world, reached.stands)
                    if key in after:
                        after[key].schedules += state.schedules
                        continue
                    after[key] = reached
                    worlds.setdefault(reached.world, reached)
                    if reached.world is not state.world:
                        changes.setdefault((state.world, reached.world), reached)
            if not after:
                return Explored(
                    ends=ends,
                    worlds=worlds,
                    changes=changes,
                    schedules=sum(end.schedules for end in ends),
                    states=states,
                )
            level = after
        pytest.fail("the racers never end:\n" + next(iter(level.values())).told())

    def able(self, state: State) -> Iterator[int]:
        """Yield the racers that can go on."""
        for racer, stand in enumerate(state.stands):
            if stand.asks is not None and state.exclusive in (None, racer):
                yield racer

    def step(self, state: State, racer: int) -> State:
        """Let one racer go on by one operation."""
        stand = state.stands[racer]
        assert stand.asks is not None
        answer, world = self._perform(state.world, stand.asks)
        reached = stand.next.get(answer)
        if reached is None:
            reached = stand.next[answer] = self._stand(racer, (*stand.answers, (stand.asks, answer)))
        exclusive = racer if reached.asks is not None and reached.asks.inside else None
        stands = (*state.stands[:racer], reached, *state.stands[racer + 1 :])
        return State(world, stands, state.schedules, (state, racer), exclusive)

    def _perform(self, world: World, operation: Operation) -> tuple[Answer, World]:
        known = self._performed.get((world, operation))
        if known is None:
            self.restore(world)
            answer = self._live(operation)
            known = self._performed[world, operation] = (answer, self.world())
        return known

    def _live(self, operation: Operation) -> Answer:
        if operation.name != "sql":
            return Answer(value=self._outside.perform(operation))
        sql, params = operation.arguments
        if sql.startswith("BEGIN"):
            # Nobody else goes on until it has ended, so it needs none of SQLite's own.
            return Answer()
        with connection.cursor() as cursor:
            try:
                cursor.execute(sql, params)
            except Exception as error:  # whatever it is, the racer is to see it
                return Answer(error=(type(error), str(error)))
            rows = tuple(cursor.fetchall()) if cursor.description else ()
            return Answer(rows=rows, count=cursor.rowcount)

    def _stand(self, racer: int, answers: tuple[tuple[Operation, Answer], ...]) -> Stand:
        run = _Run(answers)
        result = None
        self._outside.run = run
        _Ids.begin(racer)
        try:
            with connection.execute_wrapper(run.statement):
                result = self._racers[racer]()
        except _Cut:
            pass
        except AssertionError:
            raise
        except Exception as error:  # an answer of the services, too
            result = error
        finally:
            self._outside.run = None
            _Ids.begin(9)
        return Stand(answers, run.asks, result)


class Lockstep:
    """The same racers as real threads with connections of their own, each held before every operation.

    Args:
        outside: what the racers do besides.
        racers: the calls.
    """

    def __init__(self, outside: Outside, racers: Sequence[Callable[[], Any]]) -> None:
        self._outside = outside
        self._turns = [threading.Semaphore(0) for _ in racers]
        self._held = threading.Semaphore(0)
        self._ended: set[int] = set()
        self._results: list[Any] = [None] * len(racers)
        self._threads = [
            threading.Thread(target=self._go, args=(number, racer), name=str(number))
            for number, racer in enumerate(racers)
        ]

    def play(self, order: Sequence[int]) -> list[Any]:
        """Let the racers go on in this order, each time by one operation, and return their results."""
        self._outside.run = self
        try:
            for number, thread in enumerate(self._threads):
                _Ids.begin(number)
                thread.start()
                self._held.acquire()
            for number in order:
                _Ids.owner = number
                self._turns[number].release()
                self._held.acquire()
            assert len(self._ended) == len(self._threads), "the schedule was too short"
        finally:
            self._outside.run = None
            _Ids.begin(9)
            for number, thread in enumerate(self._threads):
                self._turns[number].release(MAX_OPERATIONS)
                thread.join()
        return self._results

    def ask(self, operation: Operation) -> Answer:
        self._hold()
        return Answer(value=self._outside.perform(operation))

    def _hold(self) -> None:
        self._held.release()
        self._turns[int(threading.current_thread().name)].acquire()

    def _statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not connection.in_atomic_block:
            self._hold()
        return execute(sql, params, many, context)

    def _go(self, number: int, racer: Callable[[], Any]) -> None:
        connection.ensure_connection()
        try:
            with connection.execute_wrapper(self._statement):
                self._results[number] = racer()
        except Exception as error:  # an answer of the services, too
            self._results[number] = error
        finally:
            connection.close()
            self._ended.add(number)
            self._held.release()


class _Ids:
    """Ids that are the same in each run of a racer."""

    owner = 9
    counts: dict[int, int] = defaultdict(int)

    @classmethod
    def begin(cls, owner: int) -> None:
        cls.owner = owner
        if owner != 9:
            cls.counts[owner] = 0

    def __next__(self) -> int:
        """Count as :func:`renderhub.ids.uuid7` does, but for each racer apart."""
        self.counts[self.owner] += 1
        return self.owner << 32 | self.counts[self.owner]

    @classmethod
    def urandom(cls, size: int) -> bytes:
        cls.counts[cls.owner] += 1
        return bytes([cls.owner]) + cls.counts[cls.owner].to_bytes(size - 1, "big")


@contextmanager
def determined(monkeypatch: pytest.MonkeyPatch, outside: Outside) -> Iterator[None]:
    """Within it the services do the same wherever they get the same answers."""
    monkeypatch.setattr("renderhub.ids._counter", _Ids())
    monkeypatch.setattr("renderhub.ids.os", SimpleNamespace(urandom=_Ids.urandom))
    monkeypatch.setattr("renderhub.ids.time", SimpleNamespace(time_ns=lambda: 1_767_323_045_000_000_000))
    monkeypatch.setattr("exports.services.line.random", SimpleNamespace(choice=outside.choose))
    for module in ("exports.services.reports", "exports.services.repairs"):
        monkeypatch.setattr(f"{module}.find_output", outside.find_output)
    monkeypatch.setattr("exports.renders.cancel", outside.cancel_render)
    monkeypatch.setattr("exports.services.reports.random", SimpleNamespace(uniform=lambda low, high: 1.0))
    # What is pushed to the pages is read for them alone, and changes nothing.
    for module in ("moves", "reports", "requests"):
        monkeypatch.setattr(f"exports.services.{module}.show", lambda export, *, now: None)
    _Ids.counts.clear()
    yield
