"""Numbers as people read them."""

from piti.units import decimals, span, with_interval


def test_times_have_the_unit_that_a_person_would_choose():
    hours = (0, 5e-5, 0.2 / 3600, 59 / 3600, 14 / 60, 0.9951, 3.21, 9.96, 1834.4)
    said = ["0 s", "0.18 s", "0.2 s", "59 s", "14 min", "1.0 h", "3.2 h", "10 h", "1,834 h"]
    assert [span(number) for number in hours] == said


def test_small_numbers_have_two_digits_and_large_ones_a_decimal():
    assert [decimals(value) for value in (0, 1e-15, 0.0364, -0.31, 0.99, 1.0, 8.9, 401.9)] == [1, 4, 3, 2, 2, 1, 1, 1]


def test_a_number_has_the_digits_that_its_interval_deserves():
    assert with_interval(0.04, -0.1231, 0.2139) == "0.04 (-0.12 to 0.21)"
    assert with_interval(101.84, 93.1, 110.2) == "101.8 (93.1 to 110.2)"
    assert with_interval(-1e-9, -0.0, 0.5) == "0.00 (0.00 to 0.50)"
