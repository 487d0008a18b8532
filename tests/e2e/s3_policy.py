"""Policies of S3 in tests: a small evaluator after Amazon's rules, and temporary credentials of MinIO that are held to one."""

import fnmatch
import json
import re
import sys
import pathlib
from urllib.parse import quote

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

from scripted_s3 import Refusal  # noqa: E402


def as_list(value):
    return value if isinstance(value, list) else [value]


def matches(pattern, text):
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def holds(condition, context):
    """`context`: the condition keys that a request has."""
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            there = context.get(key)
            if operator == "Null":
                if (there is None) != (wanted == "true"):
                    return False
            elif operator == "StringLikeIfExists":
                if there is not None and not any(matches(each, there) for each in as_list(wanted)):
                    return False
            else:
                raise AssertionError(f"the evaluator does not know {operator}")
    return True


def is_allowed(policy, action, resource, context):
    """What one statement denies no other allows."""
    effects = {statement["Effect"] for statement in policy["Statement"]
               if any(matches(each, action) for each in as_list(statement["Action"])) and
               any(matches(each, resource) for each in as_list(statement["Resource"])) and
               holds(statement.get("Condition", {}), context)}
    return effects == {"Allow"}


def enforce(server, policy):
    """Makes a ScriptedS3 deny what the policy does not allow; also 403 instead of 404 for who may not list, as S3 does."""
    def before(action, key, headers):
        context = {"s3:if-none-match": headers.get("if-none-match")}
        bucket = f"arn:aws:s3:::{server.bucket}"
        if action == "s3:ListBucket":
            allowed = is_allowed(policy, action, bucket, {"s3:prefix": key})
        elif not key:
            allowed = is_allowed(policy, action, bucket, {})
        else:
            allowed = is_allowed(policy, action, f"{bucket}/{key}", context)
            if allowed and action == "s3:GetObject" and key not in server.objects:
                allowed = is_allowed(policy, "s3:ListBucket", bucket, {})
        if not allowed:
            raise Refusal(403, "AccessDenied", f"{action} on {key or server.bucket}")

    server.before = before


def assume(minio, user, password, policy):
    """Temporary credentials of MinIO's STS that may do what the policy says: AWS_… for the environment."""
    policy = {**policy, "Statement": [{key: value for key, value in each.items() if key != "Sid"} for each in policy["Statement"]]}
    text = json.dumps(policy, separators=(",", ":"))  # 2048 characters are taken
    body = "&".join(f"{name}={quote(value, safe='')}" for name, value in (
        ("Action", "AssumeRole"), ("DurationSeconds", "3600"), ("Policy", text), ("Version", "2011-06-15")))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    text = minio.request("POST", "/", body=body.encode(), headers=headers, service="sts", who=(user, password)).decode()
    found = {name: re.search(f"<{name}>(.*?)</{name}>", text).group(1)
             for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    return {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"]}
