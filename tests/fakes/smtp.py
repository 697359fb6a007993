"""A mail server on the loopback address that takes, refuses or puts off what it is told to (RFC 5321)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast


@dataclass
class FakeMailServer:
    """`answers`: what it says to the next recipients, one each; then, and without any, it takes the mail."""

    url: str = ""
    answers: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 fake ESMTP\r\n")
        while line := (await reader.readline()).decode():
            match line.split(":")[0].split()[0].upper():
                case "RCPT":
                    answer = self.answers.pop(0) if self.answers else "250 OK"
                    if answer.startswith("250"):
                        self.recipients.append(line.split("<")[1].split(">")[0])
                    writer.write(f"{answer}\r\n".encode())
                case "DATA":
                    writer.write(b"354 Go on\r\n")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(cast(EmailMessage, message_from_bytes(body[:-5], policy=default)))
                    writer.write(b"250 Taken\r\n")
                case "QUIT":
                    writer.write(b"221 Bye\r\n")
                    break
                case _:
                    writer.write(b"250 OK\r\n")
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[FakeMailServer]:
    fake = FakeMailServer()
    server = await asyncio.start_server(fake.talk, "127.0.0.1", 0)
    fake.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield fake
