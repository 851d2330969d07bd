"""A piece of a context that leaves the REPL says where it stands; whoever lies is refused."""

import pickle

import pytest

from rlm_dspy import Context, RestrictedInterpreter
from rlm_dspy.placed import Origin, Placed, joined, origins_of, plain, takes_origins
from rlm_dspy.repl.answers import read_answer
from rlm_dspy.repl.plain import to_placed
from rlm_dspy.repl.protocol import ProtocolError
from rlm_dspy.repl.values import decode, encode
from rlm_dspy.wire import MOST_FOUND

TEXT = "The grass grows.\nThe ship leaves.\n" * 100


def test_they_cross_as_they_are():
    context = Context.from_text(TEXT)
    sent = decode(encode([context[4:9], "plain", {"a": context.lines(2, 2)[0]}], to_placed))
    assert sent == ["grass", "plain", {"a": "The ship leaves."}]
    assert origins_of(sent[0]) == (Origin(context._number, 4, 9),)
    assert origins_of(sent[1]) == ()
    assert origins_of(sent[2]["a"]) == (Origin(context._number, 17, 33),)


@pytest.mark.parametrize(
    "body",
    [
        '["a",1,2]',
        '["a",1,3,2]',
        '["a",-1,0,1]',
        '["a",0,0,true]',
        '["a",0,0,1.5]',
        "[1,0,0,1]",
        '"a"',
        '{"v":1}',
        '["a",0,0,99999999999999999999]',
    ],
)
def test_malformed_places_are_refused(body):
    with pytest.raises(ProtocolError):
        decode(f'{{"$":"placed","v":{body}}}'.encode())


def test_the_host_is_told_where_arguments_come_from():
    context, heard = Context.from_text(TEXT), []

    @takes_origins
    def tell(*args):
        heard.extend(args)

    with RestrictedInterpreter(tools={"tell": tell}) as repl:
        source = "tell(context[4:9], context[4:9].upper(), [context.grep('ship')[1]], 'x' * 1)"
        repl.execute(source, {"context": context})
    assert heard == ["grass", "GRASS", ["The ship leaves."], "x"]
    assert origins_of(heard[0]) == (Origin(context._number, 4, 9),)
    assert origins_of(heard[2][0]) == (Origin(context._number, 51, 67),)
    assert origins_of(heard[1]) == origins_of(heard[3]) == ()


def test_what_is_submitted_is_plain():
    context = Context.from_text(TEXT)
    with RestrictedInterpreter(output_fields=[{"name": "answer"}]) as repl:
        result = repl.execute("SUBMIT(answer=context[4:9])", {"context": context})
    assert type(result.output["answer"]) is str


def test_what_comes_back_is_plain():
    context = Context.from_text(TEXT)
    with RestrictedInterpreter(tools={"same": lambda text: [text]}) as repl:
        said = repl.execute("same(context[4:9])", {"context": context})
    assert said == "['grass']\n"


def test_what_searches_found_is_told():
    context = Context.from_text(TEXT)
    with RestrictedInterpreter() as repl:
        repl.execute("context.grep('ship', max_hits=2)", {"context": context})
        number = context._number
        assert repl.found == (Origin(number, 17, 33), Origin(number, 51, 67))
        repl.execute("1 + 1", {"context": context})
        assert repl.found == ()
        repl.execute("many = [context.grep('ship') for _ in range(200)]", {"context": context})
        assert len(repl.found) == 100


def answer(found):
    done = {"op": "done", "kind": "ok", "output": "", "error_type": "", "message": ""}
    return read_answer({**done, "found": found}, 100)


def test_a_report_without_it():
    assert answer(None).found == ()
    assert answer([(0, 1, 2)]).found == (Origin(0, 1, 2),)


@pytest.mark.parametrize(
    "found",
    ["x", [[0, 1, 2]], [(0, 1)], [(0, 2, 1)], [(-1, 0, 1)], [(0, 0, 1 << 70)], [(0, 0, True)]],
)
def test_malformed_reports_are_refused(found):
    with pytest.raises(ProtocolError):
        answer(found)


def test_a_report_that_is_too_long():
    with pytest.raises(ProtocolError):
        answer([(0, 1, 2)] * (MOST_FOUND + 1))


def test_places_stay_through_joining_and_pickling():
    text = joined(", ", ["a", Placed("b", [Origin(1, 2, 3)]), Placed("c", [Origin(1, 5, 6)])])
    assert text == "a, b, c"
    assert origins_of(pickle.loads(pickle.dumps(text))) == (Origin(1, 2, 3), Origin(1, 5, 6))
    assert type(joined(", ", ["a", "b"])) is str


def test_without_places():
    placed = Placed("b", [Origin(1, 2, 3)])
    bare = plain({"a": [placed, (placed, 1)], "b": {placed}})
    assert bare == {"a": ["b", ("b", 1)], "b": {"b"}}
    assert {type(bare["a"][0]), type(bare["a"][1][0]), type(next(iter(bare["b"])))} == {str}
