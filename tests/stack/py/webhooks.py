"""GitHub's example webhooks, and a type for each kind of event, inferred from its examples.

A type is a tuple: ("string",) ("long",) ("double",) ("boolean",) ("time",) ("map", type, nulls?)
("list", type) ("record", {name: (type, optional)}) ("union", [type, ...]). `time` is a string that is
always `YYYY-MM-DDThh:mm:ssZ` in the examples.
"""

import json
import os
import re
from datetime import datetime, timezone

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def events():
    """{event: [payload, ...]}, with names that are names everywhere."""
    with open(os.environ["WEBHOOKS"]) as file:
        return {e["name"]: [named(p) for p in e["examples"]] for e in json.load(file)}


def named(value):
    """Keys such as `+1` and `$ref` spelled as identifiers."""
    if isinstance(value, dict):
        return {identifier(k): named(v) for k, v in value.items()}
    if isinstance(value, list):
        return [named(v) for v in value]
    return value


def identifier(key):
    text = key.replace("+", "plus_").replace("-", "minus_" if key[0] == "-" else "_")
    text = re.sub(r"\W", "_", text)
    return text if re.match(r"[A-Za-z_]", text) else f"n_{text}"


def infer(values):
    """The type of every value that is not null, or None where all are."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    branches = []
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    texts = [v for v in values if isinstance(v, str)]
    objects = [v for v in values if isinstance(v, dict)]
    lists = [v for v in values if isinstance(v, list)]
    if any(isinstance(v, bool) for v in values):
        branches.append(("boolean",))
    if numbers:
        branches.append(("double",) if any(isinstance(n, float) for n in numbers) else ("long",))
    if texts:
        branches.append(("time",) if all(TIME.fullmatch(t) for t in texts) else ("string",))
    if lists:
        branches.append(("list", infer([v for one in lists for v in one]) or ("string",)))
    if objects:
        branches.append(infer_object(objects))
    return branches[0] if len(branches) == 1 else ("union", branches)


def infer_object(objects):
    names = {name: None for one in objects for name in one}
    inner = infer([v for one in objects for v in one.values()]) or ("string",)
    # No key that all share, and values of one kind: a map.
    if not names or (len(objects) > 1 and inner[0] not in ("record", "union", "list")
                     and not any(all(n in one for one in objects) for n in names)):
        return ("map", inner, any(v is None for one in objects for v in one.values()))
    fields = {}
    for name in names:
        values = [one.get(name) for one in objects]
        fields[name] = (infer(values) or ("string",), any(v is None for v in values))
    return ("record", fields)


def instant(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def branch(types, value):
    """Index of the branch of a union that takes the value."""
    kinds = {"boolean": bool, "long": int, "double": (int, float), "string": str, "time": str,
             "list": list, "map": dict, "record": dict}
    for index, one in enumerate(types):
        if isinstance(value, kinds[one[0]]) and (one[0] == "boolean" or value is not True
                                                 and value is not False):
            return index
    raise ValueError(f"{value!r} is none of {types}")


class Names:
    """One name for each record structure; a second structure under a name gets a number."""

    def __init__(self):
        self.of = {}

    def get(self, one, wish):
        """The record's name, and whether it is new."""
        shape = json.dumps(one, sort_keys=True)
        if shape in self.of:
            return self.of[shape], False
        wish = "".join(part.capitalize() for part in wish.split("_")) or "Item"
        name, number = wish, 2
        while name in self.of.values():
            name, number = f"{wish}{number}", number + 1
        self.of[shape] = name
        return name, True


def deliveries(copies):
    """(delivery, event, payload): every example `copies` times, in an order that looks random."""
    flat = [(event, payload) for event, payloads in events().items() for payload in payloads]
    many = [(n, *flat[n % len(flat)]) for n in range(copies * len(flat))]
    return sorted(many, key=lambda d: d[0] * 2654435761 % 2**32)
