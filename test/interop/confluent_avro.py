"""A till in Python: publishes and reads TransactionRecorded with Confluent's client and its Avro serializer.

confluent_avro.py publish BROKERS REGISTRY TOPIC SCHEMA_FILE COMPRESSION   events as JSON lines on standard input
confluent_avro.py read BROKERS REGISTRY TOPIC COUNT                        events as JSON lines on standard output
"""

import json
import sys
import uuid
from datetime import datetime, timezone

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def publish(brokers, registry, topic, schema_file, compression):
    with open(schema_file, encoding="utf-8") as file:
        serialize = AvroSerializer(SchemaRegistryClient({"url": registry}), file.read())
    failures = []
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "compression.type": compression,
            # librdkafka's own default hashes keys by CRC32; the Java client's way is needed here.
            "partitioner": "murmur2_random",
            "linger.ms": 50,
        }
    )
    for line in sys.stdin:
        event = json.loads(line)
        value = serialize(event, SerializationContext(topic, MessageField.VALUE))
        producer.produce(
            topic,
            key=event["client_id"].encode(),
            value=value,
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
    producer.flush(30)
    if failures:
        sys.exit(f"not delivered: {failures[0]}")


def read(brokers, registry, topic, count):
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"python-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    left = int(count)
    while left > 0:
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"{left} records did not come")
        if message.error():
            sys.exit(str(message.error()))
        event = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
        event["occurred_at"] = milliseconds(event["occurred_at"])
        headers = {name: value.decode() for name, value in message.headers() or []}
        print(json.dumps({"key": message.key().decode(), "headers": headers, "event": event}))
        left -= 1
    consumer.close()


def milliseconds(moment):
    """A timestamp-millis comes as a datetime."""
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return round((moment - epoch).total_seconds() * 1000) if isinstance(moment, datetime) else moment


if __name__ == "__main__":
    {"publish": publish, "read": read}[sys.argv[1]](*sys.argv[2:])
