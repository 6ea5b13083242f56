"""Runs in Spark's own environment: jobs → what Spark made of each.

A job is a list of statements, a query, or an error instead of its rows. One process, because it takes long to start.
Arguments: the jobs (JSON), where the answers go (a pickle: their values keep their types), a folder for Spark."""

import datetime
import json
import os
import pickle
import sys

jobs, answers, folder = sys.argv[1:]
os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": folder, "TZ": "UTC"}

from pyspark.sql import SparkSession  # noqa: E402: it reads the environment
from pyspark.sql import types as t  # noqa: E402

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.warehouse.dir", f"{folder}/warehouse")
    .config("spark.sql.catalogImplementation", "in-memory")
    .config("spark.driver.memory", "1g")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")


def plain(value, of):
    """As pyarrow gives it: dicts, bytes, instants with their zone."""
    if value is None:
        return None
    if isinstance(of, t.StructType):
        return {field.name: plain(value[field.name], field.dataType) for field in of}
    if isinstance(of, t.ArrayType):
        return [plain(item, of.elementType) for item in value]
    if isinstance(of, t.MapType):
        return [(plain(k, of.keyType), plain(v, of.valueType)) for k, v in value.items()]
    if isinstance(of, t.TimestampType):
        return value.replace(tzinfo=datetime.timezone.utc)
    return bytes(value) if isinstance(value, bytearray) else value


def answer(job):
    try:
        for statement in job["statements"]:
            spark.sql(statement)
        found = spark.sql(job["query"])
        return {"rows": [plain(row, found.schema) for row in found.collect()]}
    except Exception as error:  # noqa: BLE001: any refusal is one
        return {"error": f"{type(error).__name__}: {error}"}


with open(jobs) as file:
    made = [answer(job) for job in json.load(file)]
with open(answers, "wb") as file:
    pickle.dump({"version": spark.version, "answers": made}, file)
spark.stop()
