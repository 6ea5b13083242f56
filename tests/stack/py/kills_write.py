"""Numbered records → a topic at a rate, until a file appears; each of them once, whatever the broker does.

Record n is in Kafka partition n % partitions at offset n // partitions: this is the topic's only writer.
"""

import json
import os
import sys
import time

import kafka_io
import kills

topic, stop = sys.argv[1:3]
partitions, lanes, size, rate, most = map(int, sys.argv[3:])
writer = kafka_io.Writer(topic, **{"linger.ms": 5, "enable.idempotence": True})
path = os.path.join(os.path.dirname(__file__), "../schemas/numbers.proto")
message = kafka_io.compile_proto(path).Number
prefix = writer.protobuf(message)(message())  # of an empty message: all prefix
begun, n = time.monotonic(), 0
while n < most and not os.path.exists(stop):
    body = message(n=n, half=kills.lane(n // partitions, lanes), text=kills.text(n, size))
    writer.send(prefix + body.SerializeToString(), partition=n % partitions)
    n += 1
    if rate and n % 20 == 0:
        ahead = n / rate - (time.monotonic() - begun)
        if ahead > 0:
            writer.producer.poll(0)
            time.sleep(ahead)
writer.finish()
print(json.dumps({"records": n}))
