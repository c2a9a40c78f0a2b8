from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from tenure.core.errors import ProjectBusyError
from tenure.state.database import Database
from tenure.state.host import host_name, pid_space, process_birth
from tenure.state.leases import Lease
from tenure.state.tables import LEASES

HOLDER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tenure.state.database import open_database
from tenure.state.leases import Lease
database = open_database(sys.argv[1] or None, Path(sys.argv[2]))
with Lease(database, "churn", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(database: Database, clock, **changes: object) -> None:
    now_us = int(clock.now.timestamp() * 1e6)
    row = {"name": "churn", "owner": "other", "host": "elsewhere", "pid": 7, "birth": "1", "taken_us": now_us}
    with database.begin() as connection:
        connection.execute(insert(LEASES).values(row | {"expires_us": now_us + 30_000_000} | changes))


def holders(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(LEASES.c.owner)).scalars())


def test_lease_is_held_inside_the_block_and_free_after_it(database: Database, clock) -> None:
    with Lease(database, "churn", clock=clock) as lease:
        assert holders(database) == [lease.owner]
    assert holders(database) == []


def test_lease_is_given_back_when_the_work_fails(database: Database, clock) -> None:
    with pytest.raises(ZeroDivisionError), Lease(database, "churn", clock=clock):
        raise ZeroDivisionError
    assert holders(database) == []


def test_second_taker_hears_who_holds_it_and_leaves_it_alone(database: Database, clock) -> None:
    with Lease(database, "churn", clock=clock) as lease:
        with pytest.raises(ProjectBusyError) as caught, Lease(database, "churn", clock=clock):
            pass
        assert f"Process {os.getpid()} on {host_name()}" in caught.value.message
        assert "2026-01-01" in caught.value.message
        assert caught.value.exit_code == 75
        assert holders(database) == [lease.owner]


def test_different_names_do_not_disturb_each_other(database: Database, clock) -> None:
    with Lease(database, "churn", clock=clock), Lease(database, "watch", clock=clock):
        assert len(holders(database)) == 2


def test_holder_on_another_machine_is_waited_for_until_its_time_runs_out(database: Database, clock) -> None:
    hold_elsewhere(database, clock)
    clock.advance(29.9)
    with pytest.raises(ProjectBusyError, match="Process 7 on elsewhere"), Lease(database, "churn", clock=clock):
        pass
    clock.advance(0.2)
    with Lease(database, "churn", clock=clock) as lease:
        assert holders(database) == [lease.owner]


def test_dead_process_on_this_machine_loses_it_at_once(
    state_url: str | None, open_state: Callable[[], Database], tmp_path: Path, clock
) -> None:
    database = open_state()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, state_url or "", str(tmp_path / ".tenure")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ProjectBusyError, match=f"Process {holder.pid}"), Lease(database, "churn", clock=clock):
        pass
    holder.kill()
    holder.communicate()
    with Lease(database, "churn", clock=clock) as lease:
        assert holders(database) == [lease.owner]


def test_process_that_got_a_dead_ones_number_does_not_inherit_its_lease(database: Database, clock) -> None:
    hold_elsewhere(database, clock, host=host_name(), pid=os.getpid(), birth=f"born earlier@{pid_space()}")
    with Lease(database, "churn", clock=clock) as lease:
        assert holders(database) == [lease.owner]


def test_renewing_prolongs_by_the_full_time(database: Database, clock) -> None:
    with Lease(database, "churn", clock=clock, ttl_seconds=30) as lease:
        clock.advance(25)
        lease.renew()
        with database.read() as connection:
            expires_us = connection.execute(select(LEASES.c.expires_us)).scalar_one()
        assert datetime.fromtimestamp(expires_us / 1e6, UTC) == datetime(2026, 1, 1, 0, 0, 55, tzinfo=UTC)


def test_lost_lease_cannot_be_renewed_and_is_not_taken_from_the_new_holder(database: Database, clock) -> None:
    with Lease(database, "churn", clock=clock) as lease:
        with database.begin() as connection:
            connection.execute(update(LEASES).values(owner="other", host="elsewhere", pid=7))
        with pytest.raises(ProjectBusyError, match="Process 7 on elsewhere"):
            lease.renew()
    assert holders(database) == ["other"]


def test_background_thread_renews_without_being_asked(database: Database, clock) -> None:
    asked = threading.Semaphore(0)

    def ticking() -> datetime:
        asked.release()
        return clock.now

    with Lease(database, "churn", clock=ticking, ttl_seconds=0.06):
        for _ in range(4):  # once to take it, three times to renew it
            assert asked.acquire(timeout=30)


def test_process_birth_tells_the_living_from_the_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process_birth(os.getpid()) is not None
    assert process_birth(ended.pid) is None


def test_holder_in_a_container_of_the_same_name_is_not_taken_for_dead(database: Database, clock) -> None:
    hold_elsewhere(database, clock, host=host_name(), pid=os.getpid(), birth="1@another space")
    with pytest.raises(ProjectBusyError), Lease(database, "churn", clock=clock):
        pass


def test_what_is_written_after_the_lease_was_lost_is_not_committed(database: Database, clock) -> None:
    with Lease(database, "churn", clock=clock) as lease:
        with database.begin(lock="ledger") as connection:
            lease.check(connection)
        with database.begin() as connection:
            connection.execute(update(LEASES).values(owner="other"))
        with pytest.raises(ProjectBusyError), database.begin(lock="ledger") as connection:
            lease.check(connection)


def test_lease_counts_its_time_from_when_it_got_the_lock(database: Database, clock) -> None:
    looked, holds = threading.Event(), threading.Event()

    def noting() -> datetime:
        looked.set()
        return clock()

    def hold_for_long() -> None:
        with database.begin(lock="leases"):
            holds.set()
            looked.wait(0.3)  # one that looks at the clock before it waits is found out; nobody else is
            clock.advance(60)

    holder = threading.Thread(target=hold_for_long)
    holder.start()
    assert holds.wait(10)
    with Lease(database, "churn", clock=noting, ttl_seconds=30), database.read() as connection:
        expires_us = connection.execute(select(LEASES.c.expires_us)).scalar_one()
    holder.join()
    assert datetime.fromtimestamp(expires_us / 1e6, UTC) == clock() + timedelta(seconds=30)
