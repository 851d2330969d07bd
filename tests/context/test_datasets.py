"""HuggingFace datasets as contexts."""

import datasets
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.errors import ContextError


def test_rows_with_a_text_are_documents():
    dataset = datasets.Dataset.from_dict(
        {"id": ["a", "b"], "title": ["T", "U"], "text": ["Über", "y"], "year": [1999, None]}
    )
    first, second = Context.from_dataset(dataset).documents
    assert (str(first), first.title, first.id, first.metadata) == ("Über", "T", "a", {"year": 1999})
    assert (str(second), second.metadata) == ("y", {})


def test_the_column_with_the_text_can_be_named():
    dataset = datasets.Dataset.from_dict({"passage": ["x", None], "text": [1, 2]})
    documents = Context.from_dataset(dataset, text="passage").documents
    assert [str(document) for document in documents] == ["x", ""]
    with pytest.raises(ContextError, match="no column 'body', but 'passage', 'text'"):
        Context.from_dataset(dataset, text="body")


def test_rows_without_one_are_json_lines():
    dataset = datasets.Dataset.from_dict({"question": ["wer?", "wo?"], "n": [1, 2]})
    (document,) = Context.from_dataset(dataset).documents
    assert str(document) == '{"question": "wer?", "n": 1}\n{"question": "wo?", "n": 2}\n'
    assert document.metadata == {"kind": "jsonl"}


def test_streamed_rows_and_plain_dicts():
    rows = [{"content": "a"}, {"content": "b"}]
    stream = datasets.IterableDataset.from_generator(lambda: iter(rows))
    for dataset in (stream, rows):
        assert len(Context.from_dataset(dataset).documents) == 2


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["x"]})}),
            r"\['train'\]",
        ),
        (datasets.Dataset.from_dict({"text": []}), "has no rows"),
        (["no", "dicts"], "has no rows"),
    ],
)
def test_what_is_no_dataset_is_named(dataset, message):
    with pytest.raises(ContextError, match=message):
        Context.from_dataset(dataset)
