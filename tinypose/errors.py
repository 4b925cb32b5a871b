"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """Something the user can put right: a file, a field, a value.

    The message says what is wrong, where (file and field), what was expected and what to do.
    Commands print it without a traceback and end with exit code 2.
    """
