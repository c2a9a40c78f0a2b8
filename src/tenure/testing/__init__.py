"""The kit for authors of plug-ins: contracts that every plug-in keeps, and small worlds with a planted truth."""
