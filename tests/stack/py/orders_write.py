"""A million orders from 2,000 cities → a topic of 4 partitions; each city's orders reach all of them."""

import json
import os
import random
import sys

import kafka_io

topic, count, cities = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
writer = kafka_io.Writer(topic)
path = os.path.join(os.path.dirname(__file__), "../schemas/orders.proto")
orders = kafka_io.compile_proto(path)
prefix = writer.protobuf(orders.Order)(orders.Order())
some = random.Random(20260101)
for n in range(count):
    order = orders.Order(
        order_id=f"{some.getrandbits(128):032x}", customer_id=some.randrange(10**9),
        created_at=1_767_225_600_000 + n, country=f"C{n % 50}", city=f"city {n * 7919 % cities:04}",
        currency="EUR", amount=some.random() * 1000, quantity=n % 9, status=n % 5,
        is_gift=n % 3 == 0, email=f"{some.getrandbits(48):x}@example.com",
        device=orders.Order.Device(os="linux", version=n % 20), tags=["a", "b", f"t{n % 40}"],
        sku=f"{some.getrandbits(64):016x}", score=some.random())
    if n % 4 == 0:
        order.coupon = f"{n}"
    writer.send(prefix + order.SerializeToString(), partition=some.randrange(4))
writer.finish()
print(json.dumps({"records": count}))
