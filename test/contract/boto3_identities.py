"""
Asks the AWS-compatible endpoint (first argument) under a role (second argument: its ARN), whose user the environment names, with
signatures of botocore's making. Prints a line for each thing that holds.
"""

import hashlib
import io
import os
import sys
import urllib.error
import urllib.request

import boto3
from botocore.auth import S3SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

ENDPOINT, ROLE, BUCKET = sys.argv[1:4]
REGION = os.environ["AWS_DEFAULT_REGION"]

sts = boto3.client("sts", endpoint_url=ENDPOINT)
given = sts.assume_role(RoleArn=ROLE, RoleSessionName="botocore")["Credentials"]
session = boto3.Session(
    aws_access_key_id=given["AccessKeyId"],
    aws_secret_access_key=given["SecretAccessKey"],
    aws_session_token=given["SessionToken"],
)


def client(name, who=session, **s3):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path", **s3}, signature_version="v4" if name != "s3" else "s3v4")
    return who.client(name, endpoint_url=ENDPOINT, config=config)


assert client("sts").get_caller_identity()["Arn"].endswith(":assumed-role/" + ROLE.split("/")[-1] + "/botocore")
assert client("ec2").describe_regions()["Regions"]
assert client("route53").list_hosted_zones()["HostedZones"]
print("session ok")

# Keys, names and queries whose escapes clients and servers disagree about.
s3 = client("s3")
for key in ("plain", "a b/c+d=e&f", "é/ü~_-.!*'()", "a//b/../c", "%41%2F", "x?y#z"):
    s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode(), Metadata={"note": "with  two  blanks"})
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode(), key
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]] == [key]
print("keys ok")

# Payloads: signed, not signed, of unknown length.
large = os.urandom(300_000)
for name, settings in {"signed": {"payload_signing_enabled": True}, "unsigned": {"payload_signing_enabled": False}}.items():
    client("s3", **settings).put_object(Bucket=BUCKET, Key=name, Body=io.BytesIO(large))
    assert s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() == large
print("payloads ok")

# Presigned: to read, and to write.
url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a b/c+d=e&f"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == b"a b/c+d=e&f"
put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "sent"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(put, data=b"by URL", method="PUT"))
assert s3.get_object(Bucket=BUCKET, Key="sent")["Body"].read() == b"by URL"


def refused(address, code, **request):
    try:
        urllib.request.urlopen(urllib.request.Request(address, **request))
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        assert f"<Code>{code}</Code>" in text, text
        return
    raise AssertionError(f"no {code}")


refused(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), "SignatureDoesNotMatch")
refused(url, "SignatureDoesNotMatch", method="DELETE")
refused(url.replace("c%2Bd", "c%2Bx"), "SignatureDoesNotMatch")
print("presigned ok")

# Signed by hand, for STS by a URL and for S3 with a digest that is another's.
asked = AWSRequest("GET", ENDPOINT + "/?Action=GetCallerIdentity&Version=2011-06-15")
SigV4QueryAuth(Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]), "sts", REGION).add_auth(asked)
assert "botocore" in urllib.request.urlopen(asked.url).read().decode()
put = AWSRequest("PUT", f"{ENDPOINT}/{BUCKET}/other", data=b"signed", headers={"x-amz-content-sha256": hashlib.sha256(b"signed").hexdigest()})
S3SigV4Auth(Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]), "s3", REGION).add_auth(put)
refused(put.url, "XAmzContentSHA256Mismatch", data=b"sent..", headers=dict(put.headers), method="PUT")
print("by hand ok")

# Wrong secrets, as each service words it.
for name, call, code in (
    ("ec2", lambda one: one.describe_regions(), "AuthFailure"),
    ("s3", lambda one: one.list_buckets(), "SignatureDoesNotMatch"),
    ("sts", lambda one: one.get_caller_identity(), "SignatureDoesNotMatch"),
    ("route53", lambda one: one.list_hosted_zones(), "SignatureDoesNotMatch"),
    ("ebs", lambda one: one.list_snapshot_blocks(SnapshotId="snap-1"), "InvalidSignatureException"),
    ("kms", lambda one: one.describe_key(KeyId="none"), "InvalidSignatureException"),
):
    wrong = boto3.Session(given["AccessKeyId"], "wrong", given["SessionToken"])
    try:
        call(client(name, wrong))
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (name, error)
    else:
        raise AssertionError(f"{name}: no {code}")
print("errors ok")
