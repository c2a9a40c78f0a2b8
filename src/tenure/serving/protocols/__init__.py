"""What goes over the wire: one file for each protocol, each between bytes and the same `Ask` and `Said`."""
