"""What can go wrong around organizations, shops and credentials, by name."""

from shared.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unauthenticated, ValidationFailed


class OrganizationNotFound(NotFound):
    """There is no such organization, or it is another one than the caller's."""


class OrganizationExists(Conflict):
    """An organization of this id is there already."""


class OrganizationDoesNothing(ValidationFailed):
    """An organization is a merchant, a supplier, or both."""


class NotMerchant(Conflict):
    """Only a merchant has shops."""

    title = "Only a merchant has shops"


class MerchantHasShops(Conflict):
    """An organization stays a merchant while it has shops."""


class VersionChanged(PreconditionFailed):
    """The thing was changed since the version that the caller named."""

    title = "It was changed in the meantime"


class ShopCodeTaken(Conflict):
    """Another shop of the organization has this code."""


class ParentShopNotFound(NotFound):
    """The parent is not a shop the caller may see."""


class ShopWouldBeItsOwnAncestor(Conflict):
    """Sub-shops form a tree."""

    title = "A shop cannot be below itself"


class ShopHasSubShops(Conflict):
    """A shop is closed after its sub-shops."""


class LimitedToShops(Forbidden):
    """The caller is limited to some shops; this would reach beyond them."""

    title = "Your own limit to some shops does not reach that far"


class ApiClientNotFound(NotFound):
    """There is no such API client in this organization."""


class ApiClientRevoked(Conflict):
    """A revoked client stays revoked; make a new one."""


class ExpiryInThePast(ValidationFailed):
    """A client that would be expired from its first moment: a slip of the date, or a withdrawal in disguise."""

    title = "The expiry lies in the past"


class ScopeBeyondYours(Forbidden):
    """Nobody gives, or takes over, more than they hold."""

    title = "Your own scopes do not reach that far"


class UnknownShop(NotFound):
    """A client cannot be limited to a shop that is not there."""


class ClientSecretNotFound(NotFound):
    """The client has no such secret."""


class TooManySecrets(Conflict):
    """A client has two secrets at most."""

    title = "Retire one of the two secrets first"


class LastSecret(Conflict):
    """A client keeps one secret; revoke the client to take away its access."""

    title = "The last secret stays"


class ApiKeyNotFound(NotFound):
    """The client has no such key."""


class PublishableKeyNotFound(NotFound):
    """There is no such publishable key in this organization."""


class InvalidToken(Unauthenticated):
    """The credential is unknown, expired or revoked."""

    title = "The access token or key is not valid"


class ApiClientExpired(InvalidToken):
    """The client ended at the moment it was given. Whoever has but a token or key of it is told as of any other."""

    code = InvalidToken.code


class InvalidScope(ValidationFailed):
    """A client asked for a scope that it was not given."""


class TokenOfAnotherClient(Forbidden):
    """A client may only revoke what was issued to itself (RFC 7009 §2.1)."""
