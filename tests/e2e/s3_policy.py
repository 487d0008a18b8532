"""Policies of S3 in tests: a small evaluator after Amazon's rules, and temporary credentials of MinIO that are held to one."""

import datetime
import fnmatch
import hashlib
import hmac
import http.client
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
    return any(statement["Effect"] == "Allow" and action in as_list(statement["Action"]) and
               any(matches(each, resource) for each in as_list(statement["Resource"])) and
               holds(statement.get("Condition", {}), context) for statement in policy["Statement"])


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
    body = "&".join(f"{name}={quote(value, safe='')}" for name, value in (
        ("Action", "AssumeRole"), ("DurationSeconds", "3600"), ("Policy", json.dumps(policy)), ("Version", "2011-06-15")))
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host, scope = f"127.0.0.1:{minio.port}", f"{now[:8]}/us-east-1/sts/aws4_request"
    hashed = hashlib.sha256(body.encode()).hexdigest()
    headers = {"content-type": "application/x-www-form-urlencoded", "host": host, "x-amz-content-sha256": hashed,
               "x-amz-date": now}
    names = ";".join(headers)
    request = "\n".join(["POST", "/", "", *[f"{k}:{v}" for k, v in headers.items()], "", names, hashed])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + password).encode()
    for part in [*scope.split("/")]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    link = http.client.HTTPConnection("127.0.0.1", minio.port, timeout=30)
    link.request("POST", "/", body, {**headers, "authorization": f"AWS4-HMAC-SHA256 Credential={user}/{scope}, "
                                     f"SignedHeaders={names}, Signature={signature}"})
    reply = link.getresponse()
    text = reply.read().decode()
    assert reply.status == 200, text
    found = {name: re.search(f"<{name}>(.*?)</{name}>", text).group(1)
             for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    return {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"]}
