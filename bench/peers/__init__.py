"""The systems that are compared, how each is called, and how a campaign of runs is driven and judged.

`worker`, `meter` and one module for each system run in that system's own environment, which has no tenure in it
(`ours` excepted); `suite`, `campaign`, `compare`, `environments` and `without` run in ours.
"""
