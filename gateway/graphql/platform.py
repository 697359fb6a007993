"""GraphQL of what every service has: its parked deliveries and tasks."""

from gateway.graphql.fields import connection, mutation
from shared.contracts.platform.messages import ListParkedDeliveries, ListParkedTasks, ReplayDeliveries, ReplayTasks

_SERVICE = {"service_name": "service"}

FIELDS = (
    connection("parkedDeliveries", ListParkedDeliveries, renamed=_SERVICE),
    mutation("replayDeliveries", ReplayDeliveries, renamed=_SERVICE),
    connection("parkedTasks", ListParkedTasks, renamed=_SERVICE),
    mutation("replayTasks", ReplayTasks, renamed=_SERVICE),
)
