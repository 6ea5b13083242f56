"""Types of webhooks as Protobuf: the schema, the message that a producer fills, the row that a reader must see.

A union is a oneof; a map of maps goes through a message, as Protobuf has no other way.
"""

import webhooks

SCALARS = {"string": "string", "long": "int64", "double": "double", "boolean": "bool",
           "time": "google.protobuf.Timestamp"}


def schema(event, payload):
    """One file for an event. The envelope comes last, so that its message index is not 0."""
    messages = []
    root = _message(payload, "payload", webhooks.Names(), messages)
    text = 'syntax = "proto3";\n' + f"package github.proto.{event};\n"
    if any("google.protobuf.Timestamp" in message for message in messages):
        text += 'import "google/protobuf/timestamp.proto";\n'
    return text + "".join(messages) + f"message Event {{\n  int64 delivery = 1;\n  {root} payload = 2;\n}}\n"


def _message(one, wish, names, messages):
    name, new = names.get(one, wish)
    if new:
        body, number = "", 0
        for field, (inner, optional) in one[1].items():
            if inner[0] == "union":
                body += f"  oneof {field} {{\n"
                for branch in inner[1]:
                    number += 1
                    kind = _type(branch, field, names, messages)
                    body += f"    {kind} {field}_{branch[0]} = {number};\n"
                body += "  }\n"
                continue
            number += 1
            label = "repeated " if inner[0] == "list" else ""
            if optional and inner[0] in SCALARS and inner[0] != "time":
                label = "optional "
            inner = inner[1] if inner[0] == "list" else inner
            body += f"  {label}{_type(inner, field, names, messages)} {field} = {number};\n"
        messages.append(f"message {name} {{\n{body}}}\n")
    return name


def _type(one, wish, names, messages):
    if one[0] == "record":
        return _message(one, wish, names, messages)
    if one[0] == "map":
        inner = one[1]
        if inner[0] == "map":
            inner = ("record", {"entries": (inner, False)})
        return f"map<string, {_type(inner, wish + '_value', names, messages)}>"
    return SCALARS[one[0]]


def fill(message, one, given):
    """Sets the fields of a message from a payload."""
    for field, (inner, _) in one[1].items():
        found = given.get(field)
        if found is not None:
            _set(message, field, inner, found)


def _set(message, field, one, given):
    if one[0] == "union":
        chosen = one[1][webhooks.branch(one[1], given)]
        _set(message, f"{field}_{chosen[0]}", chosen, given)
    elif one[0] == "record":
        part = getattr(message, field)
        part.SetInParent()
        fill(part, one, given)
    elif one[0] == "list" and one[1][0] == "record":
        for item in given:
            fill(getattr(message, field).add(), one[1], item)
    elif one[0] == "list":
        getattr(message, field).extend(given)
    elif one[0] == "map" and one[1][0] == "map":
        for key, inner in given.items():
            part = getattr(message, field)[key].entries
            part.update({k: v for k, v in inner.items() if v is not None})
    elif one[0] == "map":
        getattr(message, field).update({k: v for k, v in given.items() if v is not None})
    elif one[0] == "time":
        getattr(message, field).FromDatetime(webhooks.instant(given))
    else:
        setattr(message, field, given)


def row(one, given):
    """What a reader of the file must see: a column for each member of a oneof, empty for absent lists."""
    if one[0] == "record":
        if given is None:
            return None
        seen = {}
        for field, (inner, _) in one[1].items():
            found = given.get(field)
            if inner[0] == "union":
                chosen = None if found is None else webhooks.branch(inner[1], found)
                for index, branch in enumerate(inner[1]):
                    seen[f"{field}_{branch[0]}"] = row(branch, found if index == chosen else None)
            else:
                seen[field] = row(inner, found)
        return seen
    if one[0] == "list":
        return [row(one[1], v) for v in given or []]
    if one[0] == "map":
        there = {k: v for k, v in (given or {}).items() if v is not None}
        if one[1][0] == "map":
            return {k: {"entries": row(one[1], v)} for k, v in there.items()}
        return {k: row(one[1], v) for k, v in there.items()}
    if given is None:
        return None
    return webhooks.instant(given) if one[0] == "time" else given
