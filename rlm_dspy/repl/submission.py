"""What SUBMIT takes: the fields of the outer signature, as plain data.

Promises: the values are taken when SUBMIT is called; nothing that code does afterwards changes
them.
"""

from typing import Any

from rlm_dspy.repl.plain import to_plain
from rlm_dspy.repl.values import decode, encode


def fields_of(fields: list[str], args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The submitted values by field name, as if SUBMIT were `def SUBMIT(a, b)`.

    Args:
        fields: The names of the fields; none of them means one value, named "output".
        args: The positional arguments of the call.
        kwargs: The named ones.

    Raises:
        TypeError: They do not fit the fields; the message says how to call SUBMIT.
    """
    wanted = fields or ["output"]
    usage = f"write SUBMIT({', '.join(f'{name}=...' for name in wanted)})"
    if len(args) > len(wanted):
        raise TypeError(
            f"SUBMIT() takes {len(wanted)} positional arguments but {len(args)} were given: {usage}"
        )
    values = dict(zip(wanted, args, strict=False))
    for name, value in kwargs.items():
        if name in values:
            raise TypeError(f"SUBMIT() got multiple values for argument {name!r}: {usage}")
        if name not in wanted:
            raise TypeError(f"SUBMIT() got an unexpected keyword argument {name!r}: {usage}")
        values[name] = value
    missing = [repr(name) for name in wanted if name not in values]
    if missing:
        count = f"{len(missing)} required positional argument{'s' if len(missing) > 1 else ''}"
        raise TypeError(f"SUBMIT() missing {count}: {', '.join(missing)}: {usage}")
    return {name: values[name] for name in wanted}


def frozen(values: dict[str, Any]) -> dict[str, Any]:
    """The values as plain data of their own.

    Raises:
        TypeError: One that cannot leave the REPL.
        ValueError: One beyond the limits of size or depth.
    """
    try:
        return decode(encode(values, to_plain))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"SUBMIT: {error}") from None
