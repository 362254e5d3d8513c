"""A real S3 server as tests see it, whoever made it: how boto3 and pbcopy reach it, and what it says of itself."""

import urllib.parse

import boto3
import botocore.config
import botocore.handlers

REGION = "us-east-1"


def client_of(endpoint, credentials):
    """A boto3 client; one a process and its threads."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION,
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        config=botocore.config.Config(s3={"addressing_style": "path"}, signature_version="s3v4",
                                      max_pool_connections=32, retries={"max_attempts": 2},
                                      read_timeout=120, parameter_validation=False))
    # botocore misreads the connection's next answer where a server answers a body without a 100 before.
    client.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)
    return client


class S3Store:
    """Running from construction to stop(). A server sets `name`, `endpoint`, `credentials` and `seconds_to_start`, and
    calls connect(); kill() ends what answers requests at once, and start() brings it back with what it has stored."""

    creates_only_with_versions = True  # whether it honours If-None-Match in a bucket that keeps versions

    def connect(self):
        self.client = client_of(self.endpoint, self.credentials)

    def url(self, bucket):
        """Of a bucket, for pbcopy."""
        query = urllib.parse.urlencode({"endpoint": self.endpoint, "region": REGION}, safe=":/")
        return f"s3://{bucket}?{query}"

    def make_bucket(self, name, **more):
        self.client.create_bucket(Bucket=name, **more)
        return name

    def list(self, bucket, prefix=""):
        """{key: (size, ETag)}, of all pages."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = entry["Size"], entry["ETag"].strip('"')
        return found

    def versions(self, bucket, prefix=""):
        """[(key, version)], delete markers left out."""
        return [(entry["Key"], entry["VersionId"])
                for page in self.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
                for entry in page.get("Versions", [])]

    def holds(self, keys):
        """Those of the keys that the store can hold beside each other, each under its own name."""
        return set(keys)

    def operations(self, bucket):
        """collections.Counter of the requests to this bucket so far, by the server's own account: CopyObject, PutObject,
        CreateMultipartUpload."""
        raise NotImplementedError
