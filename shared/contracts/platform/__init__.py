"""What every service answers and announces: its jobs, its audit trail, its alerts, its parked deliveries and tasks."""
