"""Sending a message on a channel: log, webhook, e-mail. A channel that fails says why and stops nobody."""

import json
import logging
import os
import smtplib
import ssl
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from http.client import HTTPMessage, InvalidURL
from typing import IO

from evergreen.config import Channel, EmailChannel, LogChannel, WebhookChannel
from evergreen.errors import EvergreenError
from evergreen.incidents import Message

TIMEOUT = 5  # seconds, for each answer that is waited for


@dataclass(frozen=True)
class Receipt:
    """What a channel did with a message; `problem` is None where it took it."""

    channel: str
    problem: str | None

    def __str__(self) -> str:
        return f"{self.channel}: {'sent' if self.problem is None else f'FAILED, {self.problem}'}"


class ChannelError(EvergreenError):
    """A channel is not set up; the message says what is missing and never what a secret holds."""


def send(channel: Channel, message: Message, product: str, log: logging.Logger) -> Receipt:
    """Send a message; raises nothing: the receipt says what went wrong."""
    problem = None
    try:
        if isinstance(channel, LogChannel):
            log.warning("ALERT %s", _headed(message, product))
        elif isinstance(channel, WebhookChannel):
            _post(channel, message, product)
        else:
            _mail(channel, message)
    except ChannelError as refused:
        problem = str(refused)
    except Exception as failed:  # whatever a receiver does wrong, the loop and the other channels go on
        problem = f"{type(failed).__name__}: {failed}"
    return Receipt(channel.name, problem)


def _headed(message: Message, product: str) -> str:
    """The text for places without a subject line."""
    return f"[{product}] {message.text}"


def _post(channel: WebhookChannel, message: Message, product: str) -> None:
    url = _secret(channel.url_from)
    body = json.dumps({"text": _headed(message, product), "product": product, "incidents": message.fields}).encode()
    if not url.startswith(("https://", "http://")):
        raise ChannelError(f"{channel.url_from} holds no http(s) address")
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
        urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT).close()
    except (ValueError, InvalidURL):  # their messages quote the address, which is a secret
        raise ChannelError(f"{channel.url_from} holds no valid address") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body: an error instead."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _mail(channel: EmailChannel, message: Message) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, channel.sender, ", ".join(channel.to)
    mail["Date"], mail["Message-ID"] = localtime(), make_msgid(domain=channel.sender.partition("@")[2])
    mail.set_content(message.text, cte="quoted-printable")
    password = _secret(channel.password_from) if channel.password_from else None
    with _connected(channel) as server:
        if channel.user is not None and password is not None:
            server.login(channel.user, password)
        refused = server.send_message(mail)
    if refused:
        raise ChannelError(f"{channel.host} refused {', '.join(refused)}")


def _connected(channel: EmailChannel) -> smtplib.SMTP:
    if channel.security == "ssl":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=TIMEOUT, context=ssl.create_default_context())
    server = smtplib.SMTP(channel.host, channel.port, timeout=TIMEOUT)
    if channel.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except Exception:
            server.close()
            raise
    return server


def _secret(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ChannelError(f"the environment variable {variable} is not set where this process runs")
    return value
