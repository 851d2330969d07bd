"""The modules of model code: which there are, and the `import` that finds them.

Promises: every module here is a `Facade` with listed names; none of the names is a module, reads a
file, starts a process or makes code from text. All are loaded when this module is, with what they
import later on their own, so that a process that may open no file any more still has them.
"""

import _strptime  # noqa: F401  # ty: ignore[import-not-found]  (`datetime.strptime` wants it)
import array
import ast
import base64
import binascii
import bisect
import calendar
import cmath
import codecs
import datetime
import decimal
import difflib
import fnmatch
import fractions
import graphlib
import hashlib
import heapq
import hmac
import html
import html.parser
import itertools
import math
import numbers
import queue
import random
import secrets
import shlex
import statistics
import string
import sys
import textwrap
import time
import tomllib
import unicodedata
import urllib.parse
import uuid
import zlib
from typing import Any

from rlm_dspy.repl import classes, output, rules
from rlm_dspy.repl.caches import struct_names
from rlm_dspy.repl.clocks import CLOCK_FACADES
from rlm_dspy.repl.copying import COPY_FACADES
from rlm_dspy.repl.crafted import CRAFTED_FACADES
from rlm_dspy.repl.environment import leave
from rlm_dspy.repl.formatting import Formatter
from rlm_dspy.repl.loops import ASYNC_FACADES
from rlm_dspy.repl.makers import CLASS_FACADES
from rlm_dspy.repl.modules import Facade, exported, facade, import_from, listed
from rlm_dspy.repl.names import RefusedImport, exact
from rlm_dspy.repl.reports import REPORT_FACADES
from rlm_dspy.repl.streams import STREAM_FACADES
from rlm_dspy.repl.texts import TEXT_FACADES, as_text


def _public(real: Any, without: str = "") -> dict[str, Any]:
    """Every public name of a module written in C: it holds no other modules."""
    left_out = without.split()
    return {
        name: value
        for name, value in vars(real).items()
        if not name.startswith("_") and name not in left_out
    }


# Without the contexts that every session shares: they can be written to.
_DECIMAL_SHARED = "BasicContext DefaultContext ExtendedContext"
_CALENDAR = """IllegalMonthError IllegalWeekdayError isleap leapdays weekday monthrange
    monthcalendar month calendar timegm month_name month_abbr day_name day_abbr Calendar
    TextCalendar HTMLCalendar weekheader firstweekday MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY
    SATURDAY SUNDAY"""
_UUID = """UUID uuid3 uuid4 uuid5 uuid7 uuid8 NIL MAX NAMESPACE_DNS NAMESPACE_URL NAMESPACE_OID
    NAMESPACE_X500 SafeUUID"""
_BISECT = "bisect bisect_left bisect_right insort insort_left insort_right"
# What the worker's stack holds, whatever a level does (measured: 16 MiB and calls through C).
_LEAST_RECURSION, _MOST_RECURSION = 1_000, 10_000
_FUTURE = ("annotations", "division", "generator_stop", "print_function")
_SYS = """maxsize version version_info float_info int_info byteorder getsizeof maxunicode
    getrecursionlimit intern"""


def _written_in_c() -> dict[str, Facade]:
    return {
        "math": facade("math", **_public(math)),
        "cmath": facade("cmath", **_public(cmath)),
        "itertools": facade("itertools", **_public(itertools)),
        "zlib": facade("zlib", **_public(zlib)),
        "binascii": facade("binascii", **_public(binascii)),
        "array": facade("array", **_public(array)),
        "unicodedata": facade("unicodedata", **_public(unicodedata)),
        "decimal": facade("decimal", **_public(decimal, _DECIMAL_SHARED)),
    }


def _of_listed_names() -> dict[str, Facade]:
    every = (random, statistics, textwrap, fractions, heapq, difflib, datetime, numbers)
    every += (secrets, fnmatch, graphlib)
    found = {real.__name__: facade(real.__name__, **exported(real)) for real in every}
    return found | {
        "queue": facade("queue", **exported(queue)),
        "struct": facade("struct", **struct_names()),
        "bisect": facade("bisect", **listed(bisect, _BISECT)),
        "base64": facade("base64", **exported(base64, "encode decode")),
        "hashlib": _hashlib(),
        "hmac": facade("hmac", **listed(hmac, "new digest compare_digest")),
        "calendar": facade("calendar", **listed(calendar, _CALENDAR)),
        "uuid": facade("uuid", **listed(uuid, _UUID)),
        "shlex": facade("shlex", **listed(shlex, "quote join"), split=_split),
        "string": facade("string", **exported(string, "Formatter"), Formatter=Formatter),
        "tomllib": facade("tomllib", loads=_toml, TOMLDecodeError=tomllib.TOMLDecodeError),
        "sys": _sys(),
        "__future__": facade("__future__", **dict.fromkeys(_FUTURE)),
    }


def _sys() -> Facade:
    return facade(
        "sys",
        **listed(sys, _SYS),
        stdout=output.STDOUT,
        stderr=output.STDERR,
        exit=leave,
        setrecursionlimit=_set_recursion_limit,
    )


def _set_recursion_limit(limit: int) -> None:
    """`sys.setrecursionlimit`, up to what the stack holds."""
    sys.setrecursionlimit(max(_LEAST_RECURSION, min(limit, _MOST_RECURSION)))


def _hashlib() -> Facade:
    shared = ("algorithms_available", "algorithms_guaranteed")
    frozen = {name: frozenset(getattr(hashlib, name)) for name in shared}
    return facade("hashlib", **exported(hashlib, f"file_digest {' '.join(shared)}"), **frozen)


def _toml(text: Any, **options: Any) -> dict[str, Any]:
    return tomllib.loads(as_text(text), **options)


def _split(s: Any, comments: bool = False, posix: bool = True) -> list[str]:
    """`shlex.split`, which without a text would read from the terminal."""
    return shlex.split(exact(as_text(s)), comments, posix)


def _nested() -> dict[str, Facade]:
    parser = facade("html.parser", HTMLParser=html.parser.HTMLParser)
    parse = facade("urllib.parse", **exported(urllib.parse))
    return {
        "json.decoder": TEXT_FACADES["json"].decoder,
        "html": facade("html", **exported(html), parser=parser),
        "html.parser": parser,
        "urllib": facade("urllib", parse=parse),
        "urllib.parse": parse,
        "collections.abc": CLASS_FACADES["collections"].abc,
    }


FACADES: dict[str, Facade] = {
    **TEXT_FACADES,
    **CRAFTED_FACADES,
    **COPY_FACADES,
    **CLASS_FACADES,
    **CLOCK_FACADES,
    **ASYNC_FACADES,
    **REPORT_FACADES,
    **STREAM_FACADES,
    **_written_in_c(),
    **_of_listed_names(),
    **_nested(),
}
_EMPTY = facade("")
_FILES = "there are no files, processes or network here; the input is already in the variables"
_THREADS = "there are no threads here; to ask many at once, use llm_query_batched(prompts)"
_HINTS = (
    dict.fromkeys(
        [
            "os",
            "pathlib",
            "shutil",
            "glob",
            "tempfile",
            "subprocess",
            "socket",
            "sqlite3",
            "pickle",
        ],
        _FILES,
    )
    | dict.fromkeys(["requests", "urllib.request", "http", "openpyxl", "fileinput"], _FILES)
    | dict.fromkeys(["threading", "concurrent", "multiprocessing", "_thread"], _THREADS)
    | dict.fromkeys(["numpy", "pandas", "scipy"], "use statistics, math, csv and collections")
)


def import_module(
    name: str, variables: Any = None, local: Any = None, wanted: Any = (), level: int = 0
) -> Facade:
    """Stands behind `import`: finds a facade.

    Raises:
        RefusedImport: There is no such module or name for model code.
    """
    if type(wanted) is list and name in sys.modules:
        # Not an import statement, which passes a tuple or None: the interpreter's own C code, such
        # as `datetime.strptime`, imports through here and takes the module from `sys.modules`.
        return _EMPTY
    found = FACADES.get(name) if not level else None
    if found is None:
        raise _not_there(name)
    if wanted:
        import_from(found, wanted)
        return found
    return FACADES[name.partition(".")[0]]


def _not_there(name: str) -> ImportError:
    """The error for a module that model code cannot have; one that Python lacks too is Python's."""
    top = name.partition(".")[0]
    hint = _HINTS.get(name) or _HINTS.get(top)
    available = ", ".join(sorted(module for module in FACADES if not module.startswith("_")))
    advice = f"{hint + '; ' if hint else ''}available modules are {available}"
    if top in sys.stdlib_module_names:
        return RefusedImport(f"import {name} is not allowed: {advice}", name=name)
    error = ModuleNotFoundError(f"No module named '{top}'", name=top)
    error.add_note(advice)
    return error


def _preload() -> None:
    """Makes the library load now what it would load at first use."""
    encodings = """ascii latin-1 utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le
        utf-32-be utf-7 cp1252 cp1250 cp1251 cp437 cp850 cp1254 cp1257 iso8859-2 iso8859-5 iso8859-9
        iso8859-15
        koi8-r mac-roman gbk gb2312 gb18030 big5 shift-jis euc-jp euc-kr cp949 cp932 idna punycode
        unicode-escape raw-unicode-escape hex base64 rot13 charmap quopri"""
    for encoding in encodings.split():
        codecs.lookup(encoding)
    datetime.datetime.strptime("2000", "%Y")
    time.localtime()
    decimal.getcontext()
    ast.unparse(ast.Pass())
    random.Random("text")


_preload()
classes.show(value for found in FACADES.values() for value in vars(found).values())
rules.OPEN_INSTANCES.update(map(type, (sys.version_info, sys.float_info, sys.int_info)))
rules.WRITABLE_TYPES[decimal.Context] = None
rules.WRITABLE_TYPES[textwrap.TextWrapper] = None
rules.DENIED[calendar.TextCalendar] = frozenset({"prweek", "prmonth", "pryear"})
# Locks and conditions, which nobody else would ever release.
rules.DENIED[queue.Queue] = frozenset({"mutex", "not_empty", "not_full", "all_tasks_done"})
# Containers that every instance shares.
rules.DENIED[textwrap.TextWrapper] = frozenset({"unicode_whitespace_trans"})
rules.DENIED[calendar.HTMLCalendar] = frozenset({"cssclasses", "cssclasses_weekday_head"})
