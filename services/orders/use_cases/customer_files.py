"""Customer files: one row per e-mail address. An empty cell leaves what there is.

| heading | what it holds |
|---|---|
| `email` | the customer, however it is written |
| `name`, `phone`, `notes` | what is known of them |
| `customer_group` | the group they buy in, as price lists name it |
| `company`, `line1`, `line2`, `city`, `region`, `postal_code`, `country` | the default shipping address |
| `ship_to`, `address_phone` | who receives there, where that is somebody else, and a number for the carrier |

An address is given with `line1`, `city` and `country`, or not at all.

An undo gives fields back that nobody has touched since, and removes customers that the import made and no order names
(use_cases/customer_undoing.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from services.orders.errors import CustomersHaveNoShop
from services.orders.repository import customer_sets
from services.orders.repository.customer_sets import CustomerRow
from services.orders.use_cases import customer_undoing
from shared.contracts.orders.customers import CustomerAddress, NewCustomer, normalised_email
from shared.contracts.platform.imports import ImportOptions, ImportSample, SampleField, SampleKind
from shared.impex.rows import RowError
from shared.imports import images
from shared.imports.errors import UnsupportedProfile
from shared.imports.groups import MOST_SAMPLES, Group, GroupFile, Opening
from shared.imports.tables import Column, TableChunk, TableFile, TableRow
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork
from shared.validation import first_sentence

CHUNK_ROWS = 2000
_OF_CUSTOMER = ("email", "name", "phone", "customer_group", "notes")
# The columns of the default shipping address, and the field that each is.
ADDRESS_COLUMNS = {
    **{name: name for name in ("company", "line1", "line2", "city", "region", "postal_code", "country")},
    "ship_to": "name",
    "address_phone": "phone",
}
_COLUMN_OF = {field: column for column, field in ADDRESS_COLUMNS.items()}
_COLUMNS = (
    Column("email", normalised_email, is_required=True),
    *(Column(name) for name in (*_OF_CUSTOMER[1:], *ADDRESS_COLUMNS)),
)


async def check(_uow: UnitOfWork, options: ImportOptions) -> UUID | None:
    """Raises CustomersHaveNoShop, UnsupportedProfile."""
    if options.shop is not None:
        raise CustomersHaveNoShop("A customer buys in every shop: leave 'shop' out.")
    if options.profile not in (None, "crossdock"):
        names = ", ".join(column.name for column in _COLUMNS)
        raise UnsupportedProfile(f"A file of customers has the columns {names}; name no profile.")
    return None


class CustomerFile(GroupFile):
    """A file of customers."""

    def __init__(self, opening: Opening) -> None:
        self._file = TableFile(opening.source, _COLUMNS, "customers", ("email",))
        self._mode: str = opening.row["mode"]
        self._is_dry: bool = opening.row["dry_run"]
        self._import_id = opening.import_id
        self._samples: list[ImportSample] = []
        self.layout: Any = self._file.layout

    def chunks(self) -> Iterator[TableChunk]:
        return self._file.chunks(CHUNK_ROWS)

    async def apply(self, uow: UnitOfWork, job: RunningJob, chunk: TableChunk, _number: int) -> None:
        rows = []
        for item in chunk.items:
            read = self._read(item)
            if isinstance(read, CustomerRow):
                rows.append(read)
            else:
                chunk.errors.append(read)
        before = await customer_sets.lock(uow, [row.email for row in rows])
        if self._mode == "update-only":
            kept = [row for row in rows if row.email in before]
        elif self._mode == "insert-only":
            kept = [row for row in rows if row.email not in before]
        else:
            kept = rows
        job.count("customers_skipped", len(rows) - len(kept))
        written = await customer_sets.write(uow, kept)
        job.count("customers_inserted", len(written.inserted))
        job.count("customers_updated", len(written.updated))
        job.count("customers_unchanged", len(kept) - len(written.inserted) - len(written.updated))
        changed = written.inserted | written.updated
        if self._is_dry:
            self._samples = [_sample(row, before) for row in kept if row.email in changed][:MOST_SAMPLES]
        elif changed:
            after = await customer_sets.lock(uow, sorted(changed))
            await images.keep(uow, self._import_id, customer_undoing.images_of(before, after))

    def _read(self, item: TableRow) -> CustomerRow | RowError:
        given = {name: item.values.get(name) for name in _OF_CUSTOMER}
        address = {
            field: value for column, field in ADDRESS_COLUMNS.items() if (value := item.values.get(column)) is not None
        }
        try:
            customer = NewCustomer.model_validate(given)
        except ValidationError as error:
            return self._refused(item, error, NewCustomer, {})
        try:
            default = CustomerAddress.model_validate(address) if address else None
        except ValidationError as error:
            return self._refused(item, error, CustomerAddress, _COLUMN_OF)
        return CustomerRow.of(customer, default)

    def _refused(self, item: TableRow, error: ValidationError, shape: Any, columns: Mapping[str, str]) -> RowError:
        place, sentence = first_sentence(error, shape)
        field = str(place[0]) if place else "email"
        column = columns.get(field, field)
        return self._file.refused(item, column, "invalid_value", f"{column}: {sentence}.")

    async def skipped(self, uow: UnitOfWork, chunk: TableChunk, most: int) -> list[ImportSample]:
        if self._mode == "merge":
            return []
        before = await customer_sets.find_known(uow, [item.values["email"] for item in chunk.items])
        skips_known = self._mode == "insert-only"
        left = [item.values["email"] for item in chunk.items if (item.values["email"] in before) is skips_known]
        return [ImportSample(kind="skip", part="customers", name=email, fields=[]) for email in left[:most]]

    async def samples(self, _uow: UnitOfWork, wanted: Mapping[SampleKind, int]) -> list[ImportSample]:
        found: list[ImportSample] = []
        for kind in ("insert", "update"):
            found += [sample for sample in self._samples if sample.kind == kind][: wanted.get(kind, 0)]
        return found


def _sample(row: CustomerRow, before: Mapping[str, Mapping[str, Any]]) -> ImportSample:
    known = before.get(row.email)
    fields = [
        SampleField(field=name, before=known[name] if known else None, after=value)
        for name in _OF_CUSTOMER[1:]
        if (value := getattr(row, name)) is not None and (known is None or known[name] != value)
    ]
    return ImportSample(kind="update" if known else "insert", part="customers", name=row.email, fields=fields)


GROUP = Group(
    name="customers",
    modes=("merge", "insert-only", "update-only"),
    open=CustomerFile,
    check=check,
    is_written_at_once=True,
    without={
        "replace": "An empty cell says nothing: change such a field by hand.",
        "delete": "A customer is erased one by one, for good, where somebody asks for it.",
    },
)
