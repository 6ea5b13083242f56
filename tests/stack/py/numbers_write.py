"""Numbered records → a topic, as fast as asked: `count` of them from `first` on, over `partitions`.

A rate of 0 means no limit. Frames are made with the serializer's prefix, so that this is quick.
"""

import json
import os
import sys
import time

import kafka_io

topic, schema = sys.argv[1:3]
first, count, partitions, rate = map(int, sys.argv[3:])
writer = kafka_io.Writer(topic, **{"linger.ms": 5})
path = os.path.join(os.path.dirname(__file__), f"../schemas/{schema}.proto")
message = kafka_io.compile_proto(path).Number
prefix = writer.protobuf(message)(message())  # of an empty message: all prefix
begun = time.monotonic()
for n in range(first, first + count):
    body = message(n=n, half="even" if n % 2 == 0 else "odd", text=f"record {n} " * 6)
    writer.send(prefix + body.SerializeToString(), partition=n % partitions)
    if rate and n % 100 == 0:
        ahead = (n - first) / rate - (time.monotonic() - begun)
        if ahead > 0:
            writer.producer.poll(0)
            time.sleep(ahead)
writer.finish()
print(json.dumps({"records": count}))
