"""Notices by mail, to a real mail server."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from django.contrib.auth import get_user_model

from kmes.core.actor import SYSTEM
from logging_reports.models import Delivery
from logging_reports.notices import channels, deliveries
from tests.logging_reports.notice_sending import (
    development_settings,
    empty_redis,
    fail_job,
    mailbox,
    make_due,
    make_mail,
    run_worker,
)

__all__ = ["development_settings", "empty_redis", "mailbox"]
pytestmark = pytest.mark.django_db(transaction=True)


def parse_mail(text):
    return message_from_bytes(text.encode(), policy=policy.default)


def test_a_mail_reaches_all_recipients_with_a_link(mailbox, empty_redis):
    make_mail(["ann@example.com", "bob@example.com"])
    fail_job("Synchronize paymentsö: no")
    run_worker(empty_redis)
    ((sender, recipients, text),) = mailbox.messages
    mail = parse_mail(text)
    assert (sender, recipients) == ("kmes@example.com", ["ann@example.com", "bob@example.com"])
    assert mail["Subject"] == "[KMES] Critical: Job failed"
    assert mail["Message-ID"] == f"<{Delivery.objects.get().pk}@kmes>"
    body = mail.get_body().get_content()
    assert "Synchronize paymentsö: no" in body
    assert "https://kmes.example.com/jobs/7F3KQ2/" in body


def test_a_mail_server_that_is_busy_is_asked_again(mailbox):
    make_mail(["ann@example.com"])
    mailbox.refuse = 1
    fail_job()
    deliveries.deliver_due()
    assert "451" in Delivery.objects.get().last_answer
    make_due()
    deliveries.deliver_due()
    assert len(mailbox.messages) == 1
    assert Delivery.objects.get().state == "delivered"


def test_without_a_mail_server_it_says_what_to_set():
    make_mail(["ann@example.com"])
    fail_job()
    deliveries.deliver_due()
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert "KMES_EMAIL_HOST" in delivery.last_answer


def test_a_personal_mail_goes_to_the_accounts_address_and_stops_with_the_account(mailbox):
    user = get_user_model().objects.create_user("ann", role="auditor", email="old@example.com")
    channels.set_own_mail(user.pk, {"jobs": "error"}, actor=SYSTEM)
    user.email = "ann@example.com"
    user.save()
    fail_job()
    deliveries.deliver_due()
    assert [recipients for _sender, recipients, _text in mailbox.messages] == [["ann@example.com"]]
    user.is_active = False
    user.save()
    fail_job()
    deliveries.deliver_due()
    assert len(mailbox.messages) == 1


def test_a_line_break_in_a_message_makes_no_header(mailbox):
    make_mail(["ann@example.com"])
    fail_job("x\r\nBcc: eve@example.com")
    deliveries.deliver_due()
    ((_sender, recipients, text),) = mailbox.messages
    assert recipients == ["ann@example.com"]
    assert parse_mail(text)["Bcc"] is None
