"""Signing in and out, attempts, passwords and one-time links, asked over the bus."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from deploy import topology
from services.accounts.models.people import SessionRow
from services.accounts.use_cases import attempts, passwords
from shared import clock
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.messages import ResolveCredential
from shared.contracts.accounts.people import (
    ChangePassword,
    CreateUser,
    EndSession,
    GetMe,
    ListSessions,
    RedeemPasswordReset,
    RequestPasswordReset,
    SignedIn,
    SignIn,
    SignOut,
    SignOutEverywhere,
    WithdrawUser,
)
from shared.contracts.accounts.shapes import Identity
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.security import SecretText, digest
from shared.settings import Settings, settings
from tests.doors import eventually
from tests.services.accounts.conftest import Speak, founded

PASSWORD = SecretText("correct horse battery")
pytestmark = pytest.mark.feature("ACC-7")


def nobody(address: str | None = "192.0.2.7") -> Caller:
    return Caller(address=address)


def email() -> str:
    return f"ada.{new_id().hex[-10:]}@example.com"


async def hired(ask: Speak, founder: Caller, **draft: Any) -> Any:
    """Somebody with the password PASSWORD."""
    return await ask(
        CreateUser(**{"email": email(), "name": "Ada", "role": "owner", "password": PASSWORD, **draft}), founder
    )


async def signed_in(ask: Speak, address: str, *, at: str | None = "192.0.2.7", **more: Any) -> SignedIn:
    return await ask(SignIn(**{"email": address, "password": PASSWORD, **more}), nobody(at))


async def identity(process: topology.Surrounded, token: SecretText) -> Identity:
    """As the gateway finds it."""
    message = ResolveCredential(kind="session", digest=digest(token.reveal()).hex())
    return await process.bus.ask(message, service_envelope("gateway", None))


def speaker(signed: SignedIn) -> Caller:
    return Caller(
        kind="user",
        organization_id=signed.organization_id,
        id=signed.user.id,
        name=signed.user.name,
        scopes=frozenset(signed.scopes),
        permissions=frozenset(signed.permissions),
        address="192.0.2.7",
    )


async def refused(code: str, asking: Any, status: int | None = None) -> CarriedError:
    with pytest.raises(CarriedError) as caught:
        await asking
    assert caught.value.code == code
    assert status in (None, caught.value.status)
    return caught.value


# --- signing in


async def test_a_session_stands_for_the_person_as_they_are(
    process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    user = await hired(ask, founder, name="Ada Lovelace")
    signed = await signed_in(ask, user.email.upper(), user_agent="Firefox\x01" + "x" * 500)
    assert signed.token.reveal().startswith("cds_")
    assert (signed.role, signed.scopes, signed.organization_id) == ("owner", ["admin"], founder.organization_id)
    found = await identity(process, signed.token)
    assert (found.kind, found.id, found.name, found.shop_ids) == ("user", user.id, "Ada Lovelace", None)
    assert {"clients:reveal", "users:invite", "owners:change"} <= set(found.permissions)
    assert (await ask(GetMe(), speaker(signed))).user.last_signed_in_at is not None
    sessions = (await ask(ListSessions(), speaker(signed))).items
    assert [session.id for session in sessions] == [signed.id]
    assert sessions[0].address == "192.0.2.7"
    assert sessions[0].user_agent is not None
    assert sessions[0].user_agent.startswith("Firefoxx")
    assert len(sessions[0].user_agent) == 300


async def test_wrong_password_and_unknown_address_are_told_alike(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    wrong = await refused("wrong_credentials", signed_in(ask, user.email, password=SecretText("not it")), 401)
    unknown = await refused("wrong_credentials", signed_in(ask, email()), 401)
    assert wrong.problem() == unknown.problem()


async def test_an_unknown_address_costs_a_check_too(
    ask: Speak, founder: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not timed: the same number of Argon2 runs is what makes the times alike."""
    user = await hired(ask, founder)
    checked: list[str] = []
    real = passwords._is_right
    monkeypatch.setattr(passwords, "_is_right", lambda hash_, given: checked.append(hash_) or real(hash_, given))
    for address in (user.email, email()):
        await refused("wrong_credentials", signed_in(ask, address, password=SecretText("not it")))
    assert len(checked) == 2
    assert all(hash_.startswith("$argon2id$") for hash_ in checked)


async def test_only_a_digest_of_the_token_and_an_argon2id_hash_are_kept(
    process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    user = await hired(ask, founder)
    token = (await signed_in(ask, user.email)).token.reveal()
    uow = process.surroundings.unit_of_work("accounts", envelope_for(founder))
    row = await uow.fetchrow("SELECT u.*, s.digest FROM users u JOIN sessions s ON s.user_id = u.id")
    await uow.rollback()
    assert row["digest"] == digest(token)
    assert row["password_hash"].startswith("$argon2id$")
    assert token not in repr(dict(row))
    assert PASSWORD.reveal() not in repr(dict(row))


async def test_the_password_is_the_same_on_another_keyboard(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder, password=SecretText("r\u00e9sum\u00e9 of a life"))
    assert await signed_in(ask, user.email, password=SecretText("re\u0301sume\u0301 of a life"))


async def test_who_works_for_two_organizations_says_which(
    process: topology.Surrounded, ask: Speak, founder: Caller, rival: Caller
) -> None:
    address = email()
    for boss in (founder, rival):
        await hired(ask, boss, email=address)
    error = await refused("several_organizations", signed_in(ask, address), 409)
    assert {item["organization"] for item in error.errors} == {
        str(founder.organization_id),
        str(rival.organization_id),
    }
    signed = await signed_in(ask, address, organization=rival.organization_id)
    assert signed.organization_id == rival.organization_id
    await refused("wrong_credentials", signed_in(ask, address, organization=new_id()))
    await refused("wrong_credentials", signed_in(ask, address, password=SecretText("not it")))


async def test_two_organizations_with_two_passwords_need_no_choice(ask: Speak, founder: Caller, rival: Caller) -> None:
    address = email()
    await hired(ask, founder, email=address)
    await hired(ask, rival, email=address, password=SecretText("another pass phrase"))
    assert (await signed_in(ask, address)).organization_id == founder.organization_id


@pytest.mark.parametrize(
    "bad",
    [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "ada\x00@example.com",
        "ada",
        "ada@",
        "@example.com",
        "ada@exa mple.com",
        "<ada@example.com>",
        "ada@example.com,eve@example.com",
        f"{'a' * 65}@example.com",
        f"ada@{'a.' * 130}com",
        "ada@-example.com",
        "",
    ],
)
async def test_what_is_no_address_is_refused_before_anything_happens(bad: str) -> None:
    for message in (
        lambda: SignIn(email=bad, password=PASSWORD),
        lambda: CreateUser(email=bad, name="Ada", role="viewer"),
        lambda: RequestPasswordReset(email=bad),
    ):
        with pytest.raises(ValidationError):
            message()


def test_passwords_have_a_longest_and_are_whole_characters() -> None:
    assert SignIn(email="a@example.com", password=SecretText("x" * 1024))
    for bad in ("x" * 1025, "half \ud83d"):
        with pytest.raises(ValidationError):
            SignIn(email="a@example.com", password=SecretText(bad))


async def test_a_password_with_nul_is_a_password(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder, password=SecretText("with \x00 in the middle"))
    assert await signed_in(ask, user.email, password=SecretText("with \x00 in the middle"))
    await refused("wrong_credentials", signed_in(ask, user.email, password=SecretText("with ")))


@pytest.mark.parametrize("weak", ["short", "aaaaaaaaaaaaaaaaaa", "Ada@Example.com", "ADA LOVELACE"])
async def test_weak_passwords_are_refused(ask: Speak, founder: Caller, weak: str) -> None:
    asking = hired(ask, founder, email="ada@example.com", name="Ada Lovelace", password=SecretText(weak))
    await refused("weak_password", asking, 422)


# --- how often


async def test_guessing_stops_and_says_for_how_long(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    for _ in range(attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT):
        await refused(
            "wrong_credentials", signed_in(ask, user.email, at="198.51.100.1", password=SecretText("guess guess"))
        )
    error = await refused("too_many_attempts", signed_in(ask, user.email, at="198.51.100.1"), 429)
    assert error.retry_after_seconds is not None
    assert 0 < error.retry_after_seconds <= attempts.WINDOW.total_seconds()
    # The owner, at another address, is not kept out by it.
    assert await signed_in(ask, user.email, at="198.51.100.2")
    later = clock.now() + attempts.WINDOW + timedelta(seconds=1)
    with clock.replaced(lambda: later):
        assert await signed_in(ask, user.email, at="198.51.100.1")


async def test_an_unknown_address_is_limited_alike(ask: Speak) -> None:
    address = email()
    for _ in range(attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT):
        await refused("wrong_credentials", signed_in(ask, address, at="198.51.100.3"))
    await refused("too_many_attempts", signed_in(ask, address, at="198.51.100.3"), 429)


async def test_guesses_at_the_same_moment_are_all_counted(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    guesses = [signed_in(ask, user.email, at="198.51.100.4", password=SecretText(f"guess {n}")) for n in range(12)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, CarriedError)]
    assert codes.count("wrong_credentials") == attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT
    assert codes.count("too_many_attempts") == 12 - attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT


async def test_one_address_cannot_try_a_password_on_everybody(
    ask: Speak, founder: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_FROM_ONE_ADDRESS", 3)
    for _ in range(3):
        await refused("wrong_credentials", signed_in(ask, email(), at="2001:db8:1:2::1"))
    await refused("too_many_attempts", signed_in(ask, email(), at="2001:db8:1:2:ffff::9"), 429)
    user = await hired(ask, founder)
    assert await signed_in(ask, user.email, at="2001:db8:1:3::1")


async def test_many_addresses_together_do_not_keep_the_owner_from_the_own_desk(
    ask: Speak, founder: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await hired(ask, founder)
    assert await signed_in(ask, user.email, at="203.0.113.1")
    monkeypatch.setattr(attempts, "MOST_ON_ONE_ACCOUNT", 3)
    for number in range(3):
        await refused(
            "wrong_credentials", signed_in(ask, user.email, at=f"203.0.113.{number + 50}", password=SecretText("no"))
        )
    await refused("too_many_attempts", signed_in(ask, user.email, at="203.0.113.99"), 429)
    assert await signed_in(ask, user.email, at="203.0.113.1")


async def test_right_passwords_are_not_counted(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    for _ in range(attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT + 3):
        assert await signed_in(ask, user.email, at="198.51.100.9")


async def test_more_than_can_be_checked_are_told_so_at_once(
    ask: Speak, founder: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MOST_AT_ONCE", 0)
    error = await refused("overloaded", signed_in(ask, email()), 503)
    assert error.retry_after_seconds == 1


# --- the end of a session


async def test_signing_out_ends_this_session_alone(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    one, other = [await signed_in(ask, user.email) for _ in range(2)]
    for _ in range(2):
        await ask(SignOut(token=one.token), speaker(one))
    await refused("invalid_token", identity(process, one.token), 401)
    assert await identity(process, other.token)


async def test_signing_out_everywhere(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    sessions = [await signed_in(ask, user.email) for _ in range(3)]
    await ask(SignOutEverywhere(), speaker(sessions[0]))
    for session in sessions:
        await refused("invalid_token", identity(process, session.token))
    again = await signed_in(ask, user.email)
    await ask(SignOutEverywhere(user_id=user.id), founder)
    await refused("invalid_token", identity(process, again.token))


async def test_nobody_ends_the_session_of_another(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    victim, other = [await signed_in(ask, (await hired(ask, founder)).email) for _ in range(2)]
    viewer = await signed_in(ask, (await hired(ask, founder, role="viewer")).email)
    await refused("session_not_found", ask(EndSession(session_id=victim.id), speaker(other)), 404)
    await ask(SignOut(token=victim.token), speaker(other))
    await refused("missing_scope", ask(SignOutEverywhere(user_id=victim.user.id), speaker(viewer)), 403)
    assert await identity(process, victim.token)
    await ask(EndSession(session_id=victim.id), speaker(victim))
    await refused("invalid_token", identity(process, victim.token))


async def test_sessions_end_by_themselves(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    start = clock.now()
    idle, used = [(await signed_in(ask, user.email)).token for _ in range(2)]
    step = SessionRow.LONGEST_IDLE - timedelta(minutes=5)
    at = start
    while at + step < start + SessionRow.LONGEST - timedelta(minutes=5):
        at += step
        now = at
        with clock.replaced(lambda now=now: now):  # type: ignore[misc]
            assert (await identity(process, used)).valid_until <= start + SessionRow.LONGEST + timedelta(minutes=1)
    with clock.replaced(lambda: start + SessionRow.LONGEST_IDLE + timedelta(minutes=1)):
        await refused("invalid_token", identity(process, idle), 401)
    with clock.replaced(lambda: start + SessionRow.LONGEST + timedelta(minutes=1)):
        await refused("invalid_token", identity(process, used), 401)


async def test_a_token_that_never_was_is_no_session(process: topology.Surrounded) -> None:
    await refused("invalid_token", identity(process, SecretText("cds_never")), 401)


async def test_withdrawn_means_out(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder, role="manager")
    signed = await signed_in(ask, user.email)
    await ask(WithdrawUser(user_id=user.id), founder)
    await refused("invalid_token", identity(process, signed.token), 401)
    await refused("wrong_credentials", signed_in(ask, user.email), 401)


@pytest.mark.parametrize("message", [GetMe(), ListSessions(), SignOutEverywhere(), SignOut(token=SecretText("cds_x"))])
async def test_sessions_are_for_people(ask: Speak, founder: Caller, message: Any) -> None:
    await refused("only_for_people", ask(message, founder), 403)
    await refused("unauthenticated", ask(message, nobody()), 401)


async def test_who_is_signed_in_signs_out_first(ask: Speak, founder: Caller) -> None:
    user = await hired(ask, founder)
    signed = await signed_in(ask, user.email)
    await refused("already_signed_in", ask(SignIn(email=user.email, password=PASSWORD), speaker(signed)), 409)


# --- passwords


async def test_changing_the_password_ends_every_other_session(
    process: topology.Surrounded, ask: Speak, founder: Caller
) -> None:
    user = await hired(ask, founder)
    here, elsewhere = [await signed_in(ask, user.email) for _ in range(2)]
    change = ChangePassword(current_password=PASSWORD, new_password=SecretText("a new pass phrase"), token=here.token)
    await ask(change, speaker(here))
    assert await identity(process, here.token)
    await refused("invalid_token", identity(process, elsewhere.token))
    await refused("wrong_credentials", signed_in(ask, user.email))
    assert await signed_in(ask, user.email, password=SecretText("a new pass phrase"))


async def test_the_current_password_cannot_be_guessed_through_a_stolen_session(ask: Speak, founder: Caller) -> None:
    signed = await signed_in(ask, (await hired(ask, founder)).email)
    wrong = ChangePassword(current_password=SecretText("guess"), new_password=SecretText("a new pass phrase"))
    for _ in range(attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT):
        await refused("wrong_password", ask(wrong, speaker(signed)), 403)
    right = ChangePassword(current_password=PASSWORD, new_password=SecretText("a new pass phrase"))
    await refused("too_many_attempts", ask(right, speaker(signed)), 429)


# --- one-time links


@pytest.fixture
async def outbox(configuration: Settings) -> AsyncIterator[Any]:
    """`await outbox(recipient)`: the newest mail to them, once it is there."""
    folder = settings().data / "outbox"

    async def newest_to(recipient: str, count: int = 1) -> Any:
        async def look() -> Any:
            mails = [message_from_bytes(path.read_bytes(), policy=default) for path in sorted(folder.glob("*.eml"))]
            theirs = [mail for mail in mails if mail["To"] == recipient]
            return theirs[-1] if len(theirs) >= count else None

        return await eventually(look)

    return newest_to


def token_in(mail: Any) -> SecretText:
    return SecretText(mail.get_content().split("password-resets#")[1].split()[0])


async def test_a_forgotten_password_is_reset_once_by_link(
    process: topology.Surrounded, ask: Speak, founder: Caller, working: None, outbox: Any
) -> None:
    user = await hired(ask, founder)
    signed = await signed_in(ask, user.email)
    await ask(RequestPasswordReset(email=user.email), nobody())
    mail = await outbox(user.email)
    assert "Lisbon Bicycles" in mail.get_content()
    token = token_in(mail)
    weak = RedeemPasswordReset(token=token, password=SecretText("short"))
    await refused("weak_password", ask(weak, nobody()), 422)
    new = [RedeemPasswordReset(token=token, password=SecretText(f"new pass phrase {n}")) for n in range(2)]
    answers = await asyncio.gather(*(ask(message, nobody()) for message in new), return_exceptions=True)
    assert sorted(getattr(answer, "code", "ok") for answer in answers) == ["ok", "password_reset_invalid"]
    await refused("password_reset_invalid", ask(new[0], nobody()), 410)
    await refused("invalid_token", identity(process, signed.token))
    await refused("wrong_credentials", signed_in(ask, user.email))


async def test_nobody_learns_who_has_an_account(
    process: topology.Surrounded, ask: Speak, founder: Caller, working: None, outbox: Any
) -> None:
    user = await hired(ask, founder)
    unknown = email()
    answers = [await ask(RequestPasswordReset(email=address), nobody()) for address in (unknown, user.email)]
    assert answers[0] == answers[1]
    await outbox(user.email)
    folder = settings().data / "outbox"
    assert not any(unknown in path.read_text() for path in folder.glob("*.eml"))


async def test_a_link_expires(ask: Speak, founder: Caller, working: None, outbox: Any) -> None:
    user = await hired(ask, founder)
    await ask(RequestPasswordReset(email=user.email), nobody())
    token = token_in(await outbox(user.email))
    redeem = RedeemPasswordReset(token=token, password=SecretText("a new pass phrase"))
    later = clock.now() + timedelta(hours=1, minutes=1)
    with clock.replaced(lambda: later):
        await refused("password_reset_invalid", ask(redeem, nobody()), 410)
    assert await ask(redeem, nobody())


async def test_a_mailbox_is_not_filled_with_links(
    process: topology.Surrounded, ask: Speak, founder: Caller, working: None, outbox: Any
) -> None:
    user = await hired(ask, founder)
    for number in range(5):
        await ask(RequestPasswordReset(email=user.email), nobody(f"203.0.113.{number}"))
    await outbox(user.email, count=3)

    async def all_tasks_done() -> bool:
        uow = process.surroundings.unit_of_work("accounts", service_envelope("accounts", None), across_tenants=True)
        left = await uow.fetchval("SELECT count(*) FROM tasks WHERE kind LIKE 'accounts.%'")
        await uow.rollback()
        return left == 0

    await eventually(all_tasks_done)
    folder = settings().data / "outbox"
    assert sum(f"To: {user.email}" in path.read_text() for path in folder.glob("*.eml")) == 3


async def test_asking_for_links_is_limited(ask: Speak) -> None:
    address = email()
    for _ in range(attempts.MOST_FROM_ONE_ADDRESS_ON_ONE_ACCOUNT):
        await ask(RequestPasswordReset(email=address), nobody("198.51.100.77"))
    await refused("too_many_attempts", ask(RequestPasswordReset(email=address), nobody("198.51.100.77")), 429)


async def test_the_outbox_is_readable_by_nobody_else(ask: Speak, founder: Caller, working: None, outbox: Any) -> None:
    user = await hired(ask, founder)
    await ask(RequestPasswordReset(email=user.email), nobody())
    await outbox(user.email)
    folder = settings().data / "outbox"
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.eml"))


async def test_who_has_no_password_sets_one_by_the_mailed_link(
    ask: Speak, founder: Caller, working: None, outbox: Any
) -> None:
    user = await ask(CreateUser(email=email(), name="Grace", role="viewer"), founder)
    assert user.state == "invited"
    await refused("wrong_credentials", signed_in(ask, user.email))
    token = token_in(await outbox(user.email))
    await ask(RedeemPasswordReset(token=token, password=PASSWORD), nobody())
    assert (await signed_in(ask, user.email)).user.state == "active"


async def test_a_link_is_void_once_the_address_or_the_access_changes(
    process: topology.Surrounded, ask: Speak, founder: Caller, working: None, outbox: Any
) -> None:
    user = await ask(CreateUser(email=email(), name="Grace", role="viewer"), founder)
    token = token_in(await outbox(user.email))
    await ask(WithdrawUser(user_id=user.id), founder)
    redeem = RedeemPasswordReset(token=token, password=PASSWORD)
    await refused("password_reset_invalid", ask(redeem, nobody()), 410)


async def test_the_token_of_one_organization_resets_nothing_in_another(
    process: topology.Surrounded, ask: Speak, founder: Caller, working: None, outbox: Any
) -> None:
    user = await hired(ask, founder)
    other = await founded(process)
    await ask(RequestPasswordReset(email=user.email), nobody())
    token = token_in(await outbox(user.email))
    stranger = Caller(kind="user", organization_id=UUID(str(other)), id=new_id(), scopes=frozenset({"admin"}))
    redeem = RedeemPasswordReset(token=token, password=SecretText("a new pass phrase"))
    await refused("password_reset_invalid", ask(redeem, stranger), 410)
    assert await signed_in(ask, user.email)
