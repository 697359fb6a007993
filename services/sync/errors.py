"""What can go wrong in sync, by name."""

from shared.errors import Conflict, NotFound, Unavailable, ValidationFailed


class ConnectionNotFound(NotFound):
    """There is no such connection."""


class ConnectionChangedSince(Conflict):
    """The connection was changed since it was read."""

    status = 412


class UnknownPlatform(ValidationFailed):
    """There is no such platform."""


class InvalidConnectionSettings(ValidationFailed):
    """The platform can not work with these settings."""


class InvalidCredentials(ValidationFailed):
    """These are not the credentials that the platform needs."""


# --- what the other side does


class PlatformAway(Unavailable):
    """The platform did not answer, not in time, or asked to be left alone for a while: it may work later by itself."""

    title = "The platform does not answer now"


class AnswerLost(PlatformAway):
    """The request may have arrived and may have had its effect: nobody knows."""

    title = "The platform's answer was lost"


class CredentialsRefused(Conflict):
    """The platform no longer takes the connection's credentials, or they may not do this: give it new ones."""

    title = "The platform refuses the credentials"


class PlatformRefused(Conflict):
    """The platform refused, in its own words, and would again."""

    title = "The platform refused"


class AnswerNotUnderstood(Unavailable):
    """The platform answered with something that is not what it documents: a page of HTML, half a document."""

    title = "The platform's answer was not understood"
