"""The product profiles by name, and which of them a file's headings belong to."""

from collections.abc import Sequence

from shared.impex.errors import UnknownHeaders, UnknownProfile
from shared.impex.profiles.base import ProductProfile
from shared.impex.profiles.crossdock import CrossdockProfile
from shared.impex.profiles.magento import MagentoProfile
from shared.impex.profiles.shopify import ShopifyProfile
from shared.impex.profiles.supplier import SupplierProfile
from shared.impex.profiles.woocommerce import WooCommerceProfile

PROFILES: dict[str, ProductProfile] = {
    profile.name: profile
    for profile in (CrossdockProfile(), ShopifyProfile(), WooCommerceProfile(), MagentoProfile(), SupplierProfile())
}


def get_profile(name: str) -> ProductProfile:
    """Raises UnknownProfile."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfile(f"'{name}' is not a profile; there are {', '.join(sorted(PROFILES))}.") from None


def detect_profile(header: Sequence[str]) -> ProductProfile:
    """The profile that knows most of these headings, in doubt the one that spells them so. Raises UnknownHeaders."""
    profile = max(PROFILES.values(), key=lambda profile: profile.likelihood(header))
    if not profile.likelihood(header)[0]:
        seen = ", ".join(repr(heading) for heading in header[:8])
        raise UnknownHeaders(f"The headings {seen} are not those of any product file we read: {', '.join(PROFILES)}.")
    return profile
