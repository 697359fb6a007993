"""REST under /v1: one module per service, each route a path, a text and one `ask`.

Name your router in `gateway/app.py`. What follows by itself, and is not said in a route: problem+json, `ETag` from an
answer's `version` and 304, ids, limits, metrics, and in OpenAPI the operation's name (the message's), scopes, refusals,
`Idempotency-Key` and examples (`gateway/openapi.py`). A hot route in plain Starlette is a `PlainRoute`, documented from
its message.
"""
