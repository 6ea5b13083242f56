"""Objects → DuckDB: is every flight there once, as it was, in the folder that its values say?"""

import glob
import json
import os
import sys

import duckdb
import pyarrow.parquet as parquet

import flights
import objects

kind, prefix, topic, folder = sys.argv[1:]
found = objects.bring(f"{prefix}/", folder)
strange = [key for key in found if not key.startswith(f"{prefix}/{topic}/")
           or not key.endswith(".parquet")]
assert not strange, f"beside the data: {strange[:5]}"
assert not objects.unfinished(prefix), objects.unfinished(prefix)[:5]

files = glob.glob(f"{folder}/{topic}/**/*.parquet", recursive=True)
assert len(files) == len(found)
first = parquet.ParquetFile(files[0])
codecs = {first.metadata.row_group(0).column(c).compression
          for c in range(first.metadata.num_columns)}
assert codecs == {"GZIP"}, codecs

# Whole-number columns leave and come back through the path; a derived one only goes there.
in_path, left_file, unit = {
    "protobuf": ("{'carrier': VARCHAR, 'month': INTEGER}", {"carrier", "month"}, "us"),
    "avro": ("{'origin': VARCHAR, 'time_hour_day': VARCHAR}", {"origin"}, "ms"),
}[kind]
types = {"year": "int32", "month": "int32", "day": "int32", "dep_time": "int32",
         "sched_dep_time": "int32", "dep_delay": "int32", "arr_time": "int32",
         "sched_arr_time": "int32", "arr_delay": "int32", "carrier": "string", "flight": "int32",
         "tailnum": "string", "origin": "string", "dest": "string", "air_time": "double",
         "distance": "int32", "hour": "int32", "minute": "int32",
         "time_hour": f"timestamp[{unit}, tz=UTC]"}
for path in files[:: max(1, len(files) // 20)]:
    schema = {f.name: str(f.type) for f in parquet.read_schema(path)}
    assert schema == {n: t for n, t in types.items() if n not in left_file}, (path, schema)

db = duckdb.connect()
db.execute("set timezone = 'UTC'")
source = flights.frame()
columns = ", ".join(types)
db.execute(f"create table expected as select {columns} from source")
db.execute(f"""create table got as select * from read_parquet('{folder}/{topic}/**/*.parquet',
    hive_partitioning = true, hive_types = {in_path}, filename = true)""")


def count(query):
    return db.execute(f"select count(*) from ({query})").fetchone()[0]


result = {
    "files": len(files),
    "bytes": sum(found.values()),
    "rows": count("from got"),
    "missing": count(f"select {columns} from expected except all select {columns} from got"),
    "added": count(f"select {columns} from got except all select {columns} from expected"),
    "nulls": count("from got where tailnum is null or air_time is null or dep_time is null"),
    "nulls_expected": count(
        "from expected where tailnum is null or air_time is null or dep_time is null"),
    "misplaced": 0,
}
if kind == "avro":
    result["misplaced"] = count(
        "from got where time_hour_day != strftime(time_hour, '%Y-%m-%d')")
    assert result["files"] == count("select distinct origin, time_hour_day from got")
print(json.dumps(result))
