"""Each channel against a receiver on loopback, and against what goes wrong there."""

import email
import email.policy
import logging
import socket

import pytest

from evergreen.incidents import Message
from pipelines.channels import Receipt, send
from tests.evergreen.builders import shop
from tests.pipelines.receivers import mail_server, webhook

LOG = logging.getLogger("test")
MESSAGE = Message(
    "[shop] critical, new: ñot good", "New: ñot good\nWhat to do: look", [{"incident": "a#1", "seen": 2}], ["a#1"]
)


def told(**channel: object) -> Receipt:
    [declared] = shop({"alerts": {"channels": [channel]}}).alerts.channels
    return send(declared, MESSAGE, "shop", LOG)


def mail(port: int, **changes: object) -> Receipt:
    settings = {"to": ["a@x.org", "b@x.org"], "sender": "me@x.org", "host": "127.0.0.1", "security": "none"}
    return told(kind="email", port=port, **settings | changes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_log_holds_the_whole_message(caplog):
    assert told(kind="log").problem is None
    assert caplog.messages == [f"ALERT [shop] {MESSAGE.text}"]


def test_a_webhook_gets_a_text_to_show_and_the_same_as_fields(monkeypatch):
    with webhook() as (url, bodies):
        monkeypatch.setenv("HOOK", url)
        assert told(kind="webhook", url_from="HOOK").problem is None
    assert bodies == [
        {
            "text": f"[shop] {MESSAGE.text}",
            "product": "shop",
            "incidents": [{"incident": "a#1", "seen": 2}],
        }
    ]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_or_sends_elsewhere_has_not_been_told(monkeypatch, status):
    with webhook(status) as (url, bodies):
        monkeypatch.setenv("HOOK", url)
        assert f"HTTP Error {status}" in str(told(kind="webhook", url_from="HOOK").problem)
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "the environment variable HOOK is not set where this process runs"),
        ("  ", "the environment variable HOOK is not set where this process runs"),
        ("file:///s3cret", "HOOK holds no http(s) address"),
        ("http://127.0.0.1:port/s3cret", "HOOK holds no valid address"),
        ("http://127.0.0.1/a s3cret", "HOOK holds no valid address"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_by_its_variable_alone(monkeypatch, value, problem):
    monkeypatch.delenv("HOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("HOOK", value)
    assert told(kind="webhook", url_from="HOOK").problem == problem


def test_nobody_listening_is_a_problem_and_no_exception(monkeypatch):
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{free_port()}/")
    assert "Connection refused" in str(told(kind="webhook", url_from="HOOK").problem)
    assert "Connection refused" in str(mail(free_port()).problem)


def test_a_mail_reaches_everyone_with_its_text(monkeypatch):
    with mail_server() as (port, mails):
        assert mail(port).problem is None
    [text] = mails
    read = email.message_from_string(text, policy=email.policy.default)
    assert (read["Subject"], read["From"], read["To"]) == (MESSAGE.subject, "me@x.org", "a@x.org, b@x.org")
    assert read.get_content().replace("\r\n", "\n") == f"{MESSAGE.text}\n"


def test_a_mail_server_that_refuses_has_not_been_told():
    with mail_server(recipient=550) as (port, mails):
        assert "550" in str(mail(port).problem)
    with mail_server(greeting=554) as (port, more):
        assert "554" in str(mail(port).problem)
    assert mails == more == []


def test_without_the_encryption_that_was_asked_for_nothing_is_said(monkeypatch):
    monkeypatch.setenv("PASSWORD", "s3cret")
    with mail_server() as (port, mails):
        login = {"user": "me", "password_from": "PASSWORD"}
        assert "STARTTLS extension not supported" in str(mail(port, security="starttls", **login).problem)
    monkeypatch.delenv("PASSWORD")
    assert mail(port, security="ssl", **login).problem == (
        "the environment variable PASSWORD is not set where this process runs"
    )
    assert mails == []
