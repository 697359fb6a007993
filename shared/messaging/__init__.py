"""Facts that must not be lost: outbox, deliveries, relay, inbox; and work for later: tasks and schedules."""
