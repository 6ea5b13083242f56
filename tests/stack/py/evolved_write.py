"""Records of several versions of one Avro schema, by turns → a topic, at a rate.

`v` is the version that wrote the record; every other field follows from `n`. `a` is promoted, `b` comes, `c` becomes `d`.
"""

import json
import sys
import time

import kafka_io

VERSIONS = [
    [{"name": "v", "type": "int"}, {"name": "n", "type": "long"}, {"name": "a", "type": "int"},
     {"name": "c", "type": "string"}],
    [{"name": "v", "type": "int"}, {"name": "n", "type": "long"}, {"name": "a", "type": "long"},
     {"name": "c", "type": "string"}, {"name": "b", "type": ["null", "string"], "default": None}],
    [{"name": "v", "type": "int"}, {"name": "n", "type": "long"}, {"name": "a", "type": "long"},
     {"name": "b", "type": ["null", "string"], "default": None},
     {"name": "d", "aliases": ["c"], "type": "string"}],
]


def record(version, n):
    text = {"d" if version == 3 else "c": f"c{n}"}
    maybe = {"b": f"b{n}" if n % 3 else None} if version > 1 else {}
    return {"v": version, "n": n, "a": n * 2, **text, **maybe}


if __name__ == "__main__":
    topic = sys.argv[1]
    versions, first, count, partitions, rate = map(int, sys.argv[2:])
    writer = kafka_io.Writer(topic, **{"linger.ms": 5})
    encoders = [
        writer.avro(json.dumps({"type": "record", "name": "Evolved", "fields": fields}))
        for fields in VERSIONS[:versions]
    ]
    begun = time.monotonic()
    ids = {}
    for n in range(first, first + count):
        # Versions by turns, in every Kafka partition.
        version = 1 + (n // partitions) % versions
        framed = encoders[version - 1](record(version, n))
        ids[version] = int.from_bytes(framed[1:5], "big")
        writer.send(framed, partition=n % partitions)
        if rate and n % 50 == 0:
            ahead = (n - first) / rate - (time.monotonic() - begun)
            if ahead > 0:
                writer.producer.poll(0)
                time.sleep(ahead)
    writer.finish()
    print(json.dumps({"records": count, "ids": ids}))
