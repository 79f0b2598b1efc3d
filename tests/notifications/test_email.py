"""E-mail over a real SMTP conversation."""

import email
import socket
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.controller import Controller

from localcloud import ports
from notifications.models import Delivery
from notifications.services import notify, send_due
from notifications.transports import TransportError
from notifications.transports.email import EmailTransport
from tests.conftest import NOW


def subject_of(message):
    # Folding a long one leaves a space before it.
    return message["Subject"].strip()


class Mailbox:
    """Answers as it is told, and keeps what it has taken."""

    def __init__(self):
        self.recipient_answer = self.data_answer = "250 OK"
        self.taken: list[EmailMessage] = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # aiosmtpd's name
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # aiosmtpd's name
        if self.data_answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=default)
            self.taken.append(message)
        return self.data_answer


@pytest.fixture
def mailbox(settings):
    """A mail server that Django sends to."""
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=ports.choose_port(0))
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = server.port
    settings.EMAIL_TIMEOUT = 5
    settings.API_BASE_URL = "https://video.example.com"
    settings.DEFAULT_FROM_EMAIL = "Videos <videos@example.com>"
    yield mailbox
    server.stop()


def make(reader, kind="export_completed", **context):
    notify(
        user_id=reader.pk,
        kind=kind,
        key=f"{kind}:{len(context)}",
        context={"export_id": "0199", "title": "Report", "error_message": "", **context},
        now=NOW,
    )
    return Delivery.objects.get()


def refusal(delivery):
    with pytest.raises(TransportError) as caught:
        EmailTransport().send(delivery)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("export_completed", "Your video “Report” is ready"),
        ("export_failed", "Your video “Report” could not be made"),
        ("export_cancelled", "Your video “Report” was cancelled"),
    ],
)
def test_each_end_is_told_in_words_with_a_link_to_the_export(mailbox, reader, kind, subject):
    EmailTransport().send(make(reader, kind))
    (message,) = mailbox.taken
    assert subject_of(message) == subject
    assert message["From"] == "Videos <videos@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert text.startswith("Hello Ada,")
    assert "https://video.example.com/exports/0199" in text


def test_a_message_keeps_its_id_when_it_is_sent_again(mailbox, delivery):
    EmailTransport().send(delivery)
    EmailTransport().send(delivery)
    first, second = (message["Message-ID"] for message in mailbox.taken)
    assert first == second == f"<{delivery.pk}@example.com>"


def test_text_is_text_and_not_html(mailbox, reader):
    title, error = 'Q&A <b>"it\'s"</b>', "Can't read 'x' of <undefined> & co"
    EmailTransport().send(make(reader, "export_failed", title=title, error_message=error))
    (message,) = mailbox.taken
    assert subject_of(message) == f"Your video “{title}” could not be made"
    assert f"“{title}”" in message.get_content()
    assert error in message.get_content()


def test_a_title_with_newlines_adds_no_header(mailbox, reader):
    title = "Report\r\nBcc: eve@example.com\n\nbody\u2028X-Other: 1"
    EmailTransport().send(make(reader, title=title))
    (message,) = mailbox.taken
    assert message["Bcc"] is None
    assert message["X-Other"] is None
    assert subject_of(message) == "Your video “Report Bcc: eve@example.com body X-Other: 1” is ready"


@pytest.mark.parametrize("step", ["recipient_answer", "data_answer"])
@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        ("450 mailbox busy", False),
        ("452 over quota", False),
        ("550 no such user", True),
        ("554 refused", True),
    ],
)
def test_a_refusal_is_permanent_where_smtp_says_so(mailbox, delivery, step, answer, permanent):
    setattr(mailbox, step, answer)
    error = refusal(delivery)
    assert (error.permanent, str(error)) == (permanent, answer)
    assert mailbox.taken == []


def test_the_address_is_in_no_error_that_is_kept(mailbox, delivery):
    mailbox.recipient_answer = "550 no such user"
    send_due(now=NOW)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error) == ("failed", "550 no such user")


def test_a_server_that_can_not_be_reached_is_tried_again(mailbox, delivery, settings):
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody_listens.getsockname()[1]
        assert refusal(delivery).permanent is False


def test_a_server_that_offers_no_encryption_is_not_given_the_mail(mailbox, delivery, settings):
    settings.EMAIL_USE_TLS = True
    assert refusal(delivery).permanent is False
    assert mailbox.taken == []


def test_a_user_who_has_lost_the_address_ends_the_delivery(mailbox, delivery, reader):
    reader.email = ""
    reader.save()
    assert refusal(Delivery.objects.get()).permanent is True


def test_the_sweeper_sends_it_and_a_second_sweep_does_not(mailbox, delivery):
    assert [send_due(now=NOW), send_due(now=NOW)] == [1, 0]
    assert len(mailbox.taken) == 1
    delivery.refresh_from_db()
    assert delivery.status == "sent"
