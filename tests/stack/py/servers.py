"""The servers answer: Avro records through registry and broker and back; a conditional PUT."""

import json
import os
import sys

from botocore.exceptions import ClientError
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import objects

topic = sys.argv[1]
registry = SchemaRegistryClient({"url": os.environ["FOREBAY_REGISTRY"]})
schema = '{"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]}'
context = SerializationContext(topic, MessageField.VALUE)
encode = AvroSerializer(registry, schema)
producer = Producer({"bootstrap.servers": os.environ["FOREBAY_BROKERS"]})
for n in range(10):
    producer.produce(topic, encode({"n": n}, context), partition=n % 2)
assert producer.flush(30) == 0

consumer = Consumer({"bootstrap.servers": os.environ["FOREBAY_BROKERS"], "group.id": topic,
                     "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
decode = AvroDeserializer(registry)
seen = [decode(m.value(), context)["n"] for m in consumer.consume(10, timeout=30)]
consumer.close()
assert sorted(seen) == list(range(10)), seen

s3 = objects.client()
s3.put_object(Bucket=objects.BUCKET, Key="servers/one", Body=b"1", IfNoneMatch="*")
try:
    s3.put_object(Bucket=objects.BUCKET, Key="servers/one", Body=b"2", IfNoneMatch="*")
    again = "accepted"
except ClientError as error:
    again = error.response["Error"]["Code"]
assert objects.keys("servers/") == {"servers/one": 1}
print(json.dumps({"records": len(seen), "again": again}))
