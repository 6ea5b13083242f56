"""Objects → DuckDB: how many orders, in how many files of which sizes, each in its city's folder."""

import json
import sys

import duckdb

import objects

prefix, topic, folder = sys.argv[1:]
found = objects.bring(f"{prefix}/", folder)
db = duckdb.connect()
files = f"read_parquet('{folder}/{topic}/**/*.parquet', hive_partitioning = true, hive_types = {{'city': VARCHAR}})"
rows, orders, cities, wrong = db.execute(f"""
    select count(*), count(distinct order_id), count(distinct city), count(*) filter
        (where city != printf('city %04d', ((created_at - 1767225600000) * 7919) % 2000))
    from {files}""").fetchone()
sizes = sorted(found.values())
print(json.dumps({
    "rows": rows, "orders": orders, "cities": cities, "misplaced": wrong, "files": len(sizes),
    "rejects": sum(not key.startswith(f"{prefix}/{topic}/") for key in found),
    "bytes": sum(sizes), "smallest": sizes[0], "median": sizes[len(sizes) // 2],
    "largest": sizes[-1],
}))
