import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from notifications.models import Channel, Delivery
from notifications.services import LEASE_S, MAX_TRIES, notify, send_again, send_due
from notifications.transports import TransportError
from tests.conftest import NOW

LIST = "/admin/notifications/delivery/"


class FakeTransport:
    """Keeps what it is given to send, or does what a test has it do."""

    def __init__(self, act=lambda delivery: None):
        self.tried = []
        self.act = act

    def send(self, delivery):
        self.tried.append(delivery.pk)
        self.act(delivery)


def fails(*, permanent):
    def act(delivery):
        raise TransportError("mailbox unavailable", permanent=permanent)

    return FakeTransport(act)


def send(transport, now):
    return send_due(now=now, transports={Channel.EMAIL: transport})


def tell(user, key="k", **context):
    return notify(user_id=user.pk, kind="export_completed", key=key, context=context, now=NOW)


def at_once(act, threads=8):
    """Run ``act`` in several threads that begin together, each on a connection of its own."""
    barrier = threading.Barrier(threads)

    def run(_):
        try:
            barrier.wait(10)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_a_key_is_told_once_however_often_it_is_written(reader):
    assert [tell(reader) for _ in range(3)] == [1, 0, 0]
    assert tell(reader, key="other") == 1
    assert Delivery.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_key_is_told_once_from_however_many_threads(reader):
    assert sum(at_once(lambda: tell(reader))) == 1
    assert Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_sent_once_by_however_many_sweepers(delivery):
    transport = FakeTransport()
    assert sum(at_once(lambda: send(transport, NOW))) == 1
    assert transport.tried == [delivery.pk]


def test_a_user_without_an_address_is_told_nothing(reader):
    reader.email = ""
    reader.save()
    assert tell(reader) == 0
    assert not Delivery.objects.exists()


def test_what_is_due_is_sent_once(delivery):
    transport = FakeTransport()
    assert send(transport, NOW) == 1
    assert send(transport, NOW) == 0
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries, delivery.due_at, delivery.sent_at) == ("sent", 1, None, NOW)
    assert transport.tried == [delivery.pk]


def test_what_is_not_due_yet_waits(delivery, later):
    assert send(FakeTransport(), later(-1)) == 0


def test_a_claimed_delivery_is_not_taken_by_a_second_sweeper(delivery, later):
    taken = []
    first = FakeTransport(lambda _: taken.append(send(FakeTransport(), later(LEASE_S - 1))))
    assert send(first, NOW) == 1
    assert taken == [0]


def test_what_a_killed_sweeper_was_sending_is_sent_again_after_its_lease(delivery, later):
    def die(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(FakeTransport(die), NOW)
    transport = FakeTransport()
    assert send(transport, later(LEASE_S - 1)) == 0
    assert send(transport, later(LEASE_S)) == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries) == ("sent", 2)


def test_the_late_result_of_an_expired_lease_changes_nothing(delivery, later):
    def outlive_its_lease(_):
        send(FakeTransport(), later(LEASE_S))
        raise TransportError("late", permanent=True)

    send(FakeTransport(outlive_its_lease), NOW)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries, delivery.error) == ("sent", 2, "")


def test_a_transient_error_backs_off_longer_each_time_and_ends_after_the_last_try(delivery):
    transport, waits, now = fails(permanent=False), [], NOW
    while True:
        send(transport, now)
        delivery.refresh_from_db()
        if delivery.due_at is None:
            break
        waits.append((delivery.due_at - now).total_seconds())
        now = delivery.due_at
    assert (delivery.status, delivery.tries, delivery.error) == ("failed", MAX_TRIES, "mailbox unavailable")
    assert len(waits) == MAX_TRIES - 1
    assert 22 <= waits[0] <= 38
    assert all(shorter < longer for shorter, longer in pairwise(waits[:5]))
    assert max(waits) <= 1.25 * 6 * 3600
    assert sum(waits) < 2 * 24 * 3600


def test_a_permanent_error_ends_a_delivery_at_once(delivery):
    send(fails(permanent=True), NOW)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries, delivery.due_at) == ("failed", 1, None)


def test_a_fault_in_one_delivery_does_not_block_the_others(delivery, reader):
    tell(reader, key="second")

    def break_on_the_first(each):
        if each.pk == delivery.pk:
            raise ZeroDivisionError("a template's fault")

    transport = FakeTransport(break_on_the_first)
    assert send(transport, NOW) == 2
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error) == ("pending", "ZeroDivisionError: a template's fault")
    assert Delivery.objects.get(key="second").status == "sent"


def test_a_kind_without_templates_does_not_block_the_others(delivery, reader, mailoutbox):
    notify(user_id=reader.pk, kind="nonsense", key="second", context={}, now=NOW)
    assert send_due(now=NOW) == 2
    assert len(mailoutbox) == 1
    assert "TemplateDoesNotExist" in Delivery.objects.get(key="second").error


def test_a_delivery_that_was_given_up_is_sent_again_when_a_person_asks(delivery, later):
    send(fails(permanent=True), NOW)
    assert send_again(delivery_id=delivery.pk, now=later(60))
    assert not send_again(delivery_id=delivery.pk, now=later(60))
    assert send(FakeTransport(), later(60)) == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries, delivery.error) == ("sent", 2, "")


def test_a_delivery_with_no_try_left_has_one_more(delivery, later):
    Delivery.objects.update(status="failed", tries=MAX_TRIES, due_at=None)
    send_again(delivery_id=delivery.pk, now=NOW)
    send(fails(permanent=False), NOW)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.tries) == ("failed", MAX_TRIES + 1)


@pytest.mark.parametrize("status", ["pending", "sent"])
def test_a_delivery_that_was_not_given_up_is_left_as_it_is(delivery, status):
    Delivery.objects.update(status=status)
    assert not send_again(delivery_id=delivery.pk, now=NOW)


def test_support_staff_see_deliveries_and_send_failed_ones_again(admin_client, delivery, reader):
    send(fails(permanent=True), NOW)
    tell(reader, key="second")
    page = admin_client.get(LIST).content.decode()
    assert "mailbox unavailable" in page
    assert admin_client.get(LIST + "add/").status_code == 403
    chosen = [str(each.pk) for each in Delivery.objects.all()]
    answer = admin_client.post(LIST, {"action": "send_again", "_selected_action": chosen}, follow=True)
    told = [str(message) for message in answer.context["messages"]]
    assert told == ["Due now: 1.", "Left as they are, since they have been sent or still will be: 1."]
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}
    assert LogEntry.objects.get().object_id == str(delivery.pk)
    assert admin_client.get(f"{LIST}{delivery.pk}/change/").status_code == 200
