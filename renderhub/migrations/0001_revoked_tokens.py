from typing import Any

from django.db import migrations, models
from django.utils import timezone

_OUTSTANDING = "token_blacklist_outstandingtoken"
_BLACKLISTED = "token_blacklist_blacklistedtoken"


def keep_what_was_revoked(apps: Any, schema_editor: Any) -> None:
    """Take over the refresh tokens that simplejwt's own list held, so that none is good again."""
    connection = schema_editor.connection
    if _BLACKLISTED not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT o.jti, o.expires_at FROM {_BLACKLISTED} b"  # noqa: S608  # our own two names
            f" JOIN {_OUTSTANDING} o ON o.id = b.token_id WHERE o.expires_at > %s",
            [timezone.now()],
        )
        rows = cursor.fetchall()
    revoked = apps.get_model("renderhub", "RevokedToken")
    field = revoked._meta.get_field("expires_at")
    for jti, expires_at in rows:
        moment = field.to_python(expires_at)
        if timezone.is_naive(moment):
            moment = timezone.make_aware(moment, connection.timezone)
        revoked(jti=jti, expires_at=moment).save(force_insert=True)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="RevokedToken",
            fields=[
                (
                    "jti",
                    models.CharField(
                        editable=False,
                        help_text="The token's own id.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
            options={"db_table": "revoked_tokens"},
        ),
        migrations.RunPython(keep_what_was_revoked, migrations.RunPython.noop),
    ]
