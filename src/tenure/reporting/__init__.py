"""From records to a dossier for the owner and the engineer."""
