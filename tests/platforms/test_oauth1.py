"""OAuth 1.0a signatures, held against the examples of RFC 5849, a library, and what a real shop took (SYN-1)."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from authlib.oauth1.rfc5849.signature import construct_base_string, hmac_sha1_signature

from services.sync.platforms.oauth1 import Keys, authorization, base_string, decoded, parameters

pytestmark = pytest.mark.feature("SYN-1")

# RFC 5849 §1.2: the printer gets the picture.
_PRINTER = Keys("dpf43f3p2l4k3l03", "kd94hf93k423kf44", "nnch734d00sl2jdk", "pfkkdhi9sl3r4s00")
_PICTURE = "http://photos.example.net/photos?file=vacation.jpg&size=original"


def test_signature_of_rfc_5849() -> None:
    header = authorization(
        "GET", _PICTURE, _PRINTER, nonce="chapoH", timestamp=137131202, digest="sha1", realm="Photos"
    )
    assert header.startswith('OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", ')
    assert 'oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D"' in header
    assert decoded(header)["oauth_signature"] == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


def test_base_string_of_rfc_5849() -> None:
    """§3.4.1.1: names twice, without value, with strange letters, and of a form."""
    protocol = {
        "oauth_consumer_key": "9djdj82h48djs9d2",
        "oauth_token": "kkk9d7dh3k39sjv7",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131201",
        "oauth_nonce": "7d8f3e4a",
    }
    form = {"c2": "", "a3": "2 q"}
    url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b#top"
    assert base_string("post", url, form | protocol) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D"
        "%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1"
        "%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://shop.example:443", "https://shop.example/"),
        ("https://shop.example:8443/rest?x=1", "https://shop.example:8443/rest"),
        ("http://[::1]:80/a%2Fb", "http://[::1]/a%2Fb"),
    ],
)
def test_address_is_signed_without_what_goes_without_saying(url: str, address: str) -> None:
    _, signed, _ = base_string("GET", url, {}).split("&")
    assert signed == base_string("GET", address, {}).split("&")[1]


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/rest/all/V1/products?searchCriteria%5BpageSize%5D=100&fields=items%5Bsku%5D",
        "https://shop.example:8443/rest/V1/products/a%2Fb%20c?x=%C3%BC%F0%9F%A7%A3&x=1&empty=",
    ],
)
def test_signature_is_the_one_a_library_makes(url: str) -> None:
    keys = Keys("key", "secret & more", "token", "höchst geheim")
    ours = parameters("GET", url, keys, nonce="n-1", timestamp=1795324622, digest="sha1")
    others = [(name, value) for name, value in ours.items() if name != "oauth_signature"]
    base = construct_base_string("GET", url, [*parse_qsl(urlsplit(url).query, keep_blank_values=True), *others])
    assert ours["oauth_signature"] == hmac_sha1_signature(base, keys.consumer_secret, keys.token_secret)


def test_signature_is_the_one_that_a_shop_took() -> None:
    """HMAC-SHA256 of a consumer without a token: recorded of WooCommerce 10.5.3 on 2026-11-22."""
    url = "http://127.0.0.1:3904/wp-json/wc/v3/products?per_page=1&_fields=id%2Csku"
    keys = Keys("ck_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", "cs_b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2")
    signed = parameters("GET", url, keys, nonce="recordednonce1795324622", timestamp=1795324622)
    assert signed["oauth_signature"] == "ZdBOS69ERbsaTVLt6Sl43zfWgsgXpS40/jhCr4px+Kc="
    assert "oauth_token" not in signed


def test_secrets_are_not_shown() -> None:
    assert "kd94hf93k423kf44" not in repr(_PRINTER)
    assert "pfkkdhi9sl3r4s00" not in repr(_PRINTER)


def test_header_of_another_kind_has_nothing_of_oauth() -> None:
    assert decoded("Bearer abc") == {}
