"""What can go wrong in sync, by name."""

from shared.errors import Conflict, NotFound, Unauthenticated, Unavailable, ValidationFailed


class ConnectionNotFound(NotFound):
    """There is no such connection."""


class ConnectionSnapshotNotFound(NotFound):
    """Nothing is kept of such a connection: there was none, or its time is over."""


class ConnectionSnapshotNotWhole(Conflict):
    """The records of a connection that was just deleted are still being put together."""


class ConnectionChangedSince(Conflict):
    """The connection was changed since it was read."""

    status = 412


class AlreadyConnected(Conflict):
    """There is a connection to this very place already: its orders would come in twice."""


class NothingScanned(Conflict):
    """Nobody can have looked at a preview of what was never read."""


class BothSidesChosen(ValidationFailed):
    """Of a conflict one side can win."""


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


class ConnectionHeld(Exception):
    """The connection was paused while a request waited to be sent: it was not. No answer, and no error of a write."""


class CredentialsRefused(Conflict):
    """The platform no longer takes the connection's credentials, or they may not do this: give it new ones."""

    title = "The platform refuses the credentials"


class PlatformRefused(Conflict):
    """The platform refused, in its own words, and would again."""

    title = "The platform refused"


class AnswerNotUnderstood(Unavailable):
    """The platform answered with something that is not what it documents: a page of HTML, half a document."""

    title = "The platform's answer was not understood"


# --- feeds and what they do


class FeedNotFound(NotFound):
    """There is no such feed."""


class FeedChangedSince(Conflict):
    """The feed was changed since it was read."""

    status = 412


class FeedExecutionNotFound(NotFound):
    """There is no such run of a feed."""


class FeedIsRunning(Conflict):
    """The feed, or one that reads the same records, runs already."""


class FeedNotOffered(Conflict):
    """The platform has nothing for this feed."""


class InvalidCron(ValidationFailed):
    """This is not a schedule."""


class ConnectionIsPaused(Conflict):
    """The connection is paused; let it go on first."""


class ConnectionIsBusy(Conflict):
    """Feeds of the connection still run."""


class NeedsCredentials(Conflict):
    """The platform refused the connection's credentials; give it new ones first."""


class StockIsOurs(Conflict):
    """After going live stock is not imported without a reason."""


class NotReady(Conflict):
    """Something that has to hold before going live does not."""


class WebhookNotGenuine(Unauthenticated):
    """The platform's secret did not sign this."""


class AgentNotKnown(Unauthenticated):
    """The token is not that of a connection's agent, or not any more."""


class NoAgent(Conflict):
    """The connection's platform is asked by us; no agent comes from there."""


class WorkNotFound(NotFound):
    """There is no such piece of work."""


class ListingNotFound(NotFound):
    """There is no such listing."""


class ChangeNotFound(NotFound):
    """There is no such change."""


class OneRemovalAtATime(Conflict):
    """What is taken away on a platform is approved one by one (SYN-8)."""


class IssueNotFound(NotFound):
    """There is no such issue."""
