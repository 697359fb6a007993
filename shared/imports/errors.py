"""What can go wrong with an import as a whole, by name."""

from shared.errors import Conflict, NotFound, ValidationFailed


class ImportNotFound(NotFound):
    """No such import."""


class ImportNotFinished(Conflict):
    """The import still runs; its error file is written at the end."""


class ImportHasNoErrors(NotFound):
    """No row was refused, so there is nothing to correct."""


class ImportFileNotThere(NotFound):
    """The file was never fetched, or kept for as long as files are."""


class ImportNotHeld(Conflict):
    """Only an import that was held can be confirmed."""


class ImportOvertaken(Conflict):
    """A later file of the same drop folder went in while this one was held."""


class NotADryRun(Conflict):
    """Only a dry run can be applied; this import has written already."""


class ImportAlreadyUndone(Conflict):
    """The import was undone already, or is being undone."""


class NothingToUndo(Conflict):
    """A dry run, or an import that has not begun, changed nothing."""


class UndoNotSupported(Conflict):
    """What this group writes is not taken back by the system."""


class UnsupportedGroup(ValidationFailed):
    """There are no files of this group."""


class UnsupportedMode(ValidationFailed):
    """Files of this group are not imported in this mode."""


class UnsupportedOption(ValidationFailed):
    """It says nothing of files of this group."""


class UnsupportedProfile(ValidationFailed):
    """Files of this group have no such profile."""


class ShopNotNamed(ValidationFailed):
    """The organization has several shops, or none: say which one the prices are for."""


class NothingImported(ValidationFailed):
    """No row of the file could be taken."""

    title = "Nothing in the file could be imported"


class ImportAborted(ValidationFailed):
    """A row has an error and the import was to take all rows or none."""

    title = "The file has errors, so that nothing of it was imported"


class InvalidUrl(ValidationFailed):
    """Not an http or https address that files are fetched from."""


class FileNotFetched(ValidationFailed):
    """The address did not give a file."""

    title = "The file could not be fetched"
