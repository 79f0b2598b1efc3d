import time

import boto3
import pytest

from exports.dead_letters import DeadLettersError, SqsDeadLetterQueue
from localcloud.ministack import MiniStack
from localcloud.stack import Stack
from localcloud.users import create_web_user
from renderhub import aws

pytestmark = pytest.mark.slow

UNREADABLE = '{"type": "RENDER_DREAM"}'


@pytest.fixture
def letters(account: MiniStack, stack: Stack, monkeypatch):
    """The dead-letter queue of the stack, empty, with no more rights than the web process has."""
    key = create_web_user(account, stack)
    sqs = boto3.client(
        "sqs",
        endpoint_url=account.endpoint,
        region_name=key["AWS_REGION"],
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
    )
    monkeypatch.setattr(aws, "sqs", lambda: sqs)
    account.client("sqs").purge_queue(QueueUrl=stack.dead_letter_queue_url)
    return SqsDeadLetterQueue(stack.dead_letter_queue_url, source_url=stack.queue_url)


def test_what_is_received_is_hidden_until_it_is_released_and_gone_once_it_is_deleted(
    account: MiniStack, stack: Stack, letters: SqsDeadLetterQueue
):
    before_s = time.time()
    for number in range(12):
        account.client("sqs").send_message(
            QueueUrl=stack.dead_letter_queue_url,
            MessageBody=UNREADABLE,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": f"reason {number}"}},
        )
    account.client("sqs").send_message(QueueUrl=stack.dead_letter_queue_url, MessageBody="nonsense")

    found = list(letters.receive(limit=100))

    assert {letter.reason for letter in found} >= {f"reason {number}" for number in range(12)}
    assert {(letter.message, letter.receive_count) for letter in found} == {(None, 1)}
    assert all(before_s - 2 < letter.sent_at.timestamp() < time.time() + 2 for letter in found)
    (other,) = (letter for letter in found if letter.body == "nonsense")
    assert other.reason.startswith("the text is no JSON")
    assert list(letters.receive(limit=100)) == []

    letters.release(found)
    some = list(letters.receive(limit=11))
    assert [letter.receive_count for letter in some] == [2] * 11
    letters.delete(some)
    letters.release(some)
    assert len(list(letters.receive(limit=100))) == 2


def test_what_is_redriven_goes_to_the_worker_who_sets_it_aside_again_with_a_reason(
    account: MiniStack, stack: Stack, letters: SqsDeadLetterQueue
):
    account.client("sqs").send_message(QueueUrl=stack.dead_letter_queue_url, MessageBody=UNREADABLE)
    (first,) = letters.receive(limit=1)

    letters.redrive([first])

    (again,) = letters.receive(limit=1, wait_s=20)
    assert (again.body, again.reason) == (UNREADABLE, "type must be RENDER_VIDEO")
    assert again.id != first.id


def test_a_queue_that_is_not_there_is_told_in_one_line(letters: SqsDeadLetterQueue):
    missing = SqsDeadLetterQueue("http://localhost/000000000000/missing", source_url="")
    with pytest.raises(DeadLettersError, match="ReceiveMessage"):
        list(missing.receive(limit=1))
