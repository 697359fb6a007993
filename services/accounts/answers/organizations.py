"""Organizations."""

from services.accounts.use_cases import clients, organizations
from shared.contracts.accounts.messages import (
    ChangeOrganization,
    CreateApiClient,
    CreateOrganization,
    GetOrganization,
    ListOrganizations,
)
from shared.contracts.accounts.shapes import NewOrganization, Organization
from shared.contracts.base import Page
from shared.pagination import cursor_values
from shared.service import answers
from shared.unit_of_work import UnitOfWork

# What the installation's own key carries (gateway/identity.py); `admin` of a tenant does not include it.
CREATE_ORGANIZATIONS = "organizations:create"


@answers(CreateOrganization, scope="installation")
async def create_organization(message: CreateOrganization, uow: UnitOfWork) -> NewOrganization:
    if uow.envelope.asking_service is None:
        uow.caller.require_permission(CREATE_ORGANIZATIONS)
    organization = await organizations.create(uow, message)
    administrator = None
    if message.client_name is not None:
        administrator = await clients.make(uow, CreateApiClient(name=message.client_name, scopes=["admin"]))
    return NewOrganization(organization=organization.shape(), administrator=administrator)


@answers(ListOrganizations, scope="accounts:read")
async def list_organizations(message: ListOrganizations, uow: UnitOfWork) -> Page[Organization]:
    if cursor_values(message.after, 1) is not None:
        return Page(items=[])
    return Page(items=[(await organizations.get(uow, uow.organization_id)).shape()])


@answers(GetOrganization, scope="accounts:read")
async def get_organization(message: GetOrganization, uow: UnitOfWork) -> Organization:
    return (await organizations.get(uow, message.organization_id)).shape()


@answers(ChangeOrganization, scope="accounts:write")
async def change_organization(message: ChangeOrganization, uow: UnitOfWork) -> Organization:
    changed = await organizations.change(uow, message.organization_id, message.change, message.expected_version)
    return changed.shape()
