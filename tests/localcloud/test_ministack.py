import sys
from pathlib import Path

import pytest

from localcloud import ports
from localcloud.ministack import MiniStack

pytestmark = pytest.mark.slow


def ministack(state: Path) -> MiniStack:
    return MiniStack(port=ports.choose_port(0), state=state, log=state / "log", environment={})


def test_messages_and_objects_outlive_a_run_at_another_port(tmp_path: Path):
    with ministack(tmp_path) as account:
        url = account.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
        account.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
        account.client("s3").create_bucket(Bucket="kept")
        account.client("s3").put_object(Bucket="kept", Key="file", Body=b"content")

    with ministack(tmp_path) as account:
        url = account.client("sqs").get_queue_url(QueueName="kept")["QueueUrl"]
        messages = account.client("sqs").receive_message(QueueUrl=url)["Messages"]
        assert [message["Body"] for message in messages] == ["hello"]
        assert account.client("s3").get_object(Bucket="kept", Key="file")["Body"].read() == b"content"


@pytest.mark.skipif(sys.platform != "linux", reason="sockets are listed in /proc")
def test_it_listens_to_this_machine_alone(account: MiniStack):
    port = int(account.endpoint.rpartition(":")[2])
    listening = "0A"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {
        fields[1].split(":")[0]
        for fields in lines
        if fields[3] == listening and int(fields[1].split(":")[1], 16) == port
    }

    # 127.0.0.1, in the order of a little-endian machine.
    assert addresses == {"0100007F"}
    assert port not in {
        int(line.split()[1].rpartition(":")[2], 16)
        for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]
    }
