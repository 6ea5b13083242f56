"""What record n is: shared by the program that writes and the one that reads."""

import hashlib


def lane(offset, lanes):
    """The value that records are partitioned by: each commit of so many records has a file of every lane."""
    return f"lane{offset % lanes}"


def text(n, size):
    """Text that does not compress away."""
    return hashlib.shake_256(b"%d" % n).hexdigest(size // 2)
