"""A fitted model as data: what training makes and what serving and checks use."""
