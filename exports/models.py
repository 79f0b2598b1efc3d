"""The records: projects, exports, and the renders that were started for them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Self
from uuid import uuid5

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from exports.states import Status
from lambda_worker.contract import extension_of, output_key
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
    PNG = "png", "PNG (still)"
    JPEG = "jpeg", "JPEG (still)"
    WEBP = "webp", "WebP (still)"
    PDF = "pdf", "PDF (still)"


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


class BatchQuerySet(models.QuerySet["Batch"]):
    """Batches, as seen by someone or as found by the sweeper."""

    def visible_to(self, user: User) -> Self:
        """Return the batches that belong to ``user`` and are committed."""
        return self.filter(user_id=user.pk, stage__in=[Batch.Stage.COMMITTED, Batch.Stage.RELEASED])

    def left_at(self, stage: "Batch.Stage", *, before: datetime) -> Self:
        """Return the batches at a stage that were asked for up to a moment, the oldest first."""
        return self.filter(stage=stage, created_at__lte=before).order_by("created_at")


class Batch(models.Model):
    """Many exports of one project that were asked for at once: all of them are recorded, or none.

    Its rows are inserted as ``staged``. One update of the batch commits it, and only then do its rows begin
    to wait. ``exports.services`` alone writes here.
    """

    class Stage(models.TextChoices):
        """How far it is recorded."""

        STAGED = "staged", "Rows are being inserted"
        COMMITTED = "committed", "All rows are there; they begin to wait"
        RELEASED = "released", "All rows wait, or have gone on"
        DISCARDED = "discarded", "Given up before it was committed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="batches")
    project = models.ForeignKey(Project, on_delete=models.SET_NULL, null=True, related_name="batches")
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.STAGED)
    total = models.PositiveIntegerField(help_text="How many rows were sent.")
    accepted = models.PositiveIntegerField(help_text="How many of them are exports.")
    refusals = models.JSONField(default=list, blank=True, help_text="What is wrong with the others.")
    plan = models.CharField(max_length=64, help_text="What its rows were made of besides the request.")
    idempotency_key = models.CharField(  # null: none, and unique where there is one
        max_length=150, null=True, blank=True, unique=True, help_text="Its creation's key, as user:hash."
    )
    request_hash = models.CharField(max_length=64, blank=True)
    key_expires_at = models.DateTimeField(null=True, blank=True, help_text="When the key is forgotten.")
    created_at = models.DateTimeField()
    committed_at = models.DateTimeField(null=True, blank=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        db_table = "batches"
        verbose_name_plural = "batches"
        indexes = [
            # Read by: the sweeper, for batches to release or to discard.
            models.Index(fields=["stage", "created_at"], name="batches_stage"),
            # Read by: the sweeper, for keys to forget.
            models.Index(fields=["key_expires_at"], name="batches_key_expiry"),
        ]

    def __str__(self) -> str:
        return f"batch {self.id}"


class ExportQuerySet(models.QuerySet["ExportRequest"]):
    """Exports, as seen by someone or as found by the sweeper."""

    def visible_to(self, user: User) -> Self:
        """Return the exports of ``user``: none that are deleted, or of a batch that isn't committed."""
        # Said so because SQLite uses no index for "not deleted".
        return self.filter(user_id=user.pk, deleted__in=(False,)).exclude(status=Status.STAGED)

    def staged(self, batch: Batch) -> Self:
        """Return the rows of a batch that nobody may see yet."""
        return self.filter(batch_id=batch.pk, status=Status.STAGED)

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

    Its id is made of ``created_at``, so that the order of ids is that of creation and the history finds its
    place in time by id.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Both are looked up by the indexes below.
    project = models.ForeignKey(
        Project, on_delete=models.SET_NULL, null=True, related_name="exports", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exports", db_index=False
    )

    batch = models.ForeignKey(
        Batch, on_delete=models.SET_NULL, null=True, blank=True, related_name="exports", db_index=False
    )
    row = models.PositiveIntegerField(null=True, blank=True, help_text="Its number in the batch, from 1.")

    # What was asked for, copied so that a later change of the project changes nothing here.
    title = models.CharField(max_length=200)
    composition_id = models.CharField(max_length=200)
    serve_url = models.CharField(max_length=2000)
    codec = models.CharField(max_length=10, choices=Codec)
    frame = models.IntegerField(
        null=True, blank=True, help_text="Of a still: which frame; a negative one counts from the end."
    )
    render_options = models.JSONField(
        default=dict, blank=True, help_text="How to render, each option as Remotion names it."
    )
    input_props = models.JSONField(default=dict)
    metadata = models.JSONField(
        default=dict, blank=True, help_text="Whatever its owner wants to find it by: text by key."
    )

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

    # What it costs, over all its attempts. No move sets these, and no return to pending empties them.
    estimated_cost_usd = models.DecimalField(
        max_digits=16,
        decimal_places=8,
        default=Decimal(0),
        help_text="What it was expected to cost when it was asked for.",
    )
    render_cost_usd = models.DecimalField(
        max_digits=16,
        decimal_places=6,
        default=Decimal(0),
        help_text="What its renders have cost, by Remotion's own figures.",
    )
    worker_messages = models.PositiveIntegerField(
        default=0, help_text="How many messages of it the worker has reported on."
    )
    worker_mb_ms = models.PositiveBigIntegerField(
        default=0, help_text="The worker's memory in MB times its milliseconds, over those messages."
    )
    # What makes a repeated request find what the first one has made.
    idempotency_key = models.CharField(  # null: none, and unique where there is one
        max_length=150, null=True, blank=True, unique=True, help_text="Its creation's key, as user:hash."
    )
    request_hash = models.CharField(max_length=64, blank=True)
    key_expires_at = models.DateTimeField(null=True, blank=True, help_text="When the key is forgotten.")

    created_at = models.DateTimeField()
    queued_at = models.DateTimeField(help_text="When a person last asked for it.")
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, help_text="When it ended, however it did.")
    updated_at = models.DateTimeField()
    deleted = models.BooleanField(
        default=False, help_text="Its owner has deleted it. What is left counts its costs."
    )

    objects = ExportQuerySet.as_manager()

    class Meta:
        db_table = "export_requests"
        verbose_name = "export"
        indexes = [
            # Read by: the history, newest first: all of it, and by each of its filters. They hold all that
            # it asks for, so that it reads the keys in them alone. The user's and the project's are those of
            # the foreign keys too.
            models.Index(fields=["user", "deleted", "-id"], name="exports_user"),
            models.Index(fields=["project", "user", "deleted", "-id"], name="exports_project"),
            models.Index(fields=["user", "deleted", "status", "-id"], name="exports_status"),
            models.Index(fields=["user", "deleted", "codec", "-id"], name="exports_codec"),
            # Read by: the costs of one user's exports, by when they were asked for.
            models.Index(fields=["user", "created_at"], name="exports_costs"),
            # Read by: the estimate of a new export, from what the project's last ones have cost.
            models.Index(fields=["project", "codec", "completed_at"], name="exports_estimate"),
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
            # Read by: a batch's page and its release.
            models.Index(fields=["batch", "status", "row"], name="exports_batch"),
            # Read by: the sweeper, for keys to forget.
            models.Index(fields=["key_expires_at"], name="exports_key_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.id})"

    @property
    def extension(self) -> str:
        """The extension of the file that its codecs make."""
        return extension_of(self.codec, self.render_options.get("audioCodec"))

    def metadata_pairs(self) -> list["MetadataPair"]:
        """Return what this export is found by: the same pairs, by the same keys, whenever it is called."""
        about = {"user_id": self.user_id, "export_id": self.pk}
        return [
            MetadataPair(id=uuid5(self.pk, key), key=key, value=value, **about)
            for key, value in self.metadata.items()
        ]

    def output_key_of(self, attempt: int) -> str:
        """Return where an attempt's file lies, or will lie, in the deployment's bucket."""
        return output_key(
            export_id=str(self.pk),
            attempt=attempt,
            codec=self.codec,
            audio_codec=self.render_options.get("audioCodec"),
        )


class MetadataPair(models.Model):
    """One pair of an export's metadata, to find the export by.

    A table of its own, since no database of ours has an index into a JSON field of any keys. It is written
    before the export and may outlive it, so whoever finds a key here looks whether there is such an export.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=40)
    value = models.CharField(max_length=500)
    export_id = models.UUIDField()

    class Meta:
        db_table = "export_metadata"
        # Read by: the history, for the exports of a user that carry a pair, newest first.
        indexes = [models.Index(fields=["user", "key", "value", "-export_id"], name="metadata_pair")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


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
