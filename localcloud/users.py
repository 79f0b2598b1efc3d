"""The IAM users that the parts outside of Lambda sign in as, so that policies are kept to here as on AWS."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.ministack import REGION, MiniStack
from localcloud.stack import Stack


def create_web_user(account: MiniStack, stack: Stack) -> Mapping[str, str]:
    """Return the environment of a new key of the web process's user, who has the policy of the template."""
    iam = account.client("iam")
    name = "renderhub-web"
    key = _create_key(iam, name)
    iam.attach_user_policy(UserName=name, PolicyArn=stack.web_policy_arn)
    return key


def create_renderer_user(account: MiniStack, stack: Stack) -> Mapping[str, str]:
    """Return the environment of a new key of a user who may do in the bucket what Remotion's role may."""
    iam = account.client("iam")
    name = "remotion"
    key = _create_key(iam, name)
    bucket = f"arn:aws:s3:::{stack.bucket}"
    objects = ["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"]
    statements = [
        {"Effect": "Allow", "Action": objects, "Resource": f"{bucket}/*"},
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": bucket},
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_user_policy(UserName=name, PolicyName="bucket", PolicyDocument=json.dumps(policy))
    return key


def _create_key(iam: Any, name: str) -> Mapping[str, str]:
    try:
        iam.create_user(UserName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityAlreadyExists":
            raise
    # Nobody holds the key of an earlier run any more.
    for old in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=old["AccessKeyId"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
