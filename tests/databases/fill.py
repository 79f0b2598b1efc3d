"""Fills an empty, migrated database with one of everything: ``python -m tests.databases.fill``."""

from datetime import UTC, datetime, timedelta

import django


def fill() -> None:
    """Write users, groups, projects, exports in each status with odd props, and what belongs to them."""
    from django.contrib.auth.models import Group, Permission, User

    from exports.models import Batch, ExportRequest, MetadataPair, Pause, Project, Render, timeline_entry
    from exports.states import Status
    from notifications.models import Delivery
    from renderhub.models import RevokedToken
    from tests.databases.test_json import KEPT, SCHEMA

    now = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    # In an order in which numbers given anew are others.
    for name in ("zoe", "ada", "grace"):
        User.objects.create_user(name, email=f"{name}@example.com", password="pass-word-1")
    User.objects.filter(username="zoe").delete()
    ada, grace = (User.objects.get(username=name) for name in ("ada", "grace"))
    night = Group.objects.create(name="night shift")
    night.permissions.set(Permission.objects.filter(codename__in=["add_pause", "view_exportrequest"]))
    grace.groups.add(night)
    grace.user_permissions.set(Permission.objects.filter(codename="delete_pause"))
    for user in (ada, grace):
        project = Project.objects.create(
            user=user, title="Odd", composition_id="M", input_props=KEPT, props_schema=SCHEMA
        )
        batch = Batch.objects.create(
            user=user,
            project=project,
            total=3,
            accepted=2,
            refusals=[{"row": 2, "errors": [{"pointer": "/a.b", "detail": "$no"}]}],
            stage=Batch.Stage.RELEASED,
            created_at=now,
            committed_at=now,
        )
        for number, status in enumerate(Status):
            export = ExportRequest.objects.create(
                project=project,
                user=user,
                batch=batch if number % 2 else None,
                row=number if number % 2 else None,
                title=f"{status} \U0001f3ac",
                composition_id="M",
                serve_url="https://x.example/index.html",
                codec="h264",
                input_props=KEPT,
                metadata={"order": str(number), "a.b": "$c"},
                status=status,
                progress=number / 7,
                timeline=[
                    timeline_entry(event="created", status=Status.PENDING, attempt=1, now=now, detail="{$}")
                ],
                rank=now if status == Status.PENDING else None,
                render_cost_usd="0.012345",
                output_at=now if status == Status.COMPLETED else None,
                output_size_bytes=2**40 if status == Status.COMPLETED else None,
                errors=[{"message": "m.$", "stack": "s"}] if status == Status.FAILED else [],
                notify_pending=status == Status.CANCELLED,
                created_at=now,
                queued_at=now + timedelta(milliseconds=number),
                updated_at=now,
            )
            MetadataPair.objects.create(user=user, key="order", value=str(number), export_id=export.pk)
            Render.objects.create(
                export=export,
                attempt=1,
                render_id=f"{user.username}-{number}",
                bucket_name="b",
                cost_usd="0.000123",
                created_at=now,
            )
            Delivery.objects.create(
                user=user,
                kind="export_failed",
                key=f"export:{export.pk}:1",
                channel="email",
                context=KEPT,
                due_at=now if number % 2 else None,
                created_at=now,
            )
    Pause.objects.create(since=now, by="grace", reason="a move")
    RevokedToken.objects.create(jti="0123456789abcdef", expires_at=now + timedelta(days=14))


if __name__ == "__main__":
    django.setup()
    fill()
