"""Run the command line with `python -m tenure`."""

from tenure.cli.app import main

main()
