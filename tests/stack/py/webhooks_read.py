"""Objects → pyarrow: every delivery once, and every field of it, however deep, as it was sent."""

import glob
import json
import sys
from collections import Counter

import pyarrow.parquet as parquet

import objects
import webhooks
import webhooks_avro
import webhooks_proto

kind, prefix, topic, folder, copies = sys.argv[1:]
objects.bring(f"{prefix}/", folder)
types = {event: webhooks.infer(payloads) for event, payloads in webhooks.events().items()}
row = {"avro": webhooks_avro.row, "protobuf": webhooks_proto.row}[kind]
namespace = {"avro": "avro", "protobuf": "proto"}[kind]
sent = {delivery: (event, payload) for delivery, event, payload in webhooks.deliveries(int(copies))}


def differences(path, expected, got):
    """Where two values differ: (path, expected, got)."""
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        for key in expected:
            yield from differences(f"{path}.{key}", expected[key], got[key])
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, pair in enumerate(zip(expected, got)):
            yield from differences(f"{path}[{index}]", *pair)
    elif type(expected) is not type(got) or expected != got:
        yield path, expected, got


def fields(value):
    if isinstance(value, dict):
        return sum(map(fields, value.values()))
    return sum(map(fields, value)) if isinstance(value, list) else 1


seen, wrong, compared = Counter(), [], 0
files = glob.glob(f"{folder}/{topic}/**/*.parquet", recursive=True)
for path in files:
    name = path.split("/event=")[1].split("/")[0]
    event = name.removeprefix(f"github.{namespace}.").removesuffix(".Event")
    for got in parquet.ParquetFile(path).read().to_pylist(maps_as_pydicts="strict"):
        delivery = got["delivery"]
        seen[delivery] += 1
        sent_as, payload = sent[delivery]
        assert event == sent_as, f"{delivery} of {sent_as} is in {path}"
        expected = {"delivery": delivery, "payload": row(types[event], payload)}
        compared += fields(expected)
        wrong += list(differences(event, expected, got))
for path, expected, got in wrong[:10]:
    print(f"{path}: expected {expected!r}, got {got!r}"[:400], file=sys.stderr)
print(json.dumps({
    "files": len(files), "missing": len(sent.keys() - seen.keys()),
    "repeated": sum(n - 1 for n in seen.values()), "fields": compared, "wrong": len(wrong),
}))
