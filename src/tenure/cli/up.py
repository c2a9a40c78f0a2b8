"""`tenure up`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.cli.serve import url_in
from tenure.cli.stopping import Stop
from tenure.core.errors import ConfigError
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)

_LOOK_SECONDS: Final = 0.2
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
_SOUND_SECONDS: Final = 60.0
"""Who lived as long starts again without a longer wait."""
_STOP_SECONDS: Final = 15.0
_PORT: Final = re.compile(r":(\d+)$")


@app.command()
@answers
def up(
    project: ProjectOption = HERE,
    host: Annotated[
        str | None, typer.Option(help="Address to bind; loopback unless the project file says otherwise.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes any free one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that answer; left out: the project file's.")
    ] = None,
    as_json: JsonOption = False,
) -> Reply:
    """Run the server, the watcher and the overview page together until stopped; what dies starts again."""
    with open_workspace(project) as workspace:
        workspace.champion()
        patience = workspace.project.serving.timeout + _STOP_SECONDS
    wishes = {"--host": host, "--port": port, "--workers": workers}
    options = [str(word) for name, value in wishes.items() if value is not None for word in (name, value)]
    place = ["--project", str(project.resolve())]
    server = Child("server", ["serve", *place, *options])
    children = (server, Child("watcher", ["watch", *place]))
    life, held = os.pipe()
    with Stop() as stop:
        try:
            while not stop.is_asked:
                for child in children:
                    child.tend(life)
                stop.wait(_LOOK_SECONDS)
        finally:
            for child in children:
                child.ask_to_stop()
            end = time.monotonic() + patience
            for child in children:
                child.wait_until(end)
            os.close(held)
            os.close(life)
    starts = {child.name: child.starts for child in children}
    return Reply(result={"url": server.url, "starts": starts}, shows=["Stopped: server and watcher have ended."])


@dataclass(slots=True)
class Child:
    """One process that is to run on and on: it is started again when it dies, after waits that double."""

    name: str
    words: Sequence[str]
    url: str | None = None
    starts: int = 0
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None
    _started: float = 0.0
    _due: float = 0.0
    _wait: float = field(default=_FIRST_WAIT)

    def tend(self, life: int) -> None:
        """Start it where it does not run and its time has come; `life` is the end of the pipe that it reads.

        Raises:
            ConfigError: it refuses to run at all.
        """
        now = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._buried(code, now)
        if now >= self._due:
            self._start(life, now)

    def ask_to_stop(self) -> None:
        """Tell it to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_until(self, end: float) -> None:
        """Wait for its end, and end it by force after that moment: whatever it does is safe to be killed in."""
        if self._process is None or self._reader is None:
            return
        try:
            self._process.wait(max(end - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_STOP_SECONDS)

    def _start(self, life: int, now: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tenure.cli.child", str(life), *self.words, *self._same_port()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=(life,),
            start_new_session=True,  # Ctrl-C in the terminal is for its parent, who stops it in order
        )
        self._reader = threading.Thread(target=self._tell, args=(self._process,), name=self.name, daemon=True)
        self._reader.start()
        self.starts += 1
        self._started = now

    def _same_port(self) -> list[str]:
        """Return what keeps a server that took any port on that port when it starts again."""
        port = None if self.url is None else _PORT.search(self.url)
        return [] if port is None else ["--port", port[1]]

    def _buried(self, code: int, now: float) -> None:
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        self._process = None
        if self.starts == 1 and code == ConfigError.exit_code:
            raise ConfigError(
                f"The {self.name} cannot run.", where=self.name, hint="It said why above. Mend that, then: tenure up"
            )
        self._wait = _FIRST_WAIT if now - self._started >= _SOUND_SECONDS else self._wait
        self._due = now + self._wait
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        _say("up", f"The {self.name} {how}; it starts again in {self._wait:g} s.")
        self._wait = min(self._wait * 2, _LONGEST_WAIT)

    def _tell(self, process: subprocess.Popen[str]) -> None:
        """Pass on what it writes, line by line, and note where it can be reached."""
        for line in process.stderr or ():
            _say(self.name, line.rstrip("\n"))
            found = url_in(line)
            if found is not None:
                self.url = found
                _say("up", f"Overview: {found}/  Health: {found}/health.html  Documents: {found}/docs")


def _say(who: str, line: str) -> None:
    sys.stderr.write(f"{who}: {line}\n")
    sys.stderr.flush()
