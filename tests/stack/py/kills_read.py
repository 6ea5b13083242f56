"""A reader that lists and reads all the time while others write, crash and recover; pyarrow reads.

A problem is anything that a reader of the folder must never meet: a listed key that is no whole Parquet file, a key
that is gone or another one later, a row that stands twice or is not what was sent, a file of a later commit while one
of an earlier commit is not there. With the stop file, which holds the count of records, come one more pass and the
result: what is missing then.
"""

import concurrent.futures
import io
import json
import os
import sys
import time

import pyarrow.parquet as parquet

import kills
import objects

kind, root, topic, stop = sys.argv[1:5]
partitions, lanes, size = map(int, sys.argv[5:])
problems = []
seen = {}  # key -> (bytes, tag)
offsets = [set() for _ in range(partitions)]
newest = [-1] * partitions  # first offset of the newest file, as of the pass before
rows = 0


def problem(text):
    if len(problems) < 20:
        problems.append(text)


class S3:
    def __init__(self):
        self.client = objects.client()

    def list(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=objects.BUCKET, Prefix=root + "/")
        found = {}
        for page in pages:
            for o in page.get("Contents", []):
                key = o["Key"][len(root) + 1:]
                if not key.startswith("_forebay/"):
                    found[key] = (o["Size"], o["ETag"])
        return found

    def read(self, key):
        return self.client.get_object(Bucket=objects.BUCKET, Key=f"{root}/{key}")["Body"].read()

    def left(self):
        return len(objects.unfinished(root))


class Disk:
    def list(self):
        found = {}
        for folder, folders, files in os.walk(root):
            if folder == root and "_forebay" in folders:
                folders.remove("_forebay")
            for name in files:
                path = os.path.join(folder, name)
                try:
                    stat = os.stat(path)
                except FileNotFoundError:
                    problem(f"listed, then gone: {path}")
                    continue
                found[os.path.relpath(path, root)] = (stat.st_size, stat.st_ino)
        return found

    def read(self, key):
        with open(os.path.join(root, key), "rb") as file:
            return file.read()

    def left(self):
        return sum(len(files) for _, _, files in os.walk(os.path.join(root, "_forebay/stage")))


def take(key, bytes_, body):
    """Checks one file; gives its Kafka partition and first offset."""
    global rows
    if len(body) != bytes_:
        return problem(f"{key}: listed with {bytes_} bytes, read {len(body)}")
    file = parquet.ParquetFile(io.BytesIO(body))
    footer = {k.decode(): v.decode() for k, v in file.schema_arrow.metadata.items()}
    table = file.read()
    columns = [table.column(name).to_pylist() for name in ("n", "text", "_partition", "_offset")]
    if int(footer["forebay.rows"]) != len(columns[0]) or not columns[0]:
        problem(f"{key}: {len(columns[0])} rows, the footer says {footer['forebay.rows']}")
    lane = key.split("half=")[1].split("/")[0]
    last, partition = -1, int(footer["forebay.partition"])
    for n, text, at, offset in zip(*columns):
        if (at, offset) != (n % partitions, n // partitions) or text != kills.text(n, size) \
                or lane != kills.lane(offset, lanes) or at != partition:
            problem(f"{key}: record {n} is not what was sent (Kafka partition {at}, offset {offset})")
        if offset <= last:
            problem(f"{key}: offset {offset} after {last}")
        last = offset
        if offset in offsets[at]:
            problem(f"{key}: Kafka partition {at}, offset {offset} stands twice")
        offsets[at].add(offset)
    rows += len(columns[0])
    if (columns[3][0], columns[3][-1]) != (int(footer["forebay.first_offset"]),
                                           int(footer["forebay.last_offset"])):
        problem(f"{key}: offsets {columns[3][0]} to {columns[3][-1]}, the footer says otherwise")
    return partition, columns[3][0]


def look(store, pool):
    found = store.list()
    for key in seen.keys() - found.keys():
        problem(f"{key}: was listed, and is gone")
    for key in found.keys() & seen.keys():
        if found[key] != seen[key]:
            problem(f"{key}: was {seen[key]}, is {found[key]}")
    new = sorted(found.keys() - seen.keys())
    firsts = list(newest)

    def read(key):
        try:
            return key, store.read(key), None
        except Exception as error:  # whatever a reader may meet
            return key, None, error

    for key, body, error in pool.map(read, new):
        seen[key] = found[key]
        if not (key.startswith(f"{topic}/half=") and key.endswith(".parquet")):
            problem(f"{key}: nothing of that name belongs there")
            continue
        try:
            if error:
                raise error
            at, first = take(key, found[key][0], body)
            firsts[at] = max(firsts[at], first)
        except Exception as error:
            problem(f"{key}: {error!r}")
    # A listing is not one moment. What is older than the newest file of the last pass must be in this one: all but
    # the offsets of that file's own commit, whose files start within one round of the lanes.
    for at, first in enumerate(newest):
        low = checked[at]
        while low in offsets[at]:
            low += 1
        checked[at] = low
        if low < first - lanes:
            problem(f"Kafka partition {at}: offset {low} is not there, a file from {first} on is")
    newest[:] = firsts


checked = [0] * partitions
store = S3() if kind == "s3" else Disk()
passes, count = 0, None
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    while count is None:
        if os.path.exists(stop):
            with open(stop) as file:
                count = int(file.read())
            look(store, pool)  # whatever the listing before has missed
        look(store, pool)
        passes += 1
        time.sleep(0.02)
missing = sum(n // partitions not in offsets[n % partitions] for n in range(count))
print(json.dumps({
    "problems": problems, "passes": passes, "files": len(seen), "rows": rows, "missing": missing,
    "beyond": rows - (count - missing), "left": store.left(),
}))
