"""GraphQL of the lists over all services: jobs, the audit log, alerts."""

from gateway.graphql.fields import connection, mutation, node, query, subscription
from shared.contracts.accounts import lists
from shared.contracts.platform.shapes import Job

_SERVICE = {"service_name": "service"}

FIELDS = (
    connection("jobs", lists.ListJobs, renamed=_SERVICE),
    query("job", lists.GetJob),
    node(Job, lists.GetJob, "job_id"),
    mutation("cancelJob", lists.CancelJob),
    subscription("jobProgress", lists.GetJob),
    connection("auditLog", lists.ListAuditLog, renamed=_SERVICE),
    connection("alerts", lists.ListAlerts, renamed=_SERVICE),
    mutation("acknowledgeAlert", lists.AcknowledgeAlert),
)
