"""Work shared out over processes by dask.distributed: a cluster of its own, or any other by address."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colloid_cg.errors import ColloidError, ConfigError, WorkerError
from colloid_cg.provenance import code_version

if TYPE_CHECKING:
    from distributed import Client, Future

LOOK_AHEAD = 2
"""Tasks handed out per worker: enough to keep it busy, few enough that results do not pile up."""
PATIENCE = 60.0
"""Seconds without a single worker after which a cluster is given up."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Crew:
    """Who does the work.

    Parameters
    ----------
    workers : int or None
        Processes on this machine; 1 works in this process, None takes several where that pays.
    scheduler : str or None
        Address of another dask cluster (``tcp://host:8786``); its workers must see the movie under the same path.
    """

    workers: int | None = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(
                f"{self.workers} workers", expected="at least one", action="give --workers 1 to work in this process"
            )
        if self.scheduler is not None and self.workers not in (None, 1):
            raise ConfigError(
                f"{self.workers} workers and the scheduler {self.scheduler}",
                expected="either processes of this machine or a cluster that has its own",
                action="leave out --workers or --scheduler",
            )


@dataclass(frozen=True)
class Task:
    """One call: ``function(*arguments)``; ``words`` says to the user what it is about."""

    words: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def cores() -> int:
    """Return the number of processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def results(tasks: Iterable[Task], crew: Crew, *, workers: int) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, in order of completion; only a few tasks are out at a time.

    Parameters
    ----------
    tasks : iterable of Task
        Functions that can be imported, with arguments and results that can be pickled.
    crew : Crew
    workers : int
        Processes to start where no scheduler is named.

    Raises
    ------
    ColloidError
        As the task raised it.
    WorkerError
        If the cluster cannot be reached, its workers die, or a task fails for a reason of its own.
    """
    with ExitStack() as stack:
        client = stack.enter_context(_client(crew, workers))
        waiting, out = iter(tasks), dict[Any, Task]()
        while True:
            # the crew of a foreign cluster may grow while it works
            room = LOOK_AHEAD * max(len(client.ncores()), 1) - len(out)
            for task in _first(waiting, room):
                out[client.submit(task.function, *task.arguments, pure=False)] = task
            if not out:
                return
            for future in _some_done(client, list(out)):
                yield out[future], _result(future, out.pop(future))


def _first(tasks: Iterator[Task], count: int) -> list[Task]:
    return [task for _, task in zip(range(count), tasks, strict=False)]


def _some_done(client: Client, futures: list[Future]) -> list[Future]:
    """Wait until a result is there, as long as somebody works on it."""
    from distributed import wait

    alone = time.monotonic()
    while True:
        try:
            with client.as_current():
                done = wait(futures, timeout=1.0, return_when="FIRST_COMPLETED").done
            return [future for future in futures if future in done]
        except TimeoutError:
            pass
        except CancelledError as error:
            raise _lost("it dropped the work") from error
        if client.status != "running":
            raise _lost("the connection broke")
        if client.ncores():
            alone = time.monotonic()
        elif time.monotonic() - alone > PATIENCE:
            raise _lost(f"no worker for {PATIENCE:.0f} s")


def _result(future: Future, task: Task) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except ColloidError:
        raise
    except KilledWorker as error:
        raise WorkerError(
            f"worker processes that died again and again on {task.words}",
            expected="processes that live to the end of their part",
            action="check the memory of the machine, or use --workers 1 and start again: it goes on where it stopped",
        ) from error
    except CancelledError as error:
        raise _lost("it dropped the work") from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WorkerError(
            f"an error in a worker on {task.words} ({type(error).__name__}: {reason[:200].rstrip('.')})",
            expected="a part that can be done",
            action="use --workers 1 to see where it comes from",
        ) from error


def _lost(reason: str) -> WorkerError:
    return WorkerError(
        f"a dask cluster that does not answer ({reason})",
        expected="a scheduler with workers until the end of the work",
        action="check the cluster and start the same command again: it goes on where it stopped",
    )


@contextmanager
def _client(crew: Crew, workers: int) -> Iterator[Client]:
    """Connect to the cluster that is named, or start one on this machine and end it with the block."""
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="colloid-cg-", ignore_cleanup_errors=True))
        import dask
        from distributed import Client, LocalCluster

        stack.enter_context(dask.config.set({"temporary-directory": scratch, "distributed.scheduler.http.routes": []}))
        if crew.scheduler is not None:
            yield _checked(_connected(crew.scheduler, stack), crew.scheduler)
            return
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                # no dashboard; the port that dask opens for it all the same serves nothing and clashes with none
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                memory_limit=0,  # a worker that dask pauses for its memory would never go on
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                env=dict.fromkeys(_ONE_THREAD, "1")
                | {"OPENCV_FOR_THREADS_NUM": "1", "DASK_LOGGING__DISTRIBUTED": "critical"},
            )
        )
        client = stack.enter_context(Client(cluster, set_as_default=False))
        client.run(_leave_interrupts_to_the_parent)
        yield client


def _connected(address: str, stack: ExitStack) -> Client:
    from distributed import Client

    try:
        client = stack.enter_context(Client(address, timeout=10, set_as_default=False))
        client.wait_for_workers(1, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(
            f"no dask cluster with workers at {address}",
            expected="the address of a running scheduler, such as tcp://host:8786",
            action="start 'dask scheduler' and 'dask worker', or leave out --scheduler",
        ) from error
    return client


def _checked(client: Client, address: str) -> Client:
    """Refuse workers with other code: the parts of one movie must come from one program."""
    own = code_version()
    other = {name: found for name, found in client.run(code_version, on_error="return").items() if found != own}
    if other:
        name, found = next(iter(other.items()))
        raise WorkerError(
            f"{found if isinstance(found, str) else 'no usable colloid_cg'} on the worker {name} of {address}",
            expected=f"colloid_cg {own} on every worker",
            action="install the same version there",
        )
    return client


def _leave_interrupts_to_the_parent() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what dask says of its own affairs off the terminal."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
