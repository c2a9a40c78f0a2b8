"""Tell people: what a look found becomes alarms, and alarms become messages to webhooks and mailboxes."""
