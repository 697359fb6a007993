"""What can go wrong around people, by name."""

from shared.errors import Conflict, Forbidden, Gone, NotFound, TooManyRequests, Unauthenticated, ValidationFailed


class UserNotFound(NotFound):
    """There is no such person in this organization."""


class SessionNotFound(NotFound):
    """There is no such session, or it is somebody else's."""


class EmailTaken(Conflict):
    """Somebody in this organization has this e-mail address already."""

    title = "Somebody has this e-mail address already"


class LastOwner(Conflict):
    """An organization always has an active owner."""

    title = "The last owner stays"


class LimitNeedsRole(ValidationFailed):
    """Only managers and viewers can be limited to shops."""

    title = "This role cannot be limited to shops"


class PersonIsWithdrawn(Conflict):
    """Access was withdrawn; restore it first."""


class MayNotGrant(Forbidden):
    """Nobody gives, or takes away, what they do not have."""

    title = "Your own rights do not reach that far"


class OnlyForPeople(Forbidden):
    """This is about the person who is signed in; an API client is none."""

    title = "This is for people who are signed in"


class WrongCredentials(Unauthenticated):
    """E-mail and password do not belong together. Which of them is wrong is not told."""

    title = "E-mail or password is wrong"


class AlreadySignedIn(Conflict):
    """The request carries a credential that holds: sign out before signing in as somebody else."""


class SeveralOrganizations(Conflict):
    """The person works for several organizations: say which."""

    title = "Say which organization"


class WrongPassword(Forbidden):
    """The password that was asked for again is wrong."""

    title = "The password is wrong"


class TooManyAttempts(TooManyRequests):
    """Too many wrong passwords."""

    title = "Too many attempts"


class WeakPassword(ValidationFailed):
    """The password is too easy to guess."""


class PasswordResetInvalid(Gone):
    """The link was used, has expired, or never was."""

    title = "This link no longer holds"
