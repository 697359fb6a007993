"""GraphQL of people. Sessions and passwords go over REST, where cookies and their rules are."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.accounts import people
from shared.contracts.accounts.people import User

FIELDS = (
    query("me", people.GetMe),
    connection("users", people.ListUsers),
    query("user", people.GetUser),
    node(User, people.GetUser, "user_id"),
    mutation("createUser", people.CreateUser),
    mutation("updateUser", people.ChangeUser),
    mutation("withdrawUser", people.WithdrawUser),
    mutation("restoreUser", people.RestoreUser),
    mutation("removeUser", people.RemoveUser),
)
