"""Confluent's client and serializers, as the writing programs share them."""

import atexit
import importlib
import os
import sys
import tempfile

from confluent_kafka import Producer
from confluent_kafka.schema_registry import (SchemaRegistryClient, record_subject_name_strategy,
                                             topic_subject_name_strategy)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from grpc_tools import protoc

STRATEGIES = {"topic": topic_subject_name_strategy, "record": record_subject_name_strategy}


def registry():
    return SchemaRegistryClient({"url": os.environ["FOREBAY_REGISTRY"]})


def scratch():
    """A folder that goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="stack-")
    atexit.register(folder.cleanup)
    return folder.name


def compile_proto(path):
    """The Python module that protoc makes of one .proto file."""
    out = scratch()
    includes = os.path.join(os.path.dirname(protoc.__file__), "_proto")
    folder, name = os.path.split(os.path.abspath(path))
    code = protoc.main(["protoc", f"-I{folder}", f"-I{includes}", f"--python_out={out}", name])
    assert code == 0, f"protoc refused {path}"
    sys.path.insert(0, out)
    return importlib.import_module(name.removesuffix(".proto") + "_pb2")


class Writer:
    """Produces to one topic; every record must be acknowledged."""

    def __init__(self, topic, **properties):
        self.topic = topic
        self.context = SerializationContext(topic, MessageField.VALUE)
        self.producer = Producer({"bootstrap.servers": os.environ["FOREBAY_BROKERS"], "linger.ms": 20,
                                  "batch.size": 262144, "queue.buffering.max.messages": 200000,
                                  **properties})
        self.failed = []

    def protobuf(self, message_type, strategy="topic"):
        """A function from a message to framed bytes."""
        encode = ProtobufSerializer(message_type, registry(), {
            "use.deprecated.format": False, "subject.name.strategy": STRATEGIES[strategy]})
        return lambda message: encode(message, self.context)

    def avro(self, schema, strategy="topic"):
        """A function from a dict to framed bytes."""
        encode = AvroSerializer(registry(), schema,
                                conf={"subject.name.strategy": STRATEGIES[strategy]})
        return lambda record: encode(record, self.context)

    def send(self, value, partition=-1, key=None, on_delivery=None, timestamp=0, headers=None):
        def delivered(error, message):
            if error is not None:
                self.failed.append(error)
            elif on_delivery is not None:
                on_delivery(message)

        while True:
            try:
                self.producer.produce(self.topic, value, key=key, partition=partition,
                                      timestamp=timestamp, headers=headers, on_delivery=delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def finish(self):
        left = self.producer.flush(120)
        assert left == 0 and not self.failed, (left, self.failed[:3])
