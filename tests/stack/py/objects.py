"""The S3 server as a folder: a bucket to make, keys to list, objects to bring down."""

import concurrent.futures
import os
import sys
import time

import boto3
from botocore.config import Config

BUCKET = os.environ["S3_BUCKET"]


def client():
    return boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT"],
        region_name=os.environ["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=16,
                      retries={"max_attempts": 3}),
    )


def make_bucket():
    deadline = time.monotonic() + 60
    s3 = client()
    while True:
        try:
            s3.create_bucket(Bucket=BUCKET)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def keys(prefix):
    """Every key below the prefix that is not the program's own state, with its size, in order."""
    pages = client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])
            if "/_forebay/" not in "/" + o["Key"]}


def unfinished(prefix):
    """Uploads begun and neither completed nor given up."""
    found = client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return [u["Key"] for u in found.get("Uploads", [])]


def bring(prefix, folder):
    """Copies every object below the prefix into the folder, under its key less the prefix."""
    s3 = client()
    found = keys(prefix)

    def one(key):
        path = os.path.join(folder, key[len(prefix):].lstrip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s3.download_file(BUCKET, key, path)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, found))
    return found


def wait(prefix, seconds):
    """Until something is published below the prefix."""
    deadline = time.monotonic() + seconds
    while not keys(prefix):
        assert time.monotonic() < deadline, f"nothing below {prefix} after {seconds} s"
        time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[1] == "make-bucket":
        make_bucket()
    elif sys.argv[1] == "wait":
        wait(sys.argv[2], float(sys.argv[3]))
