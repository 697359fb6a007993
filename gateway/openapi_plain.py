"""The operations outside `/v1`, for OpenAPI: OAuth, GraphQL, callbacks, health and pages have words of their own.

Of those that FastAPI knows, the form is its own and the examples come from here; the others are written out.
"""

from collections.abc import Mapping
from typing import Any

from gateway.docs.pages import HOME

Json = dict[str, Any]

_TOKEN = "eyJhbGciOiJFZERTQSIsImtpZCI6IjdhIn0.eyJzdWIiOiIwMTkyZjBjMSJ9.c2lnbmF0dXJl"  # noqa: S105
_BASE = "https://api.example.com"
_CLIENT = {"client_id": "cli_7f3k2m9q", "client_secret": "(secret)"}

# What travels in the bodies of operations that FastAPI knows, by method and path: the request's, and by status.
REQUEST_EXAMPLES: Mapping[tuple[str, str], Any] = {
    ("POST", "/oauth/token"): {"grant_type": "client_credentials", "scope": "catalog:read", **_CLIENT},
    ("POST", "/oauth/introspect"): {"token": _TOKEN, **_CLIENT},
    ("POST", "/oauth/revoke"): {"token": _TOKEN, **_CLIENT},
}
ANSWER_EXAMPLES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("POST", "/oauth/token"): {
        "200": {"access_token": _TOKEN, "token_type": "Bearer", "expires_in": 900, "scope": "catalog:read"},
        "400": {"error": "invalid_scope", "error_description": "The client does not have the scope 'admin'."},
        "401": {"error": "invalid_client", "error_description": "There is no such client, or its secret is another."},
        "429": {"error": "invalid_client", "error_description": "Too many wrong secrets from this address; wait."},
    },
    ("POST", "/oauth/introspect"): {
        "200": {
            "active": True,
            "client_id": _CLIENT["client_id"],
            "scope": "catalog:read",
            "token_type": "Bearer",
            "exp": 1772357400,
        },
        "400": {"error": "invalid_request", "error_description": "The parameter token is missing."},
        "401": {"error": "invalid_client", "error_description": "There is no such client, or its secret is another."},
        "429": {"error": "invalid_client", "error_description": "Too many wrong secrets from this address; wait."},
    },
    ("POST", "/oauth/revoke"): {
        "400": {
            "error": "unsupported_token_type",
            "error_description": "Keys and sessions are withdrawn where they are managed, not here.",
        },
        "401": {"error": "invalid_client", "error_description": "There is no such client, or its secret is another."},
        "429": {"error": "invalid_client", "error_description": "Too many wrong secrets from this address; wait."},
    },
    ("GET", "/.well-known/jwks.json"): {
        "200": {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "kid": "7a1f",
                    "alg": "EdDSA",
                    "use": "sig",
                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                }
            ]
        }
    },
    ("GET", "/.well-known/oauth-authorization-server"): {
        "200": {
            "issuer": _BASE,
            "token_endpoint": f"{_BASE}/oauth/token",
            "introspection_endpoint": f"{_BASE}/oauth/introspect",
            "revocation_endpoint": f"{_BASE}/oauth/revoke",
            "jwks_uri": f"{_BASE}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
    },
    ("GET", "/healthz"): {"200": {"status": "ok"}},
    ("GET", "/readyz"): {
        "200": {"status": "ok", "parts": {"database": "ok", "queue": "ok", "backlog": "ok"}},
        "503": {
            "status": "unavailable",
            "parts": {"database": "ok", "queue": "No answer within 2 s.", "backlog": "ok"},
        },
    },
    ("GET", "/metrics"): {
        "200": '# TYPE crossdock_http_requests_total counter\ncrossdock_http_requests_total{route="/v1/orders"} 4.0\n'
    },
}
# How each may be refused beyond its own answers, as problem+json.
REFUSALS: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("POST", "/oauth/token"): (408, 413, 500, 503, 504),
    ("POST", "/oauth/introspect"): (408, 413, 500, 503, 504),
    ("POST", "/oauth/revoke"): (408, 413, 500, 503, 504),
    ("GET", "/.well-known/jwks.json"): (500, 503, 504),
    ("GET", "/.well-known/oauth-authorization-server"): (500, 504),
    ("GET", "/healthz"): (500, 504),
    ("GET", "/readyz"): (500, 504),
    ("GET", "/metrics"): (500, 504),
    ("GET", "/graphql"): (400, 401, 403, 406, 429, 500, 504),
    ("POST", "/graphql"): (400, 401, 403, 406, 408, 413, 415, 429, 500, 504),
    ("GET", "/graphql/schema.graphql"): (500, 504),
    ("POST", "/callbacks/{gateway_id}"): (400, 403, 404, 408, 413, 415, 429, 500, 503),
    ("GET", "/callbacks/{gateway_id}"): (400, 403, 404, 500, 503),
    ("GET", "/"): (500, 504),
    ("GET", "/docs"): (500, 504),
    ("GET", "/console/password-resets"): (500, 504),
}

_QUERY = "{ products(first: 10) { nodes { id title } } }"
_RAN: Json = {
    "description": "What was run: `data`, and `errors` for fields that failed.",
    "content": {
        media_type: {
            "schema": {
                "type": "object",
                "properties": {
                    "data": {"type": ["object", "null"]},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            },
            "example": {"data": {"products": {"nodes": [{"id": "UHJvZHVjdDox", "title": "Black tee"}]}}},
        }
        for media_type in ("application/graphql-response+json", "application/json")
    },
}
_GRAPHQL: Json = {
    "tags": ["graphql"],
    "summary": "The same operations as GraphQL",
    "description": "GraphQL over HTTP: POST, or GET for queries. The schema is at `/graphql/schema.graphql`, or by "
    "introspection. A browser that asks nothing gets a page. What single fields refuse are entries of `errors`.",
    "security": [{}, {"oauth2": []}, {"bearer": []}, {"publishableKey": []}],
    "responses": {"200": _RAN},
}


def _parameter(name: str, description: str, example: str) -> Json:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _page(tag: str, operation_id: str, text: str, media_type: str, example: str) -> Json:
    return {
        "tags": [tag],
        "operationId": operation_id,
        "summary": text,
        "security": [],
        "responses": {
            "200": {
                "description": text,
                "content": {media_type: {"schema": {"type": "string"}, "example": example}},
            }
        },
    }


_HOME = _page("pages", "Home", "What this is, and where everything is.", "text/html", "<!doctype html>…")
_HOME["responses"]["200"]["content"]["application/json"] = {
    "schema": {
        "type": "object",
        "required": list(HOME),
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "links": {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}},
        },
    },
    "example": HOME,
}

# What FastAPI does not know, by path and method.
PATHS: Mapping[str, Mapping[str, Json]] = {
    "/": {"get": _HOME},
    "/graphql": {
        "get": {
            **_GRAPHQL,
            "operationId": "GraphqlQuery",
            "parameters": [
                _parameter("query", "The document; queries alone.", _QUERY),
                _parameter("operationName", "Which operation of the document.", "Products"),
                _parameter("variables", "A JSON object.", "{}"),
                _parameter("extensions", "A JSON object.", "{}"),
            ],
        },
        "post": {
            **_GRAPHQL,
            "operationId": "Graphql",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["query"],
                            "properties": {
                                "query": {"type": "string"},
                                "operationName": {"type": ["string", "null"]},
                                "variables": {"type": ["object", "null"]},
                                "extensions": {"type": ["object", "null"]},
                            },
                        },
                        "example": {"query": _QUERY},
                    }
                },
            },
        },
    },
    "/graphql/schema.graphql": {
        "get": _page(
            "graphql", "GraphqlSchema", "The GraphQL schema as a file (SDL).", "text/plain", "type Query { … }"
        )
    },
    "/callbacks/{gateway_id}": {
        "post": {
            "tags": ["payments"],
            "operationId": "ReceiveCallback",
            "summary": "Where a payment provider posts its callbacks (webhooks)",
            "description": "A payment gateway's `callback_url`. The body is taken as it is, up to 256 KiB, and must be "
            "signed as the gateway's provider signs; it is stored before it is answered, and the answer is what the "
            "provider expects. The same callback again has no further effect.",
            "security": [],
            "parameters": [
                {
                    "name": "gateway_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "format": "uuid"},
                    "description": "Of the payment gateway that was made for this provider's account.",
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {},
                        "example": {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {}}},
                    },
                    "application/x-www-form-urlencoded": {
                        "schema": {"type": "object"},
                        "example": {"id": "tr_WDqYK6vllg"},
                    },
                },
            },
            "responses": {
                "200": {
                    "description": "Stored. What the body is depends on the provider.",
                    "content": {
                        "application/json": {"schema": {}, "example": {}},
                        "text/plain": {"schema": {"type": "string"}, "example": "[accepted]"},
                    },
                }
            },
        },
        "get": {
            "tags": ["payments"],
            "operationId": "AnswerChallenge",
            "summary": "Where a payment provider asks whether the address is ours",
            "description": "Braintree asks with `bt_challenge` before it posts; other providers never do (405).",
            "security": [],
            "parameters": [
                {
                    "name": "gateway_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "format": "uuid"},
                    "description": "Of the payment gateway that was made for this provider's account.",
                },
                {
                    "name": "bt_challenge",
                    "in": "query",
                    "required": True,
                    "schema": {"type": "string", "pattern": "^[a-f0-9]{20,32}$"},
                    "description": "What Braintree asks with.",
                    "example": "20f9f8ed05f77439fe955c977e4c8a53",
                },
            ],
            "responses": {
                "200": {
                    "description": "The public key, and the challenge as signed with the private one.",
                    "content": {"text/plain": {"schema": {"type": "string"}, "example": "public_key|d9b89955"}},
                }
            },
        },
    },
    "/docs": {"get": _page("pages", "Docs", "This document as a page.", "text/html", "<!doctype html>…")},
    "/console/password-resets": {
        "get": _page(
            "pages", "PasswordResetPage", "The page of a one-time link that sets a password.", "text/html", "<!doctype…"
        )
    },
}
