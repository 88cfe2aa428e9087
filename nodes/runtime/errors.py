"""The one error whose text is written for the person at the terminal."""


class UserError(Exception):
    """One line that names the thing, the place and the remedy; shown without a traceback, exit status 2."""
