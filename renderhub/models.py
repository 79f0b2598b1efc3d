"""Refresh tokens that are of no use any more."""

from django.db import models


class RevokedToken(models.Model):
    """A refresh token that was used or signed out, kept until it would have expired.

    It has no row while it is good: signing in writes nothing, and looking one up is one read by key.
    """

    jti = models.CharField(primary_key=True, max_length=64, editable=False, help_text="The token's own id.")
    # Indexed for the sweeper, which deletes those that have expired.
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "revoked_tokens"

    def __str__(self) -> str:
        return self.jti
