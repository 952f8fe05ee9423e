"""Receivers of alerts on loopback: a webhook and a mail server, each remembering what it was sent."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that answers `status`, and the JSON bodies that were posted to it."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with _serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/hook", bodies


@contextmanager
def mail_server(recipient: int = 250, greeting: int = 220) -> Iterator[tuple[int, list[str]]]:
    """A port that speaks as much SMTP as a mail without TLS needs, and the mails that it took. The codes are its answers."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say(f"{greeting} here")
            while line := self.rfile.readline().decode().strip():
                word = line.split()[0].upper()
                self.say({"RCPT": f"{recipient} so", "DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 fine"))
                if word == "DATA":
                    mails.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                    self.say("250 taken")
                if word == "QUIT":
                    return

    with _serving(socketserver.TCPServer(("127.0.0.1", 0), Handler)) as port:
        yield port, mails


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
