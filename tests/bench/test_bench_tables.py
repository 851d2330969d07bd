import pytest

from bench.tables import megabytes, seconds, table


def test_a_table_keeps_its_columns_whatever_its_cells_hold():
    assert table(["a", "b"], [["x | y", "two\nlines"]]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x \\| y | two lines |",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0000456, "0.05 ms"), (0.00153, "1.53 ms"), (0.0114, "11.4 ms"), (0.35, "0.35 s"),
        (12.34, "12.3 s"), (820.4, "820 s"),
    ],
)  # fmt: skip
def test_a_time_has_the_unit_that_suits_it(value, shown):
    assert seconds(value) == shown


def test_a_size_is_in_megabytes():
    assert megabytes(1_234_567_890) == "1,235 MB"
