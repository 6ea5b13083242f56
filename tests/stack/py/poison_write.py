"""Good records with bad ones among them at random places → a topic. The manifest says what went where.

Few enough of each kind that none looks like a fault of the deployment (under 1 % of a schema's records).
"""

import base64
import json
import os
import random
import sys

import kafka_io

kind, topic, manifest, seed, good, each = *sys.argv[1:4], *map(int, sys.argv[4:])
here = os.path.dirname(__file__)
some = random.Random(seed)
writer = kafka_io.Writer(topic)
if kind == "avro":
    serialize = writer.avro(open(os.path.join(here, "../schemas/poison.avsc")).read())

    def encode(record):
        return serialize(record)
else:
    message = kafka_io.compile_proto(os.path.join(here, "../schemas/poison.proto")).Drop
    framed = writer.protobuf(message)

    def encode(record):
        return framed(message(**record))


def magic(frame):
    return bytes([some.randrange(2, 256)]) + frame[1:]


def short(frame):
    return frame[:some.randrange(0, 5)]


def unknown(frame):
    return frame[:1] + some.randrange(900_000, 900_100).to_bytes(4, "big") + frame[5:]


def truncated(frame):
    return frame[:-some.randrange(1, 12)]


def trailing(frame):
    return frame + bytes([7] * some.randrange(1, 9))  # to Protobuf: field 0 of wire type 7


def index(frame):
    return frame[:5] + b"\x02\x0e" + frame[6:]  # the one index [7]


spoil = [magic, short, unknown, truncated, trailing] + ([index] if kind == "protobuf" else [])
plan = [None] * good + [how for how in spoil for _ in range(each)]
some.shuffle(plan)
rows, bad = [], []
for n, how in enumerate(plan):
    record = {"n": n, "weights": [some.random() for _ in range(some.randrange(4))],
              "text": f"drop {n} of the sea"}
    frame, key = encode(record), f"key {n}".encode()
    if how is None:
        rows.append(record)
        writer.send(frame, key=key, partition=n % 3)
        continue
    value = how(frame)

    def note(message, how=how.__name__, value=value, key=key):
        bad.append({"kind": how, "partition": message.partition(), "offset": message.offset(),
                    "value": base64.b64encode(value).decode(), "key": key.decode(),
                    "timestamp": message.timestamp()[1]})

    writer.send(value, key=key, partition=n % 3, on_delivery=note, headers=[("n", str(n).encode())])
writer.finish()
with open(manifest, "w") as file:
    json.dump({"rows": rows, "bad": bad}, file)
print(json.dumps({"good": len(rows), "bad": len(bad)}))
