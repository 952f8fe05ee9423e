"""What a product is for is stated once, in its file, and read from there."""

from evergreen.product_page import facts, page_of
from tests.evergreen.builders import shop

STATED = {"stakeholders": ["customers who are called", "the returns desk"], "risks": ["a call may feel like pressure"]}


def test_the_page_says_what_the_file_says_and_nothing_else():
    assert facts(shop(STATED)) == {
        "Question": ["Will the order come back?"],
        "Decision": ["call the customer"],
        "What it costs": [
            "true positive: 2 dollars",
            "false positive: 2 dollars",
            "false negative: 10 dollars",
            "true negative: 0 dollars",
        ],
        "Good enough": ["expected cost of at most 1.8 dollars a row"],
        "Service levels": [
            "predictions no older than 26h",
            "99% of single rows scored within 50ms",
            "a model file of at most 100 MB",
        ],
        "Owner": ["team:shop"],
        "Who is affected": ["customers who are called", "the returns desk"],
        "Known risks of harm": ["a call may feel like pressure"],
    }


def test_one_fact_is_a_line_several_are_a_list_and_none_is_said_to_be_none():
    page = page_of(shop({"stakeholders": STATED["stakeholders"]}))
    assert "**Owner:** team:shop" in page
    assert "**Who is affected:**\n\n- customers who are called\n- the returns desk" in page
    assert page.endswith("**Known risks of harm:** not stated in the product file")


def test_the_page_makes_no_other_recipe():
    assert shop(STATED).recipe == shop().recipe
