"""Objects → pyarrow: are the good rows exactly those sent, and the rejects exactly the bad ones?"""

import base64
import glob
import json
import sys

import pyarrow.parquet as parquet

import objects

kind, prefix, pipeline, topic, folder, manifest = sys.argv[1:]
CODES = {"magic": "FB0102", "short": "FB0101", "unknown": "FB0911", "index": "FB0103",
         "truncated": {"protobuf": "FB0201", "avro": "FB0240"}[kind],
         "trailing": {"protobuf": "FB0201", "avro": "FB0241"}[kind]}
with open(manifest) as file:
    sent = json.load(file)
objects.bring(f"{prefix}/", folder)


def read(path):
    found = []
    for one in glob.glob(f"{folder}/{path}/**/*.parquet", recursive=True):
        found += parquet.ParquetFile(one).read().to_pylist()
    return found


rows = sorted(read(topic), key=lambda row: row["n"])
rejects = read(f"_rejects/{pipeline}/{topic}")
got = {(r["partition"], r["offset"]): {
    "code": r["code"], "value": r["value"], "key": r["key"], "topic": r["topic"],
    "timestamp": int(r["timestamp"].timestamp() * 1000 + 0.5),
    "headers": [(h["name"], h["value"]) for h in r["headers"]]} for r in rejects}
expected = {(b["partition"], b["offset"]): {
    "code": CODES[b["kind"]], "value": base64.b64decode(b["value"]), "key": b["key"].encode(),
    "topic": topic, "timestamp": b["timestamp"],
    "headers": [("n", b["key"].removeprefix("key ").encode())]} for b in sent["bad"]}
kinds = {(b["partition"], b["offset"]): b["kind"] for b in sent["bad"]}
wrong = [(kinds.get(at), at, expected.get(at), got.get(at))
         for at in sorted(expected.keys() | got.keys()) if expected.get(at) != got.get(at)]
for line in wrong[:10]:
    print(line, file=sys.stderr)
print(json.dumps({
    "rows_exact": rows == sent["rows"], "rows": len(rows), "rejects": len(rejects),
    "rejects_wrong": len(wrong), "messages_empty": sum(not r["message"] for r in rejects),
}))
