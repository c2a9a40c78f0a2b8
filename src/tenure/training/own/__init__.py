"""How models of the owner's own learn: within their time, whatever their code does."""
