import base64
import bisect
import calendar
import collections
import copy
import csv
import datetime as dt
import decimal
import difflib
import fractions
import hashlib
import heapq
import html
import io
import json
import math
import pprint
import random
import re
import statistics
import string
import struct
import textwrap
import time
import types
import unicodedata
import urllib.parse
import uuid
import zlib
from collections import ChainMap, Counter, defaultdict

text = "2024-01-02 ERROR db timeout=30ms user=ann\n2024-02-03 INFO web ok=1 user=bob\n" * 2
pat = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)\s+(?P<level>\w+)", re.I | re.M)
for m in pat.finditer(text):
    print(m.group("date"), m["level"], m.span(), m.groupdict())
    break
print(pat.pattern, pat.flags, pat.groups, dict(pat.groupindex), pat.sub(lambda m: m.group("level").lower(), text)[:20], repr(re.compile("a+")))
print(isinstance(pat, re.Pattern), re.split(r"\s+", "a b  c"), re.escape("a.b"), re.subn("a", "b", "aaa"), pat == re.compile(pat.pattern, pat.flags))
m = re.match(r"(\d+)-(\d+)", "12-34")
print(m.groups(), m.start(2), m.string, m.re.pattern, m.lastindex, m.expand(r"\2/\1"), re.sub(r"(?P<a>x)", r"<\g<a>>", "x"))
rows = list(csv.reader(io.StringIO("a,b\n1,\"x,y\"\n")))
print(rows)
out = io.StringIO()
w = csv.DictWriter(out, fieldnames=["a", "b"], lineterminator="\n")
w.writeheader()
w.writerow({"a": 1, "b": "q,r"})
print(out.getvalue())
print([dict(r) for r in csv.DictReader(["h1;h2", "1;2"], delimiter=";")], csv.Sniffer().sniff("a;b\n1;2\n").delimiter)
print(json.dumps({"b": [1, 2.5, None, True], "a": {"x": "é"}}, sort_keys=True, ensure_ascii=False, separators=(",", ":")))
print(json.loads('{"a": [1, 2, {"b": null}]}', object_pairs_hook=collections.OrderedDict), json.dumps({"d": dt.date(2024, 1, 2)}, default=str))
try:
    json.loads("{bad")
except json.JSONDecodeError as e:
    print(e.msg, e.pos, e.lineno, e)
d = dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.timezone.utc)
print(d.isoformat(), d + dt.timedelta(days=1), d.strftime("%b %d, %Y"), dt.datetime.fromisoformat("2024-01-01T00:00:00").year, d.date().isocalendar().week, (d - dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)).days)
print(dt.datetime.strptime("3 Mar 2024", "%d %b %Y").date(), dt.date.min, dt.time(5, 6).replace(minute=0), dt.timedelta(hours=2) / dt.timedelta(minutes=30))
c = Counter("abracadabra")
print(c.most_common(2), c["z"], c - Counter("aa"), sum(c.values()), c.total())
dd = defaultdict(lambda: defaultdict(list))
dd["a"]["b"].append(1)
dd.default_factory = None
print(json.dumps(dd), ChainMap({"a": 1}, {"b": 2})["b"], collections.deque([1, 2, 3]).rotate(1))
print(statistics.quantiles([1, 2, 3, 4], n=4), statistics.NormalDist(0, 1).cdf(0), statistics.median([3, 1, 2]), statistics.stdev([1, 2, 3]))
print(math.sqrt(16), math.isclose(1, 1 + 1e-12), math.inf > 5, math.ceil(1.2), math.perm(5, 2), round(math.sin(1), 4))
print(decimal.Decimal("1.10") + decimal.Decimal("2.2"), fractions.Fraction(3, 6), fractions.Fraction("0.25").limit_denominator())
with decimal.localcontext() as ctx:
    ctx.prec = 3
    print(decimal.Decimal(1) / 3)
h = [5, 1, 4]
heapq.heapify(h)
heapq.heappush(h, 0)
print(heapq.heappop(h), heapq.nlargest(2, h), bisect.bisect([1, 3, 5], 3), heapq.nsmallest(1, ["bb", "a"], key=len))
print(textwrap.fill("the quick brown fox", 10), textwrap.dedent("  a\n  b"), textwrap.shorten("hello wide world", 12), textwrap.TextWrapper(width=8).wrap("aaa bbb ccc"))
print(string.ascii_letters[:3], string.Template("$a ${b}").safe_substitute(a=1), string.Formatter().format("{0}-{x}", 1, x=2))
print(hashlib.sha256(b"x").hexdigest()[:8], hashlib.md5(b"y").hexdigest()[:8], base64.b64encode(b"hi").decode(), zlib.decompress(zlib.compress(b"z")), uuid.uuid5(uuid.NAMESPACE_DNS, "x").hex)
print(html.unescape("&lt;b&gt;"), urllib.parse.urlparse("http://a.b/c?d=e").netloc, urllib.parse.parse_qs("a=1&a=2"), urllib.parse.quote("a b"), unicodedata.normalize("NFKD", "é").encode("ascii", "ignore"))
print(difflib.get_close_matches("appel", ["ape", "apple"]), round(difflib.SequenceMatcher(None, "abc", "abd").ratio(), 2), list(difflib.unified_diff(["a"], ["b"], lineterm=""))[-1])
print(calendar.monthrange(2024, 2), calendar.month_name[3], calendar.isleap(2024), struct.unpack("<I", b"\x01\0\0\0"))
deep = {"a": [1, {"b": (2, 3)}], "n": None}
cp = copy.deepcopy(deep)
cp["a"][1]["b"] = 0
print(deep, copy.copy([1]), copy.deepcopy({1, 2}))
pprint.pprint({"key" + str(i): list(range(i)) for i in range(12)}, width=40)
print(pprint.pformat([1, {"a": 2}]))
rng = random.Random(42)
print(rng.randint(1, 100), rng.choice("abc"), rng.sample(range(10), 3))
random.seed(7)
print(random.random(), random.choices("ab", k=3), random.shuffle([1]))
ns = types.SimpleNamespace(a=1)
ns.b = [2]
ns.a += 1
print(ns, ns.b, vars(ns), ns == types.SimpleNamespace(a=2, b=[2]))
print(time.time() > 0, time.strftime("%Y", time.gmtime(0)), isinstance(time.perf_counter(), float))
print("{:>5}|{:<5}|{:^5}|{:+d}|{:08.3f}|{:,}|{:%}|{!r}".format("a", "b", "c", 5, 3.14159, 1234567, 0.5, "r"))
print("{0.year}-{0.month:02d} {1[a][b]} {2[0]}".format(d, {"a": {"b": 1}}, [9]), "{a.real} {b!s}".format(a=3, b=None), "%-5s|%05d|%.2f|%x" % ("a", 42, 2.5, 255))
print("{:{w}.{p}f}".format(2.71828, w=8, p=2), f"{'x':>{3}}", "{x}".format_map(defaultdict(int, x=1)))
print("a,b;c".replace(";", ",").split(","), "Hello"[::-1], "abc".translate(str.maketrans("ab", "xy")), "x=1".partition("="), "A B".casefold().split())
b = "naïve".encode()
print(b, b.decode("utf-8"), bytes.fromhex("6869"), bytearray(b"ab") + b"c", int.from_bytes(b"\1\0", "big"), (255).to_bytes(2, "little"), "é".encode("latin-1"), "x".encode("utf-16-le"))
print(sorted({"b": 1, "a": 2}.items()), max({"a": 1, "b": 3}, key={"a": 1, "b": 3}.get), dict(zip("ab", range(2))), sum(map(int, "123")), min([3, 1], default=0))
nested = [[1, [2, [3]]], 4]


def flatten(x):
    for i in x:
        if isinstance(i, list):
            yield from flatten(i)
        else:
            yield i


print(list(flatten(nested)), any(i > 3 for i in flatten(nested)), all([]), list(reversed([1, 2])), list(enumerate("a", 1)))
import numbers, operator, itertools, functools
print(isinstance(1.5, numbers.Real), operator.attrgetter("year", "month")(d), list(itertools.pairwise([1, 2, 3])), functools.partial(int, base=2)("101"))
print(int("12", 8), float("inf"), complex("1+2j").imag, 7 // 2, -7 % 3, 2**100, round(2.5), divmod(-7, 2), 0.1 + 0.2, 1e300 * 10, 5 .bit_length(), (3.0).is_integer())
print(sorted([3, "a", None], key=lambda v: (str(type(v)), str(v))), [1, 2] < [1, 3], "a" < "b", (1,) + (2,), [0] * 3, {1} | {2})
print(repr(range(3)), repr(slice(1)), repr(b"\x00"), repr({1: [2]}), repr(None), repr(...), ascii("é"), str(b"a", "ascii"))
print(*[1, 2], sep="-", end="!\n")
print("line1\tTab", 'q"uote', "back\\slash", """tri
ple""")
