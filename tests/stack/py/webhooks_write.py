"""Every example webhook, many times and mixed → one topic in which each kind of event has its own schema."""

import importlib
import json
import os
import sys

import kafka_io
import webhooks
import webhooks_avro
import webhooks_proto

kind, topic, copies = sys.argv[1], sys.argv[2], int(sys.argv[3])
writer = kafka_io.Writer(topic)
types = {event: webhooks.infer(payloads) for event, payloads in webhooks.events().items()}
encoders = {}
folder = kafka_io.scratch()
for event, one in types.items():
    if kind == "avro":
        encoders[event] = writer.avro(webhooks_avro.schema(event, one), "record")
    else:
        path = os.path.join(folder, f"{event}.proto")
        with open(path, "w") as file:
            file.write(webhooks_proto.schema(event, one))
        message = kafka_io.compile_proto(path).Event
        encoders[event] = (message, writer.protobuf(message, "record"))

sent = 0
for delivery, event, payload in webhooks.deliveries(copies):
    if kind == "avro":
        record = {"delivery": delivery, "payload": webhooks_avro.value(types[event], payload)}
        framed = encoders[event](record)
    else:
        message, encode = encoders[event]
        filled = message(delivery=delivery)
        webhooks_proto.fill(filled.payload, types[event], payload)
        framed = encode(filled)
    writer.send(framed, partition=delivery % 3)
    sent += 1
writer.finish()
print(json.dumps({"records": sent, "schemas": len(types)}))
