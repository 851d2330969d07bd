"""Citations as outputs: submitted in any form, verified against the input, told back once."""

import dspy
import pytest
from pydantic import BaseModel, TypeAdapter

from rlm_dspy import RLM, Citation, Context, RLMOptions
from rlm_dspy.citations import citations_in, holds_citations, only_citations, with_citations
from rlm_dspy.testing import ScriptedLM, code

SHIPS = "\n".join(f"Line {n}: ship number {n} carries {n * 7} tons." for n in range(1, 200))
CONTEXT = Context.from_documents(
    [
        {"title": "ships.md", "path": "in/ships.md", "text": SHIPS},
        {"title": "crew.pdf#page=3", "path": "in/crew.pdf", "text": "The mate is\nOttilie Roth."},
        {"title": "notes", "text": "Ship number 7 sank."},
    ]
)
SIGNATURE = "context, query -> answer: str, citations: list[Citation]"


def ran(*steps, signature=SIGNATURE, context=CONTEXT, **options):
    lm = ScriptedLM([code(step) for step in steps])
    with dspy.context(lm=lm):
        return RLM(signature, **options)(context=context, query="Which ship sank in 1850?"), lm


def cited(submit):
    result, _ = ran(f"SUBMIT('x', [{submit}])")
    [citation] = result.run.citations
    assert result.citations == [citation]
    return citation


@pytest.mark.parametrize(
    ("submit", "how", "place"),
    [
        ("context.grep('number 42 ')[0]", "exact", "in/ships.md:42"),
        ("context.grep('number 42 ')[0][9:20]", "exact", "in/ships.md:42"),
        ("context.search('mate', k=1)[0].strip()", "exact", "in/crew.pdf#page=3"),
        ("context.documents[2]", "exact", "notes:1"),
        ("Citation(context.grep('number 42 ')[0])", "exact", "in/ships.md:42"),
        ("Citation('ship number 9 carries', 'ships.md')", "exact", "in/ships.md:9"),
        ("{'quote': 'SHIP number 7', 'source': 'notes'}", "normalised", "notes:1"),
        ("{'quote': context.grep('sank')[0], 'source': None}", "exact", "notes:1"),
        ("'the mate is ottilie'", "normalised", "in/crew.pdf#page=3"),
        ("str(context.grep('number 42 ')[0])", "exact", "in/ships.md:42"),
        ("Citation('carries', 'ships.md:30')", "exact", "in/ships.md:30"),
        ("Citation('Line 5: the ship number 5 carries 35 tons', 'gone')", "fuzzy", "in/ships.md:5"),
    ],
)
def test_every_form_of_a_citation(submit, how, place):
    found = cited(submit)
    assert (found.how, found.place, found.variable) == (how, place, "context")
    assert found.text == CONTEXT[found.start : found.end]
    assert found.verified


def test_a_quote_that_is_nowhere_goes_back_once_and_is_marked():
    wrong = "SUBMIT('x', ['ship number 8 carries 57 tons', 'the moon is made of cheese'])"
    result, lm = ran(wrong, wrong)
    assert len(lm.asked) == 2
    told = result.trajectory[0]["output"]
    assert "nearest is ships.md:8" in told
    assert "cheese'" in told
    assert [citation.how for citation in result.run.citations] == ["unverified"] * 2
    assert str(result.run.citations[0]) == '"ship number 8 carries 57 tons" (unverified)'
    assert result.run.status == "completed"


def test_a_planner_that_mends_its_quote():
    result, _ = ran("SUBMIT('x', ['cheese'])", "SUBMIT('x', [context.grep('sank')[0]])")
    assert [citation.place for citation in result.run.citations] == ["notes:1"]


def test_in_the_last_step_it_is_marked_at_once():
    result, lm = ran("SUBMIT('x', ['cheese'])", max_iters=1)
    assert (len(lm.asked), result.run.status) == (1, "completed")
    assert not result.run.citations[0].verified


def test_the_question_is_no_source():
    assert not cited("'sank in 1850'").verified


def test_what_code_claims_of_a_citation_is_not_believed():
    lie = "{'quote': 'cheese', 'how': 'exact', 'ratio': 1.0, 'line': 3, 'start': 0, 'end': 6}"
    found = cited(lie)
    assert found == Citation(quote="cheese")
    assert cited("{'quote': 'number 3 ', 'start': 0, 'end': 9}").line == 3


def test_too_long_a_quote_is_refused_in_the_step():
    long = Context.from_text("word " * 10_000)
    result, _ = ran("SUBMIT('x', [context])", "SUBMIT('x', [context[:9]])", context=long)
    assert "cite passages of at most 20,000" in result.trajectory[0]["output"]
    assert result.run.citations[0].how == "exact"


class Claim(BaseModel):
    text: str
    sources: list[Citation]


class Claims(dspy.Signature):
    context: str = dspy.InputField()
    query: str = dspy.InputField()
    claims: list[Claim] = dspy.OutputField()
    best: Citation | None = dspy.OutputField()


def test_citations_within_the_users_own_types():
    submit = (
        "hit = context.grep('sank')[0]\n"
        "sources = [hit, Citation('Ottilie', 'crew.pdf')]\n"
        "SUBMIT(claims=[{'text': hit, 'sources': sources}], best=None)"
    )
    result, _ = ran(submit, signature=Claims)
    assert result.claims[0].text == "Ship number 7 sank."
    assert [c.place for c in result.run.citations] == ["notes:1", "in/crew.pdf#page=3"]
    assert result.claims[0].sources == list(result.run.citations)


def test_the_direct_route_and_the_last_extraction_are_verified_too():
    said = '[[ ## answer ## ]]\nx\n\n[[ ## citations ## ]]\n[{"quote": "Ottilie", "source": null}]'
    with dspy.context(lm=ScriptedLM([said])):
        direct = RLM(SIGNATURE, options=RLMOptions(route="direct"))(context=CONTEXT, query="q")
    with dspy.context(lm=ScriptedLM([code("x = 1"), said])):
        extracted = RLM(SIGNATURE, max_iters=1)(context=CONTEXT, query="q")
    assert (direct.run.planned_by, extracted.run.status) == ("direct", "partial")
    for result in (direct, extracted):
        assert [c.place for c in result.run.citations] == ["in/crew.pdf#page=3"]


def test_several_inputs_and_lists_of_texts():
    class Two(dspy.Signature):
        letters: list[str] = dspy.InputField()
        log: str = dspy.InputField()
        query: str = dspy.InputField()
        source: Citation = dspy.OutputField()

    submit = "SUBMIT(source='rain in ulm')"
    with dspy.context(lm=ScriptedLM([code(submit)])):
        result = RLM(Two)(letters=["Dear Eva,", "Rain in Ulm."], log="A ship.", query="q")
    assert (result.source.variable, result.source.document) == ("letters", "document 2")


def test_models_are_asked_for_the_quote_and_the_source_alone():
    schema = TypeAdapter(list[Citation]).json_schema()["$defs"]["Citation"]
    assert list(schema["properties"]) == ["quote", "source"]


def test_without_citations_there_are_none():
    result, lm = ran("SUBMIT('x')", signature="context, query -> answer")
    assert result.run.citations == ()
    assert "Citation" not in lm.asked[0].system


def test_values_that_hold_citations():
    one, other = Citation(quote="a"), Citation(quote="b")
    value = {"x": (one, ["text"]), "y": Claim(text="t", sources=[other])}
    assert list(citations_in(value)) == [one, other]
    marked = with_citations(value, lambda c: c.model_copy(update={"line": 3}))
    assert [c.line for c in citations_in(marked)] == [3, 3]
    assert list(citations_in(value)) == [one, other]
    plain = Claim(text="t", sources=[])
    assert with_citations(plain, lambda c: c) is plain


def test_types_that_hold_citations():
    class Tree(BaseModel):
        children: "list[Tree]"

    assert all(map(holds_citations, [Citation, list[Citation], Citation | None, list[Claim]]))
    assert not any(map(holds_citations, [str, list[int], Tree, dict[str, str] | None]))
    assert all(map(only_citations, [Citation, list[Citation], list[Citation] | None]))
    assert not any(map(only_citations, [str, Claim, dict[str, Citation], list[str | Citation]]))
