"""An application as tests see it: jobs, and the code that dispatches them."""

from __future__ import annotations

from dataclasses import dataclass

from qcore import Job, batch, chain, job

ran: list[object] = []
"""What ran, in order."""


class Welcome(Job):
    def __init__(self, user_id: int) -> None:
        self.user_id = user_id

    def handle(self) -> None:
        ran.append(("welcome", self.user_id))


class SendMail(Job, queue="mail"):
    def __init__(self, user_id: object, subject: str = "hello") -> None:
        self.user_id = user_id
        self.subject = subject

    def handle(self) -> None:
        ran.append(("mail", self.user_id))


class Reminder(SendMail):
    """A subclass."""


@dataclass
class Audit(Job, queue="audit"):
    what: str

    def handle(self) -> None:
        ran.append(("audit", self.what))


class Login(Job):
    def __init__(self, name: str, password: str) -> None:
        self.name = name
        self.password = password

    def handle(self) -> None:
        ran.append(self.name)


class Broken(Job):
    def __init__(self, name: str = "a.csv") -> None:
        self.name = name

    def handle(self) -> None:
        message = f"cannot read {self.name}"
        raise ValueError(message)


class Flaky(Job, tries=4, backoff=(1, 5, 10)):
    """Fails so often as ``fails`` says."""

    def __init__(self, fails: int = 3) -> None:
        self.fails = fails

    def handle(self) -> None:
        if self.attempts() <= self.fails:
            message = f"attempt {self.attempts()}"
            raise ConnectionError(message)
        ran.append("flaky")


class Only(Job, unique=True):
    """Unique by its path."""

    def __init__(self, path: str = "a.csv") -> None:
        self.path = path

    def unique_id(self) -> str:
        return self.path

    def handle(self) -> None:
        ran.append(self.path)


@job(queue="mail")
def notify(user_id: int, language: str = "en") -> None:
    ran.append(("notify", user_id, language))


@job
async def fetch(url: str) -> None:
    ran.append(("fetch", url))


@job
def plain(name: str) -> None:
    ran.append(name)


def sign_up(user_id: int) -> None:
    """Dispatch what follows from a new user."""
    Welcome(user_id).dispatch()
    SendMail(user_id).dispatch(delay=60)


def import_all(paths: list[str]) -> None:
    """Dispatch a batch, and then a chain."""
    batch([Audit(path) for path in paths], name="import").then(notify.job(1)).dispatch()
    chain(Welcome(1), SendMail(1), notify.job(1)).dispatch()
