"""Whom a guided command asks: the person at the terminal, or nobody."""

from typing import Protocol

import typer


class Unanswered(Exception):
    """Something has to be said, and nobody is there to be asked; the message says which option says it."""


class Asking(Protocol):
    """Where answers come from."""

    def text(self, question: str, option: str, default: str | None = None) -> str:
        """A word or a line. `option` is what says it without being asked. Raises Unanswered, typer.Abort."""

    def secret(self, question: str, option: str) -> str:
        """As `text`, and not shown while it is typed."""

    def choice(self, question: str, option: str, default: str | None) -> str:
        """As `text`, but may be left empty."""

    def agreed(self, question: str) -> bool:
        """Yes or no."""


class Person:
    """Somebody at the terminal. What is asked goes to the error output, so that the other can be kept."""

    def text(self, question: str, option: str, default: str | None = None) -> str:
        return str(typer.prompt(question, default=default, err=True)).strip()

    def secret(self, question: str, option: str) -> str:
        return str(typer.prompt(question, hide_input=True, err=True)).strip()

    def choice(self, question: str, option: str, default: str | None) -> str:
        return str(typer.prompt(question, default=default or "", show_default=bool(default), err=True)).strip()

    def agreed(self, question: str) -> bool:
        return typer.confirm(question, default=False, err=True)


class Nobody:
    """`--yes`: what has a default is that, everything is agreed to, and what is missing ends the command."""

    def text(self, question: str, option: str, default: str | None = None) -> str:
        if default is None:
            raise Unanswered(f"{question} is not said, and with --yes nobody is asked: give {option}.")
        return default

    def secret(self, question: str, option: str) -> str:
        return self.text(question, option)

    def choice(self, question: str, option: str, default: str | None) -> str:
        return default or ""

    def agreed(self, question: str) -> bool:
        return True
