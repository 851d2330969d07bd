"""What Python has gained since 3.11, in honest code: what is allowed, what is refused, and how.

Where this Python lacks the syntax, the tests hold that it says so.
"""

import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from rlm_dspy.repl.annotations import DEFERRED, annotated
from rlm_dspy.repl.namespace import Namespace
from rlm_dspy.repl.policy import Refused, compile_step
from rlm_dspy.repl.versions import FIRST, LAST, untried

CORPUS = Path(__file__).parent / "corpus"
# Named after the version that brought their syntax: python312.py.
NEWER = {
    (3, int(path.stem.removeprefix("python3"))): path
    for path in sorted((CORPUS / "newer").glob("*.py"))
}
deferred = pytest.mark.skipif(not DEFERRED, reason="annotations are functions from 3.14 on")


def run(code):
    return Namespace(lambda *call: None).run(code)


def refusal(code):
    with pytest.raises((Refused, SyntaxError)) as caught:
        compile_step(code, "<step>", frozenset({"SUBMIT"}))
    return caught.value


@pytest.mark.parametrize("version", NEWER, ids=lambda version: NEWER[version].stem)
def test_newer_code_prints_what_plain_python_prints(version):
    program = NEWER[version].read_text(encoding="utf-8")
    result = run(program)
    if sys.version_info < version:
        assert result.kind == "syntax"
        return
    plain = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert (result.message, result.output) == ("", plain.stdout)


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ((3, 12), "def f[_x_](): pass", "reserved"),
        ((3, 12), "class C[T: x.__globals__]: pass", "`__globals__`"),
        ((3, 12), "type X[*__a__] = int", "reserved"),
        ((3, 12), "type SUBMIT = int", "belongs to the REPL"),
        ((3, 12), "type X = f.__code__", "`__code__`"),
        ((3, 12), "type X = int\nX.__value__", "`__value__`"),
        ((3, 12), "def f[T](): pass\nf.__type_params__", "`__type_params__`"),
        ((3, 13), "def f[T = x.__globals__](): pass", "`__globals__`"),
        ((3, 13), "class C[*Ts = *x.__mro_entries__]: pass", "`__mro_entries__`"),
        ((3, 14), "t'{x}'", "f-string"),
        ((3, 14), "f'{t'{x}'}'", "f-string"),
        ((3, 14), "try: pass\nexcept* A, B: pass", "except ExceptionGroup"),
        ((3, 11), "C.__annotate__", "`__annotate__`"),
        ((3, 11), "class C:\n    def __annotate__(form): pass", "reserved"),
        ((3, 11), "class C:\n    def __buffer__(self, flags): pass", "reserved"),
        ((3, 11), "C.__static_attributes__", "`__static_attributes__`"),
    ],
)
def test_refused_with_advice(version, code, words):
    if sys.version_info < version:
        assert isinstance(refusal(code), SyntaxError)
    else:
        assert words in str(refusal(code))


def test_a_parameter_specification_gives_its_arguments():
    code = "import typing\nP = typing.ParamSpec('P')\nprint(P.args, P.kwargs)\n"
    assert run(code).output == "P.args P.kwargs\n"
    assert run(code + "getattr(P, '__bound__')").kind == "policy"


# Annotations


def codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*.py")), ids=lambda path: path.stem)
def test_no_class_or_module_has_an_annotation_function(path):
    try:
        step = compile_step(path.read_text(encoding="utf-8"), "<step>", frozenset())
    except SyntaxError:
        assert path in NEWER.values()
        return
    stored = {name for code in codes(step) for name in code.co_names}
    assert not stored & {"__annotate__", "__annotate_func__", "__conditional_annotations__"}


def test_what_a_field_does_not_know_yet_is_a_text_from_314_on():
    code = "class C:\n    later: list[Later]\n    known: int = 1\nprint(C.__annotations__)"
    shown = "{'later': 'list[Later]', 'known': <class 'int'>}\n"
    assert run(code).output == (shown if DEFERRED else "")
    assert run(f"from __future__ import annotations\n{code}").output == (
        "{'later': 'list[Later]', 'known': 'int'}\n"
    )


@pytest.mark.parametrize("where", ["", "if True:\n    ", "for i in [1]:\n    "])
def test_a_variable_of_the_top_level_may_be_annotated(where):
    assert run(f"{where}x: int = 3\nprint(x)").output == "3\n"
    assert run(f"{where}x: int\nprint('fine')").output == "fine\n"


@deferred
def test_a_function_answers_for_its_own_annotations():
    import annotationlib

    def known(x: int) -> str: ...

    def unknown(x: Later): ...  # noqa: F821

    assert annotated(known) is known
    get, forms = annotationlib.get_annotations, annotationlib.Format
    annotated(unknown)
    assert get(known) == {"x": int, "return": str}
    assert get(known, format=forms.FORWARDREF) == {"x": int, "return": str}
    assert get(unknown, format=forms.FORWARDREF) == {}
    assert get(unknown, format=forms.STRING) == {}
    with pytest.raises(NameError):
        get(unknown)


# Versions


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (4, 0)])
def test_an_untried_python_is_refused(version):
    why = untried(version)
    assert ".".join(map(str, version)) in why
    assert "use Python 3.11 to 3.14" in why


def test_a_tried_python_is_taken_if_it_has_the_lock():
    for minor in range(FIRST[1], LAST[1] + 1):
        assert untried((3, minor), free_threaded=False) == ""
        assert "free-threaded" in untried((3, minor), free_threaded=True)
