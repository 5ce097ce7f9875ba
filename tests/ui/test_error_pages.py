"""A database that does not answer is told in words and as 503; what nobody foresaw stays a 500."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError, connection

pytestmark = pytest.mark.django_db


def answer_while(pages, error, **headers):
    """Open a page while each statement fails."""

    def fail(*_arguments):
        raise error

    pages.raise_request_exception = False
    with connection.execute_wrapper(fail):
        return pages.get("/jobs/", **headers)


@pytest.mark.parametrize("error", [OperationalError("server closed"), InterfaceError("connection already closed")])
def test_a_database_out_of_reach_is_a_503_that_says_what_to_do(pages, error):
    answer = answer_while(pages, error)
    text = answer.content.decode()
    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
    assert "The database does not answer" in text
    assert "Wait a few seconds and try again" in text
    assert "server closed" not in text


def test_what_nobody_foresaw_is_a_500(pages):
    answer = answer_while(pages, ZeroDivisionError())
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
