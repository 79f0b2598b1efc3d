"""Deploying infra/template.yaml and the worker's zip to MiniStack, as one would to AWS."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError, WaiterError

from localcloud.errors import LocalCloudError
from localcloud.ministack import MiniStack
from localcloud.paths import ROOT
from localcloud.renderer import FUNCTION_NAME

_NAME: Final = "renderhub"
_TEMPLATE: Final = ROOT / "infra" / "template.yaml"
_CODE_BUCKET: Final = "renderhub-code"
_BUCKET_PREFIX: Final = "remotionlambda-renderhub-"

_MAXIMUM_CONCURRENCY: Final = 4
"""How many steps of exports run at a time, each in a Python process of its own."""

# From these states a stack can be updated; from any other it is made anew.
_SETTLED: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What the deployed stack has made."""

    queue_url: str
    dead_letter_queue_url: str
    bucket: str
    web_policy_arn: str


def deploy(account: MiniStack, *, worker: Path, webhook_secrets: str, web_origins: Sequence[str]) -> Stack:
    """Create the stack, or bring the one of an earlier run up to date; what its queues and bucket hold stays.

    Raises:
        LocalCloudError: the deployment failed; the text has its reasons.
    """
    parameters = {
        "WorkerCodeBucket": _CODE_BUCKET,
        "WorkerCodeKey": _upload_code(account, worker),
        "WebhookSecrets": webhook_secrets,
        "RemotionFunctionName": FUNCTION_NAME,
        "WebOrigins": ",".join(web_origins),
        "MaximumConcurrency": str(_MAXIMUM_CONCURRENCY),
    }
    cloudformation = account.client("cloudformation")
    try:
        _apply(cloudformation, account.client("s3"), parameters)
    except (ClientError, WaiterError) as error:
        reasons = [str(error), *_failures(cloudformation)]
        raise LocalCloudError("the stack could not be deployed: " + "; ".join(reasons)) from error
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in cloudformation.describe_stacks(StackName=_NAME)["Stacks"][0]["Outputs"]
    }
    _repair_concurrency(account, outputs["WorkerName"])
    return Stack(
        queue_url=outputs["QueueUrl"],
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        bucket=outputs["BucketName"],
        web_policy_arn=outputs["WebPolicyArn"],
    )


def _upload_code(account: MiniStack, worker: Path) -> str:
    """Return the key of the worker's zip, which tells its content; earlier zips are dropped."""
    s3 = account.client("s3")
    if _CODE_BUCKET not in _buckets(s3):
        s3.create_bucket(Bucket=_CODE_BUCKET)
    key = f"{hashlib.sha256(worker.read_bytes()).hexdigest()}.zip"
    found = [each["Key"] for each in s3.list_objects_v2(Bucket=_CODE_BUCKET).get("Contents", ())]
    if key not in found:
        s3.upload_file(str(worker), _CODE_BUCKET, key)
    for other in found:
        if other != key:
            s3.delete_object(Bucket=_CODE_BUCKET, Key=other)
    return key


def _buckets(s3: Any) -> list[str]:
    return [each["Name"] for each in s3.list_buckets()["Buckets"]]


def _apply(cloudformation: Any, s3: Any, parameters: Mapping[str, str]) -> None:
    request = {
        "StackName": _NAME,
        "TemplateBody": _TEMPLATE.read_text(),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM"],
    }
    status = _status(cloudformation)
    if status and status not in _SETTLED:
        cloudformation.delete_stack(StackName=_NAME)
        _wait(cloudformation, "stack_delete_complete")
        status = None
    if not status:
        kept = next((name for name in _buckets(s3) if name.startswith(_BUCKET_PREFIX)), None)
        if kept is None:
            cloudformation.create_stack(**request)
            _wait(cloudformation, "stack_create_complete")
            return
        _import_bucket(cloudformation, kept)
    try:
        cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
        return
    _wait(cloudformation, "stack_update_complete")


def _import_bucket(cloudformation: Any, bucket: str) -> None:
    """Begin a stack with a bucket that has outlived its own.

    The template retains the bucket, and a MiniStack killed in its first run has objects but no stack.
    """
    resource = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "Properties": {"BucketName": bucket},
    }
    names = {"StackName": _NAME, "ChangeSetName": "import"}
    cloudformation.create_change_set(
        **names,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": {"Bucket": resource}}),
        ResourcesToImport=[
            {
                "ResourceType": "AWS::S3::Bucket",
                "LogicalResourceId": "Bucket",
                "ResourceIdentifier": {"BucketName": bucket},
            }
        ],
    )
    _wait(cloudformation, "change_set_create_complete", ChangeSetName="import")
    cloudformation.execute_change_set(**names)
    _wait(cloudformation, "stack_import_complete")


def _repair_concurrency(account: MiniStack, function: str) -> None:
    """Make the mapping's limit a number: MiniStack keeps a parameter as text, and its poller stumbles."""
    functions = account.client("lambda")
    for mapping in functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]:
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": _MAXIMUM_CONCURRENCY}
        )


def _status(cloudformation: Any) -> str | None:
    try:
        return str(cloudformation.describe_stacks(StackName=_NAME)["Stacks"][0]["StackStatus"])
    except ClientError:
        return None


def _wait(cloudformation: Any, waiter: str, **names: str) -> None:
    cloudformation.get_waiter(waiter).wait(
        StackName=_NAME, **names, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )


def _failures(cloudformation: Any) -> list[str]:
    try:
        events = cloudformation.describe_stack_events(StackName=_NAME)["StackEvents"]
    except ClientError:
        return []
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]
