"""The tutorial's users → a topic, as Protobuf or Avro, under the subject that the record's name gives."""

import json
import os
import sys

import kafka_io

kind, topic = sys.argv[1:]
here = os.path.dirname(__file__)
with open(os.path.join(here, "../../../compose/users.jsonl")) as file:
    users = [json.loads(line) for line in file]
writer = kafka_io.Writer(topic)
if kind == "avro":
    encode = writer.avro(open(os.path.join(here, "../schemas/user.avsc")).read(), "record")
else:
    message = kafka_io.compile_proto(os.path.join(here, "../../../protos/User/v1.proto")).User
    serialize = writer.protobuf(message, "record")

    def encode(user):
        return serialize(message(**user))

for user in users:
    writer.send(encode(user), partition=0)
writer.finish()
subject = "avro.User" if kind == "avro" else "User"
assert subject in kafka_io.registry().get_subjects()
print(json.dumps({"rows": len(users)}))
