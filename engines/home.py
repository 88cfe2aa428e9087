"""Where a user's own files lie, for a user without a home as well."""

from pathlib import Path


def home() -> Path:
    """This user's home; of a user that has none, a folder that does not exist, as Debian's ``nobody`` has."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")
