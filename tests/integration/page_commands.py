"""Do what a page says: its ``sh`` blocks, line by line, and compare with the answers it shows."""

import asyncio
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WITHIN_S = 100
#: How a command that goes on until it is stopped begins; the page says to give it a terminal.
SERVING = ("make serve", ".venv/bin/jetrun serve")
SHOWN_URL = "http://127.0.0.1:2024"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """One block of commands, and the answer that the page shows below it."""

    commands: str
    answer: str | None

    @property
    def serves(self):
        return self.commands.startswith(SERVING)


def blocks_of(page, language):
    """Return the blocks of a page that are in one language."""
    return [text for each, text in _BLOCK.findall((ROOT / page).read_text()) if each == language]


def steps_of(page):
    """Return the steps of a page, in order."""
    steps = []
    for language, text in _BLOCK.findall((ROOT / page).read_text()):
        if language == "sh":
            steps.append(Step(text.strip(), None))
        elif language == "json":
            steps[-1] = steps[-1]._replace(answer=text.strip())
    return steps


def as_checked_out(directory):
    """Make a directory look like a fresh copy of the repository, with its environment made."""
    for name in ("Makefile", "examples", "scripts"):
        (directory / name).symlink_to(ROOT / name)
    (directory / ".venv").mkdir()
    (directory / ".venv" / "bin").symlink_to(BIN)


async def follow_page(page, directory, environment, url=None):
    """Follow a page in a directory; return what each step printed.

    Commands find what serves at ``url``, or what the page itself has them start: that goes on, on a
    free port, until the next such command or the end of the page.
    """
    as_checked_out(directory)
    steps, answers = steps_of(page), {}
    serving = None
    try:
        while steps:
            if steps[0].serves:
                await _stop(serving)
                serving, url = await _serve(steps.pop(0).commands, directory, environment)
            together = []
            while steps and not steps[0].serves:
                together.append(steps.pop(0))
            answers.update(await _run(together, url, directory, environment))
    finally:
        await _stop(serving)
    return answers


async def _serve(command, directory, environment):
    # Making the environment is the test of a clean clone; here it is made already.
    made = command.replace("make serve", "make -o run-env serve")
    free = f"{made} ARGS='--port 0'" if made.startswith("make") else f"{made} --port 0"
    process = await asyncio.create_subprocess_shell(
        f"exec {free}", cwd=directory, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            # A make that runs below another one first says where it is.
            while not (found := re.search(rb"http://\S+", await process.stdout.readline())):
                assert not process.stdout.at_eof(), "it ended before it told its URL"
    except BaseException:
        process.terminate()
        raise
    return process, found[0].decode()


async def _run(steps, url, directory, environment):
    """Run steps in one shell, so that they share its variables; return what each printed."""
    script = "".join(f"{step.commands}\nprintf '\\n%s\\n' '{_MARK}'\n" for step in steps)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-eu",
        "-c",
        script.replace(SHOWN_URL, url),
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
    printed = out.decode().split(_MARK)
    return {step: text.strip() for step, text in zip(steps, printed, strict=False)}


async def _stop(process):
    if process is not None and process.returncode is None:
        process.terminate()
        async with asyncio.timeout(WITHIN_S):
            await process.communicate()


_MARK = "--- done ---"
