"""Asks the AWS-compatible endpoint (first argument) with boto3. Prints a line for each service that answers rightly."""

import base64
import hashlib
import io
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
BLOCK = 512 * 1024
SUBNET = "subnet-0a11fe00000000001"
GROUP = "sg-0a11fe00000000001"


def client(name):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(name, endpoint_url=ENDPOINT, config=config)


def sha(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def eventually(ask, wanted):
    deadline = time.time() + 10
    while True:
        answer = ask()
        if answer == wanted:
            return
        assert time.time() < deadline, f"still {answer}, not {wanted}"
        time.sleep(0.05)


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error
    raise AssertionError(f"no {code}")


names = ("ec2", "ebs", "s3", "route53", "sts", "iam")
ec2, ebs, s3, route53, sts, iam = (client(name) for name in names)

assert sts.get_caller_identity()["Account"] == "000000000000"
print("sts ok")

# EBS direct: a snapshot and its child
blocks = {0: os.urandom(BLOCK), 5: os.urandom(BLOCK)}


def snapshot(content, **more):
    made = ebs.start_snapshot(VolumeSize=1, Tags=[{"Key": "odd & <k>", "Value": "é"}] if not more else [], **more)
    digest = hashlib.sha256()
    for index in sorted(content):
        data = content[index]
        put = ebs.put_snapshot_block(
            SnapshotId=made["SnapshotId"],
            BlockIndex=index,
            BlockData=io.BytesIO(data),
            DataLength=BLOCK,
            Checksum=sha(data),
            ChecksumAlgorithm="SHA256",
        )
        assert put["Checksum"] == sha(data)
        digest.update(hashlib.sha256(data).digest())
    done = ebs.complete_snapshot(
        SnapshotId=made["SnapshotId"],
        ChangedBlocksCount=len(content),
        Checksum=base64.b64encode(digest.digest()).decode(),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    assert done["Status"] in ("pending", "completed")
    ec2.get_waiter("snapshot_completed").wait(
        SnapshotIds=[made["SnapshotId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    return made["SnapshotId"]


parent = snapshot(blocks)
child = snapshot({5: os.urandom(BLOCK)}, ParentSnapshotId=parent)
listed = ebs.list_snapshot_blocks(SnapshotId=child)["Blocks"]
assert [block["BlockIndex"] for block in listed] == [0, 5]
read = ebs.get_snapshot_block(SnapshotId=child, BlockIndex=0, BlockToken=listed[0]["BlockToken"])
assert read["BlockData"].read() == blocks[0] and read["DataLength"] == BLOCK
changed = ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)["ChangedBlocks"]
assert [block["BlockIndex"] for block in changed] == [5]
print("ebs ok")

# EC2: locks on snapshots
lock = ec2.lock_snapshot(SnapshotId=child, LockMode="compliance", CoolOffPeriod=24, LockDuration=7)
assert lock["LockState"] == "compliance-cooloff" and lock["CoolOffPeriod"] == 24, lock
assert (lock["LockExpiresOn"] - lock["LockCreatedOn"]).days == 7
assert (lock["CoolOffPeriodExpiresOn"] - lock["LockCreatedOn"]).total_seconds() == 24 * 3600
(locked,) = ec2.describe_locked_snapshots(Filters=[{"Name": "lock-state", "Values": ["compliance-cooloff"]}])["Snapshots"]
assert locked["SnapshotId"] == child and locked["LockDuration"] == 7
fails("SnapshotLocked", ec2.delete_snapshot, SnapshotId=child)
ec2.unlock_snapshot(SnapshotId=child)
assert ec2.describe_locked_snapshots(SnapshotIds=[child])["Snapshots"] == []

# EC2: image, instance, volume
found = ec2.describe_snapshots(Filters=[{"Name": "tag:odd & <k>", "Values": ["é"]}])["Snapshots"]
assert [one["SnapshotId"] for one in found] == [parent]
image = ec2.register_image(
    Name="boto3 shell",
    Architecture="x86_64",
    VirtualizationType="hvm",
    RootDeviceName="/dev/xvda",
    BootMode="uefi",
    EnaSupport=True,
    BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": parent, "DeleteOnTermination": True}}],
)["ImageId"]
instance = ec2.run_instances(
    ImageId=image,
    InstanceType="m6i.large",
    MinCount=1,
    MaxCount=1,
    SubnetId=SUBNET,
    SecurityGroupIds=[GROUP],
    TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "boto3"}]}],
)["Instances"][0]
identifier = instance["InstanceId"]


def state():
    page = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["bot*"]}])
    return page["Reservations"][0]["Instances"][0]["State"]["Name"]


eventually(state, "running")
ec2.stop_instances(InstanceIds=[identifier], Force=True)
eventually(state, "stopped")
attribute = ec2.describe_instance_attribute(InstanceId=identifier, Attribute="blockDeviceMapping")
assert attribute["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True
assert "IamInstanceProfile" not in instance
fails(
    "InvalidParameterValue",
    ec2.run_instances,
    ImageId=image,
    MinCount=1,
    MaxCount=1,
    SubnetId=SUBNET,
    IamInstanceProfile={"Name": "nobody"},
)
volume = ec2.create_volume(AvailabilityZone="eu-central-1a", Size=1, VolumeType="gp3")["VolumeId"]
ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 10})
assert ec2.attach_volume(VolumeId=volume, InstanceId=identifier, Device="/dev/sdf")["State"] == "attaching"
ec2.terminate_instances(InstanceIds=[identifier])
eventually(state, "terminated")
pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 10})
names = [one["InstanceType"] for page in pages for one in page["InstanceTypes"]]
assert len(names) == len(set(names)) > 30 and "t3.micro" in names
print("ec2 ok")

# Route 53
record = {"Name": "boto3.shop.example", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"a & <b>"'}]}
change = route53.change_resource_record_sets(
    HostedZoneId="ZLIFEBOATSHOP", ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
)["ChangeInfo"]
assert change["Status"] == "PENDING"
eventually(lambda: route53.get_change(Id=change["Id"])["ChangeInfo"]["Status"], "INSYNC")
sets = route53.list_resource_record_sets(HostedZoneId="ZLIFEBOATSHOP")["ResourceRecordSets"]
assert {**record, "Name": "boto3.shop.example."} in sets
error = fails(
    "InvalidChangeBatch",
    route53.change_resource_record_sets,
    HostedZoneId="ZLIFEBOATSHOP",
    ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]},
)
assert "already exists" in error.response["Error"]["Message"]
print("route53 ok")

# S3
key = "odd/ +&'<é>//..%2F"
body = os.urandom(9 * 1024 * 1024)
s3.put_object(Bucket="lifeboat-shop", Key=key, Body=body, Metadata={"m": "v"}, IfNoneMatch="*")
fails("PreconditionFailed", s3.put_object, Bucket="lifeboat-shop", Key=key, Body=b"", IfNoneMatch="*")
assert s3.get_object(Bucket="lifeboat-shop", Key=key)["Body"].read() == body
part = s3.get_object(Bucket="lifeboat-shop", Key=key, Range="bytes=10-19")
assert part["Body"].read() == body[10:20] and part["ResponseMetadata"]["HTTPStatusCode"] == 206
s3.upload_fileobj(io.BytesIO(body), "lifeboat-shop", "parts")  # in parts: it is longer than 8 MiB
assert s3.head_object(Bucket="lifeboat-shop", Key="parts")["ETag"].endswith('-2"')
assert s3.get_object(Bucket="lifeboat-shop", Key="parts")["Body"].read() == body
keys = [one["Key"] for one in s3.list_objects_v2(Bucket="lifeboat-shop")["Contents"]]
assert keys == [key, "parts"], keys
s3.delete_objects(Bucket="lifeboat-shop", Delete={"Objects": [{"Key": one} for one in keys]})
assert s3.list_objects_v2(Bucket="lifeboat-shop")["KeyCount"] == 0
print("s3 ok")

# IAM
profile = iam.get_instance_profile(InstanceProfileName="shop-vm")["InstanceProfile"]
assert profile["Arn"] == "arn:aws:iam::000000000000:instance-profile/shop-vm" and profile["Roles"] == []
fails("NoSuchEntity", iam.get_instance_profile, InstanceProfileName="nobody")
fails("InvalidAction", iam.list_roles)
print("iam ok")

# Errors as boto3 reads them
fails("InvalidVolume.NotFound", ec2.describe_volumes, VolumeIds=["vol-00000000000000000"])
fails("InvalidAction", ec2.create_key_pair, KeyName="k")
fails("ResourceNotFoundException", ebs.list_snapshot_blocks, SnapshotId="snap-00000000000000000")
fails("NoSuchKey", s3.get_object, Bucket="lifeboat-shop", Key="none")
fails("404", s3.head_object, Bucket="lifeboat-shop", Key="none")
fails("NoSuchHostedZone", route53.get_hosted_zone, Id="ZNONE")
fails("InvalidAction", sts.get_session_token)
print("errors ok")
