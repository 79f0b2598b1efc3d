"""The records: projects, exports, and the renders that were started for them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from exports.states import Status
from lambda_worker.contract import CODEC_EXTENSIONS
from renderhub.ids import uuid7

User = AbstractBaseUser | AnonymousUser

_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Earlier than any export."""


class Codec(models.TextChoices):
    """What the file is encoded with."""

    H264 = "h264", "H.264 (mp4)"
    H265 = "h265", "H.265 (mp4)"
    VP8 = "vp8", "VP8 (webm)"
    VP9 = "vp9", "VP9 (webm)"
    PRORES = "prores", "ProRes (mov)"
    GIF = "gif", "GIF"
    MP3 = "mp3", "MP3"
    AAC = "aac", "AAC"
    WAV = "wav", "WAV"


class Priority(models.IntegerChoices):
    """Which of a user's own waiting exports goes first. It changes nothing between users."""

    HIGH = 1, "High"
    NORMAL = 2, "Normal"
    LOW = 3, "Low"


class ProjectQuerySet(models.QuerySet["Project"]):
    """Projects, as seen by someone."""

    def visible_to(self, user: User) -> Self:
        """Return the projects that belong to ``user``."""
        return self.filter(user_id=user.pk)


class Project(models.Model):
    """A video that a user can export again and again: a composition and the props that it takes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Indexed below, together with the key.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="projects", db_index=False
    )
    title = models.CharField(max_length=200)
    composition_id = models.CharField(max_length=200)
    serve_url = models.CharField(
        max_length=2000, blank=True, help_text="The bundled site; empty means the deployment's own."
    )
    codec = models.CharField(max_length=10, choices=Codec, default=Codec.H264)
    input_props = models.JSONField(
        default=dict, blank=True, help_text="Default props; an export's own are merged over them."
    )
    props_schema = models.JSONField(
        null=True, blank=True, help_text="JSON Schema (2020-12) that an export's props must meet."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        db_table = "projects"
        # Read by: the list of one's own projects, newest first.
        indexes = [models.Index(fields=["user", "-id"], name="projects_user")]

    def __str__(self) -> str:
        return self.title


class ExportQuerySet(models.QuerySet["ExportRequest"]):
    """Exports, as seen by someone or as found by the sweeper."""

    def visible_to(self, user: User) -> Self:
        """Return the exports that belong to ``user``."""
        return self.filter(user_id=user.pk)

    def due(self, now: datetime) -> Self:
        """Return the running exports that the sweeper must look at, the longest due first.

        One that waits or has ended has no ``due_at``. Asked for their status too, SQLite would read all
        that wait.
        """
        return self.filter(due_at__lte=now).order_by("due_at")

    def with_output_before(self, moment: datetime) -> Self:
        """Return the exports whose file was ready before ``moment`` and is still there, the oldest first."""
        return self.filter(output_at__lt=moment).order_by("output_at")

    def waiting(self) -> Self:
        """Return the exports that wait for a slot, in the order in which each user's own go."""
        # None has a slot, but PostgreSQL takes the index's order only where that names each of its columns
        # that isn't compared with a value.
        return self.filter(status=Status.PENDING, slot=None).order_by("slot", "priority", "queued_at", "id")

    def line(self) -> Self:
        """Return the first of each user's waiting exports, in the order in which they are given a slot."""
        # Said so, and not as "is not null": where an index holds rows without a rank too, they are skipped.
        return self.filter(rank__gte=_BEGINNING).order_by("rank", "id")

    def holders(self) -> Self:
        """Return the exports that have a slot: ``RENDER_MAX_CONCURRENCY`` at the most."""
        # Said so, and not as "is not null", because SQLite then uses the unique index.
        return self.filter(slot__gte=1)


class ExportRequest(models.Model):
    """What a customer asked for, and where it stands.

    ``exports.services`` alone writes here: each move is one conditional update of one row that tests
    ``status``, ``attempt`` and ``version`` and raises ``version``.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.SET_NULL, null=True, related_name="exports")
    # Indexed below, together with the key.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exports", db_index=False
    )

    # What was asked for, copied so that a later change of the project changes nothing here.
    title = models.CharField(max_length=200)
    composition_id = models.CharField(max_length=200)
    serve_url = models.CharField(max_length=2000)
    codec = models.CharField(max_length=10, choices=Codec)
    input_props = models.JSONField(default=dict)

    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.NORMAL)

    # Where it stands.
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempt = models.PositiveIntegerField(default=1)
    asked_attempt = models.PositiveIntegerField(default=1, help_text="The attempt that a person asked for.")
    version = models.PositiveIntegerField(default=1)
    progress = models.FloatField(default=0.0, help_text="From 0 to 1.")
    timeline = models.JSONField(default=list, help_text="Every move, oldest first.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="When the sweeper must look at it.")
    rank = models.DateTimeField(
        null=True, blank=True, help_text="Since when it has been the first of its user's waiting exports."
    )
    # One column for each limit: whoever may render holds a number that nobody else can hold.
    slot = models.PositiveIntegerField(
        null=True, blank=True, unique=True, help_text="Its place among RENDER_MAX_CONCURRENCY."
    )
    user_slot = models.CharField(  # null: none, and unique where there is one
        max_length=100,
        null=True,
        blank=True,
        unique=True,
        help_text="Its place among RENDER_MAX_CONCURRENCY_PER_USER, as user:number.",
    )
    notify_pending = models.BooleanField(
        default=False, help_text="It has ended, and its notifications may not be written yet."
    )
    queue_message_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001  # null: not sent
    start_token = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001  # null: not claimed
    render_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001  # null: not known yet
    bucket_name = models.CharField(max_length=100, blank=True)

    # How it ended.
    output_key = models.CharField(max_length=300, blank=True)
    output_at = models.DateTimeField(
        null=True, blank=True, help_text="When the file was ready; empty where there is none any more."
    )
    output_size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=50, blank=True)
    error_message = models.TextField(blank=True)
    errors = models.JSONField(default=list, blank=True, help_text="Remotion's own errors: message and stack.")
    retryable = models.BooleanField(default=False, help_text="Whether trying again can help.")

    created_at = models.DateTimeField()
    queued_at = models.DateTimeField(help_text="When a person last asked for it.")
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, help_text="When it ended, however it did.")
    updated_at = models.DateTimeField()

    objects = ExportQuerySet.as_manager()

    class Meta:
        db_table = "export_requests"
        verbose_name = "export"
        indexes = [
            # Read by: the history, newest first.
            models.Index(fields=["user", "-id"], name="exports_user"),
            # Read by: the sweeper. Rows that have ended have no due_at and take no place in it.
            models.Index(fields=["due_at"], name="exports_due", condition=models.Q(due_at__isnull=False)),
            # Read by: admission, for the head of the line. One row for each user who waits.
            models.Index(fields=["rank", "id"], name="exports_line", condition=models.Q(rank__isnull=False)),
            # Read by: admission, whether a user stands in the line.
            models.Index(fields=["user", "rank"], name="exports_first"),
            # Read by: admission, for the first of one user's waiting exports; the sweeper, for users who
            # have none in the line, in this index alone. Those who wait lie together in it.
            models.Index(
                fields=["status", "slot", "user", "priority", "queued_at", "id", "rank"], name="exports_lane"
            ),
            # Read by: the sweeper, for files that have been kept long enough.
            models.Index(
                fields=["output_at"], name="exports_outputs", condition=models.Q(output_at__isnull=False)
            ),
            # Read by: the sweeper, for notifications that a crash left over.
            models.Index(
                fields=["updated_at"], name="exports_notify", condition=models.Q(notify_pending=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.id})"

    @property
    def extension(self) -> str:
        """The extension of the file that the codec makes."""
        return CODEC_EXTENSIONS[self.codec]


class Pause(models.Model):
    """The switch for an incident: while its one row is there, no export is given a slot."""

    RENDERS = "renders"

    id = models.CharField(primary_key=True, max_length=10, default=RENDERS, editable=False)
    since = models.DateTimeField()
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "pauses"

    def __str__(self) -> str:
        return f"paused by {self.by} since {self.since:%Y-%m-%d %H:%M:%S} UTC"


class Render(models.Model):
    """One render that was started at Remotion, wanted or not, with what it cost."""

    class Outcome(models.TextChoices):
        """How a render ended."""

        RUNNING = "running", "Running"
        SUCCESS = "success", "Success"
        ERROR = "error", "Error"
        TIMEOUT = "timeout", "Timed out"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    export = models.ForeignKey(ExportRequest, on_delete=models.CASCADE, related_name="renders")
    attempt = models.PositiveIntegerField()
    render_id = models.CharField(max_length=100, unique=True)
    bucket_name = models.CharField(max_length=100)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal(0))
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.RUNNING)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "renders"

    def __str__(self) -> str:
        return self.render_id


def timeline_entry(
    *, event: str, status: str, attempt: int, now: datetime, detail: str = ""
) -> dict[str, Any]:
    """Return one line of an export's timeline.

    Args:
        event: what moved it, one of :class:`exports.states.Event`.
        status: where it stands since.
        attempt: the attempt that the event belongs to.
        now: the moment of the move.
        detail: one sentence for support staff, empty where there is nothing to add.
    """
    entry = {
        "at": now.isoformat(timespec="milliseconds"),
        "type": event,
        "status": status,
        "attempt": attempt,
    }
    return {**entry, "detail": detail} if detail else entry
