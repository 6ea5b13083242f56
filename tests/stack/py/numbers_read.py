"""Objects → DuckDB: which of the numbered records are there, how often, and whether each is whole."""

import glob
import json
import os
import sys

import duckdb

import objects

prefix, topic, folder, count = sys.argv[1:]
found = objects.bring(f"{prefix}/", folder)
data = [key for key in found if key.startswith(f"{prefix}/{topic}/")]
rejects = [key for key in found if key.startswith(f"{prefix}/_rejects/")]
db = duckdb.connect()
db.execute(f"""create table got as select * from read_parquet('{folder}/{topic}/**/*.parquet',
    union_by_name = true, hive_partitioning = true, hive_types = {{'half': VARCHAR}})""")


def one(query):
    return db.execute(query).fetchone()[0]


print(json.dumps({
    "files": len(data),
    "strays": len([key for key in found if key not in data + rejects]),
    "bytes": sum(found.values()),
    "rejects": len(rejects),
    "unfinished": len(objects.unfinished(prefix)),
    "rows": one("select count(*) from got"),
    "distinct": one("select count(distinct n) from got"),
    "missing": one(f"select count(*) from range(0, {count}) r(n) anti join got using (n)"),
    "wrong": one("""select count(*) from got where text != repeat('record ' || n || ' ', 6)
        or half != case when n % 2 = 0 then 'even' else 'odd' end"""),
}))
