import io
import os
import signal
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from django.utils import timezone

from exports import storage
from localcloud import ports
from localcloud.errors import LocalCloudError
from localcloud.ministack import MiniStack
from localcloud.site import upload_site
from localcloud.stack import Stack, deploy
from localcloud.users import create_renderer_user, create_web_user
from renderhub import aws

from .conftest import WEB_ORIGIN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def web_user(account: MiniStack, stack: Stack) -> Mapping[str, str]:
    return create_web_user(account, stack)


def client(service: str, account: MiniStack, key: Mapping[str, str]) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=account.endpoint,
        region_name=key["AWS_REGION"],
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4") if service == "s3" else None,
    )


def get(url: str, **headers: str) -> tuple[int, bytes, Message]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:  # noqa: S310
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_the_queue_is_as_designed(account: MiniStack, stack: Stack):
    sqs = account.client("sqs")

    def attributes(url: str) -> Any:
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    queue, dead_letters = attributes(stack.queue_url), attributes(stack.dead_letter_queue_url)

    assert queue["QueueArn"].endswith(":remotion-render-queue")
    assert queue["VisibilityTimeout"] == "900"
    assert queue["MessageRetentionPeriod"] == "86400"
    assert queue["ReceiveMessageWaitTimeSeconds"] == "20"
    assert f'"{dead_letters["QueueArn"]}"' in queue["RedrivePolicy"]
    assert '"maxReceiveCount":3' in queue["RedrivePolicy"].replace(" ", "").replace('"3"', "3")
    assert dead_letters["MessageRetentionPeriod"] == "1209600"


def test_the_worker_takes_one_message_at_a_time(account: MiniStack, stack: Stack):
    functions = account.client("lambda")

    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    function = functions.get_function_configuration(FunctionName="remotion-render-worker")

    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 4}
    assert (function["MemorySize"], function["Timeout"]) == (512, 150)
    assert function["Architectures"] == ["arm64"]
    assert function["Environment"]["Variables"]["REMOTION_SQS_DLQ_URL"] == stack.dead_letter_queue_url


def test_sites_are_public_and_renders_are_not(account: MiniStack, stack: Stack):
    s3 = account.client("s3")
    for key in ("sites/main/index.html", "renders/video.mp4"):
        s3.put_object(Bucket=stack.bucket, Key=key, Body=b"content")

    assert get(f"{account.endpoint}/{stack.bucket}/sites/main/index.html")[:2] == (200, b"content")
    assert get(f"{account.endpoint}/{stack.bucket}/renders/video.mp4")[0] == 403
    assert get(f"{account.endpoint}/{stack.bucket}?list-type=2")[0] == 403


def test_a_page_of_ours_may_read_a_presigned_video_in_parts(
    account: MiniStack, stack: Stack, web_user: Mapping[str, str]
):
    account.client("s3").put_object(Bucket=stack.bucket, Key="renders/video.mp4", Body=b"content")
    url = client("s3", account, web_user).generate_presigned_url(
        "get_object", Params={"Bucket": stack.bucket, "Key": "renders/video.mp4"}
    )

    status, body, headers = get(url, Origin=WEB_ORIGIN, Range="bytes=0-3")

    assert (status, body) == (206, b"cont")
    assert headers["Access-Control-Allow-Origin"] == WEB_ORIGIN
    assert "Access-Control-Allow-Origin" not in get(url, Origin="http://elsewhere.example")[2]
    assert get(f"{url}0")[0] == 403


@pytest.fixture
def files(
    account: MiniStack, stack: Stack, web_user: Mapping[str, str], monkeypatch: Any, settings: Any
) -> Any:
    """The web process's own view of the bucket."""
    for name, value in {**web_user, "AWS_ENDPOINT_URL_S3": account.endpoint}.items():
        monkeypatch.setenv(name, value)
    settings.AWS_REGION = web_user["AWS_REGION"]
    aws.s3.cache_clear()
    yield account.client("s3")
    aws.s3.cache_clear()


def test_the_addresses_of_a_file_open_it_save_it_and_let_a_player_seek(files: Any, stack: Stack):
    content = bytes(range(256)) * 4
    files.put_object(Bucket=stack.bucket, Key="renders/film.mp4", Body=content, ContentType="video/mp4")
    urls = storage.output_urls(
        bucket_name=stack.bucket,
        key="renders/film.mp4",
        file_name=storage.file_name_of("Grüße", "mp4"),
        now=timezone.now(),
    )

    status, body, headers = get(urls.url)
    assert (status, body, headers["Content-Type"]) == (200, content, "video/mp4")
    assert headers["Content-Disposition"].startswith("inline; ")
    assert headers["Accept-Ranges"] == "bytes"
    saved = get(urls.download_url)[2]["Content-Disposition"]
    assert saved == "attachment; filename=\"Grue.mp4\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.mp4"

    for span, part in [("0-3", content[:4]), ("500-", content[500:]), ("-7", content[-7:])]:
        status, body, headers = get(urls.url, Range=f"bytes={span}")
        assert (status, body) == (206, part)
        assert headers["Content-Range"].endswith("/1024")
    # Another name than the one that was signed is refused, and so is what was not signed at all.
    assert get(urls.url.replace("inline", "attachment"))[0] == 403
    assert get(urls.url.partition("?")[0])[0] == 403


def test_the_web_process_may_do_what_it_needs(account: MiniStack, stack: Stack, web_user: Mapping[str, str]):
    root, s3, sqs = account.client("s3"), client("s3", account, web_user), client("sqs", account, web_user)
    root.put_object(Bucket=stack.bucket, Key="renders/old.mp4", Body=b"content")
    account.client("sqs").send_message(QueueUrl=stack.dead_letter_queue_url, MessageBody="{}")

    assert s3.head_object(Bucket=stack.bucket, Key="renders/old.mp4")["ContentLength"] == 7
    s3.delete_object(Bucket=stack.bucket, Key="renders/old.mp4")
    s3.put_object(Bucket=stack.bucket, Key="renders/abc/cancel.json", Body=b"{}")
    (dead,) = sqs.receive_message(QueueUrl=stack.dead_letter_queue_url)["Messages"]
    sqs.delete_message(QueueUrl=stack.dead_letter_queue_url, ReceiptHandle=dead["ReceiptHandle"])
    with pytest.raises(ClientError) as missing:
        s3.head_object(Bucket=stack.bucket, Key="renders/old.mp4")
    assert code_of(missing) == "404"


def test_the_web_process_may_do_no_more(account: MiniStack, stack: Stack, web_user: Mapping[str, str]):
    s3, sqs = client("s3", account, web_user), client("sqs", account, web_user)

    refused = [
        lambda: s3.put_object(Bucket=stack.bucket, Key="sites/main/index.html", Body=b"other"),
        lambda: s3.put_object(Bucket=stack.bucket, Key="renders/video.mp4", Body=b"other"),
        lambda: s3.get_object(Bucket=stack.bucket, Key="input-props/x.json"),
        lambda: sqs.receive_message(QueueUrl=stack.queue_url),
        lambda: sqs.purge_queue(QueueUrl=stack.queue_url),
        lambda: client("iam", account, web_user).list_users(),
        lambda: client("lambda", account, web_user).invoke(FunctionName="remotion-render-worker"),
    ]

    for call in refused:
        with pytest.raises(ClientError, match="not authorized"):
            call()


def test_the_renderer_may_use_the_bucket_alone(account: MiniStack, stack: Stack):
    key = create_renderer_user(account, stack)
    s3 = client("s3", account, key)

    s3.put_object(Bucket=stack.bucket, Key="renders/abc/progress.json", Body=b"{}", ACL="private")
    assert s3.get_object(Bucket=stack.bucket, Key="renders/abc/progress.json")["Body"].read() == b"{}"
    with pytest.raises(ClientError, match="not authorized"):
        client("sqs", account, key).send_message(QueueUrl=stack.queue_url, MessageBody="{}")


def test_a_new_key_of_a_user_ends_the_old_one(account: MiniStack, stack: Stack):
    old = create_renderer_user(account, stack)

    create_renderer_user(account, stack)

    with pytest.raises(ClientError) as refused:
        client("s3", account, old).list_objects_v2(Bucket=stack.bucket)
    assert code_of(refused) == "InvalidAccessKeyId"


def test_a_site_is_uploaded_once_and_named_after_its_content(
    account: MiniStack, stack: Stack, tmp_path: Path
):
    (tmp_path / "index.html").write_text("<title>one</title>")
    (tmp_path / "bundle.js").write_text("1")

    first = upload_site(account, bucket=stack.bucket, site=tmp_path)
    again = upload_site(account, bucket=stack.bucket, site=tmp_path)
    (tmp_path / "bundle.js").write_text("2")
    changed = upload_site(account, bucket=stack.bucket, site=tmp_path)

    assert first == again != changed
    status, body, headers = get(first)
    assert (status, body, headers["Content-Type"]) == (200, b"<title>one</title>", "text/html")
    assert get(first.replace("index.html", "bundle.js"))[1] == b"1"
    assert get(changed.replace("index.html", "bundle.js"))[1] == b"2"


def test_a_site_that_is_not_bundled_is_told(account: MiniStack, stack: Stack, tmp_path: Path):
    with pytest.raises(LocalCloudError, match="run make install"):
        upload_site(account, bucket=stack.bucket, site=tmp_path)


def zip_with(code: str, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lambda_worker/handler.py", code)
    return path


def fresh_account(state: Path) -> MiniStack:
    return MiniStack(port=ports.choose_port(0), state=state, log=state / "log", environment={})


def invoke_worker(account: MiniStack) -> Any:
    answer = account.client("lambda").invoke(FunctionName="remotion-render-worker", Payload=b"{}")
    return answer["Payload"].read()


def test_a_later_deployment_updates_the_worker_and_keeps_the_queue(tmp_path: Path):
    one = zip_with("def handler(event, context): return 1", tmp_path / "one.zip")
    two = zip_with("def handler(event, context): return 2", tmp_path / "two.zip")

    def redeploy(account: MiniStack, worker: Path) -> Stack:
        return deploy(account, worker=worker, webhook_secrets="a" * 16, web_origins=[WEB_ORIGIN])

    with fresh_account(tmp_path) as account:
        stack = redeploy(account, one)
        account.client("sqs").send_message(QueueUrl=stack.dead_letter_queue_url, MessageBody="kept")
        assert redeploy(account, one) == stack
        assert invoke_worker(account) == b"1"

    with fresh_account(tmp_path) as account:
        later = redeploy(account, two)
        assert (later.bucket, later.web_policy_arn) == (stack.bucket, stack.web_policy_arn)
        assert invoke_worker(account) == b"2"
        (kept,) = account.client("sqs").receive_message(QueueUrl=later.dead_letter_queue_url)["Messages"]
        assert kept["Body"] == "kept"


def test_the_worker_is_fed_after_a_move_to_another_port(tmp_path: Path):
    worker = zip_with("def handler(event, context): return {}", tmp_path / "worker.zip")
    for _ in range(2):
        with fresh_account(tmp_path) as account:
            stack = deploy(account, worker=worker, webhook_secrets="a" * 16, web_origins=[WEB_ORIGIN])
            assert stack.queue_url.startswith(account.endpoint)
            sqs = account.client("sqs")
            sqs.send_message(QueueUrl=stack.queue_url, MessageBody="{}")
            wait_until_empty(sqs, stack.queue_url)


def wait_until_empty(sqs: Any, url: str) -> None:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + 30
    while set(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()) != {"0"}:
        assert time.monotonic() < deadline, "nobody takes the message"
        time.sleep(0.05)


def test_a_stack_lost_by_a_kill_is_made_anew_around_the_files_that_were_kept(tmp_path: Path):
    worker = zip_with("def handler(event, context): return 1", tmp_path / "one.zip")
    with fresh_account(tmp_path) as account:
        stack = deploy(account, worker=worker, webhook_secrets="a" * 16, web_origins=[WEB_ORIGIN])
        s3 = account.client("s3")
        s3.upload_fileobj(io.BytesIO(b"content"), stack.bucket, "renders/video.mp4")
        assert account.process.pid is not None
        os.kill(account.process.pid, signal.SIGKILL)
        account.process.join(10)

    with fresh_account(tmp_path) as account:
        again = deploy(account, worker=worker, webhook_secrets="a" * 16, web_origins=[WEB_ORIGIN])
        assert again.bucket == stack.bucket
        video = account.client("s3").get_object(Bucket=again.bucket, Key="renders/video.mp4")
        assert video["Body"].read() == b"content"
        # What the template says of the bucket holds for the one taken over too.
        assert get(f"{account.endpoint}/{again.bucket}/renders/video.mp4")[0] == 403
        rules = account.client("s3").get_bucket_cors(Bucket=again.bucket)["CORSRules"]
        assert rules[0]["AllowedOrigins"] == [WEB_ORIGIN]
        assert invoke_worker(account) == b"1"


def test_a_deployment_that_fails_says_why(tmp_path: Path):
    worker = zip_with("def handler(event, context): return 1", tmp_path / "one.zip")
    with fresh_account(tmp_path) as account, pytest.raises(LocalCloudError, match="WebhookSecrets"):
        deploy(account, worker=worker, webhook_secrets="short", web_origins=[WEB_ORIGIN])
