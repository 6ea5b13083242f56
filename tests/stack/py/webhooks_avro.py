"""Types of webhooks as Avro: the schema, the value that a producer gives, the row that a reader must see."""

import json

import webhooks


def schema(event, payload):
    """Schema of one event: an envelope of the delivery's number and the payload."""
    names = webhooks.Names()
    record = {"type": "record", "name": "Event", "namespace": f"github.avro.{event}", "fields": [
        {"name": "delivery", "type": "long"},
        {"name": "payload", "type": _type(payload, "payload", names)},
    ]}
    return json.dumps(record)


def _type(one, wish, names):
    kind = one[0]
    if kind == "time":
        return {"type": "long", "logicalType": "timestamp-millis"}
    if kind == "map":
        values = _type(one[1], wish, names)
        return {"type": "map", "values": ["null", values] if one[2] else values}
    if kind == "list":
        return {"type": "array", "items": _type(one[1], wish, names)}
    if kind == "union":
        return [_type(branch, wish, names) for branch in one[1]]
    if kind != "record":
        return kind
    name, new = names.get(one, wish)
    if not new:
        return name
    fields = []
    for field, (inner, optional) in one[1].items():
        inner = _type(inner, field, names)
        if optional:
            inner = ["null", *inner] if isinstance(inner, list) else ["null", inner]
        fields.append({"name": field, "type": inner})
    return {"type": "record", "name": name, "fields": fields}


def value(one, given):
    """What the serializer takes."""
    if given is None:
        return None
    if one[0] == "time":
        return webhooks.instant(given)
    if one[0] == "map":
        return {k: value(one[1], v) for k, v in given.items()}
    if one[0] == "list":
        return [value(one[1], v) for v in given]
    if one[0] == "record":
        return {name: value(inner, given.get(name)) for name, (inner, _) in one[1].items()}
    if one[0] == "union":
        return value(one[1][webhooks.branch(one[1], given)], given)
    return given


def row(one, given, wish="payload", names=None):
    """What a reader of the file must see: unions are a struct of their branches."""
    names = webhooks.Names() if names is None else names
    if one[0] == "record":
        names.get(one, wish)
        fields = one[1].items()
        if given is None:  # still walked: the names come in the schema's order
            for name, (inner, _) in fields:
                row(inner, None, name, names)
            return None
        return {name: row(inner, given.get(name), name, names) for name, (inner, _) in fields}
    if one[0] == "union":
        chosen = None if given is None else webhooks.branch(one[1], given)
        seen = {}
        for index, inner in enumerate(one[1]):
            there = row(inner, given if index == chosen else None, wish, names)
            label = names.get(inner, wish)[0] if inner[0] == "record" else inner[0]
            seen[label] = there
        return None if given is None else seen
    if one[0] == "map":
        row(one[1], None, wish, names)
        return None if given is None else {k: row(one[1], v, wish, names) for k, v in given.items()}
    if one[0] == "list":
        row(one[1], None, wish, names)
        return None if given is None else [row(one[1], v, wish, names) for v in given]
    return None if given is None else value(one, given)
