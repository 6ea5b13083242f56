"""Objects → the tutorial's users: which keys there are, and whether each row is under the key it must be.

The keys are worked out here, from the users and from what Hive escapes.
"""

import collections
import glob
import json
import os
import re
import sys

import pyarrow.parquet as parquet

import objects

prefix, topic, folder, escape, by, rows_max = sys.argv[1:]
columns = by.split(",")
with open(os.path.join(os.path.dirname(__file__), "../../../compose/users.jsonl")) as file:
    users = [json.loads(line) for line in file]

HIVE = set('"#%\'*/:=?[\\]^{') | {chr(c) for c in [*range(0x20), 0x7F]}


def segment(column, user):
    if column == "login_timestamp_day":
        return f"{column}={user['login_timestamp'][:10]}"
    text = user[column]
    if escape == "hive":
        text = "".join(f"%{ord(c):02X}" if c in HIVE else c for c in text)
    return f"{column}={text}"


found = objects.bring(f"{prefix}/", folder)
assert not objects.unfinished(prefix)
seen, paths, wrong, largest = collections.Counter(), collections.Counter(), [], 0
for key in found:
    path, name = key[len(prefix) + 1:].rsplit("/", 1)
    paths[path] += 1
    named = re.fullmatch(re.escape(topic) + r"\+0\+(\d+)\S*\.parquet", name)
    file = parquet.ParquetFile(os.path.join(folder, path, name))
    assert file.metadata.row_group(0).column(0).compression == "GZIP"
    rows = file.read().to_pylist()
    largest = max(largest, len(rows))
    # Record n of the topic is user n + 1.
    if named is None or not rows or int(named.group(1)) != rows[0]["id"] - 1:
        wrong.append(f"the name {key} does not say where {rows[:1]} came from")
    for row in rows:
        user = users[row["id"] - 1]
        seen[row["id"]] += 1
        if path != "/".join([topic, *(segment(c, user) for c in columns)]):
            wrong.append(f"user {row['id']} is in {path}")
        # Columns that became segments as themselves left the file, except where their text stands
        # raw: then the path alone could not give them back.
        left = columns if escape == "hive" else []
        if row != {k: v for k, v in user.items() if k not in left}:
            wrong.append(f"user {row['id']} is {row}")
print("\n".join(wrong[:10]), file=sys.stderr)
print(json.dumps({
    "users": len(seen), "repeated": sum(seen.values()) - len(seen), "wrong": len(wrong),
    "largest_file": largest, "paths": sorted(paths),
    "within_rows_max": largest <= int(rows_max),
}, ensure_ascii=False))
