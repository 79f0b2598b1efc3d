"""E-mail, by whatever backend ``EMAIL_URL`` names."""

import smtplib
from http import HTTPStatus

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string

from notifications.models import Delivery
from notifications.transports import TransportError

# RFC 5321, section 4.2.1: what begins with 5 will not be otherwise at another try.
_PERMANENT = HTTPStatus.INTERNAL_SERVER_ERROR.value


class EmailTransport:
    """Sends to the address of the user's account.

    A message keeps its id when it is sent again, so that mail programs show it once.
    """

    def send(self, delivery: Delivery) -> None:
        """Send one e-mail.

        Raises:
            TransportError: it was not sent.
        """
        if not delivery.user.email:
            raise TransportError("The user has no e-mail address.", permanent=True)
        context = {**delivery.context, "user": delivery.user, "base_url": settings.API_BASE_URL}
        subject = render_to_string(f"notifications/{delivery.kind}/subject.txt", context)
        domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">")
        message = EmailMessage(
            subject=" ".join(subject.split()),
            body=render_to_string(f"notifications/{delivery.kind}/email.txt", context),
            to=[delivery.user.email],
            headers={"Message-ID": f"<{delivery.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
        )
        try:
            # Opened here, since what fails while it is opened would otherwise stay half open.
            with get_connection() as connection:
                connection.send_messages([message])
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
            raise TransportError(_words(error), permanent=_is_permanent(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise TransportError(str(error), permanent=False) from error


def _is_permanent(error: smtplib.SMTPException) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _ in error.recipients.values())
    # A wrong password is the operator's to mend, and then the message can go.
    return (
        isinstance(error, smtplib.SMTPResponseException)
        and not isinstance(error, smtplib.SMTPAuthenticationError)
        and error.smtp_code >= _PERMANENT
    )


def _words(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # Without the addresses, which belong in no log.
        return "; ".join(f"{code} {_text(words)}" for code, words in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error)


def _text(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words
