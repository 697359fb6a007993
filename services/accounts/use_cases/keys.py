"""The keys that sign access tokens: sealed in the database, followed by a new one long before anybody notices."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from joserfc.jwk import OKPKey

from services.accounts.settings import KEY_LIFETIME, KEY_OVERLAP
from shared import access_tokens, clock
from shared.security import seal, unseal
from shared.unit_of_work import UnitOfWork

_PURPOSE = "signing key"


async def current(uow: UnitOfWork) -> OKPKey:
    """The key that signs now; made at the first question of an installation."""
    found = await _current(uow)
    if found is None:
        await _lock(uow)
        found = await _current(uow) or await _add(uow, clock.now())
    return _opened(found)


async def public(uow: UnitOfWork) -> list[dict[str, Any]]:
    """The public halves of every key that signed what may still hold, signs now, or soon will."""
    await current(uow)
    rows = await uow.fetch("SELECT public_key FROM signing_keys ORDER BY active_at")
    return [orjson.loads(row["public_key"]) for row in rows]


async def rotate(uow: UnitOfWork) -> None:
    """Add the next key when the newest has had its time, and forget those that nothing was signed with any more."""
    await _lock(uow)
    now = clock.now()
    newest = await uow.fetchval("SELECT max(active_at) FROM signing_keys")
    if newest is not None and newest < now - KEY_LIFETIME:
        await _add(uow, now + KEY_OVERLAP)
    await uow.execute(
        "DELETE FROM signing_keys WHERE active_at < (SELECT max(active_at) FROM signing_keys WHERE active_at < $1)",
        now - KEY_OVERLAP,
    )


async def _current(uow: UnitOfWork) -> str | None:
    return await uow.fetchval(
        "SELECT sealed_private_key FROM signing_keys WHERE active_at <= $1 ORDER BY active_at DESC LIMIT 1", clock.now()
    )


async def _add(uow: UnitOfWork, active_at: datetime) -> str:
    key = access_tokens.new_key()
    sealed = seal(orjson.dumps(key.as_dict(private=True)).decode(), _PURPOSE)
    await uow.execute(
        "INSERT INTO signing_keys (id, public_key, sealed_private_key, active_at) VALUES ($1, $2, $3, $4)",
        key.kid,
        orjson.dumps(key.as_dict(private=False)).decode(),
        sealed,
        active_at,
    )
    return sealed


async def _lock(uow: UnitOfWork) -> None:
    await uow.execute("SELECT pg_advisory_xact_lock(hashtext('crossdock signing keys'))")


@lru_cache(maxsize=16)
def _opened(sealed: str) -> OKPKey:
    return OKPKey.import_key(orjson.loads(unseal(sealed, _PURPOSE)))
