import pytest
from botocore.stub import ANY, Stubber

from exports.queue import SqsQueue
from exports.storage import find_output
from lambda_worker.contract import PollMessage
from renderhub import aws

URL = "https://sqs.us-east-1.amazonaws.com/1/remotion-render-queue"


def poll(number, filling=""):
    return PollMessage(
        export_id=str(number),
        project_id="p",
        user_id="u",
        attempt=1,
        version=1,
        codec="h264",
        render_id="r",
        bucket_name="b",
        webhook_url="http://localhost/" + filling,
    )


@pytest.fixture
def sqs():
    with Stubber(aws.sqs()) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answers(sqs, *indices, failed=()):
    sent = [{"Id": str(i), "MessageId": f"m{i}", "MD5OfMessageBody": "x"} for i in indices]
    refused = [{"Id": str(i), "SenderFault": False, "Code": "Busy"} for i in failed]
    sqs.add_response(
        "send_message_batch", {"Successful": sent, "Failed": refused}, {"QueueUrl": URL, "Entries": ANY}
    )


def test_messages_go_in_batches_of_ten(sqs):
    answers(sqs, *range(10))
    answers(sqs, 0, 1)
    ids = SqsQueue(URL).send([poll(i) for i in range(12)])
    assert ids == [*(f"m{i}" for i in range(10)), "m0", "m1"]


def test_large_messages_go_in_batches_that_sqs_takes(sqs):
    answers(sqs, 0)
    answers(sqs, 0)
    assert SqsQueue(URL).send([poll(i, "x" * 190_000) for i in range(2)]) == ["m0", "m0"]


def test_what_sqs_refuses_has_no_id(sqs):
    answers(sqs, 1, failed=(0,))
    assert SqsQueue(URL).send([poll(0), poll(1)]) == [None, "m1"]


def test_a_queue_that_fails_or_is_not_there_takes_nothing(sqs):
    sqs.add_client_error("send_message_batch", "AccessDenied")
    assert SqsQueue(URL).send([poll(0)]) == [None]
    assert SqsQueue("").send([poll(0), poll(1)]) == [None, None]
    assert SqsQueue(URL).send([]) == []


def test_a_file_is_found_by_its_key_or_not():
    with Stubber(aws.s3()) as s3:
        s3.add_response("head_object", {"ContentLength": 12})
        s3.add_client_error("head_object", "404", http_status_code=404)
        s3.add_client_error("head_object", "403", http_status_code=403)
        assert find_output("renders/a.mp4") == 12
        assert find_output("renders/b.mp4") is None
        with pytest.raises(aws.s3().exceptions.ClientError):
            find_output("renders/c.mp4")
