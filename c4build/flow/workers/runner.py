"""Beam's local runner with worker processes of our own.

Beam's own ones are spoken to over TCP ports that are open to the whole network, one of which hands out any file that
this process can read; and Beam waits for a worker that has died or that cannot tell of an error. Here all goes over one
Unix socket in a folder that only its owner may enter, no files are handed out, and whatever fails in a worker ends the
run at once. Everything else is Beam's. Tried with Beam 2.66 and 2.77.
"""

import itertools
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator

import apache_beam
import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.worker import data_plane
from apache_beam.utils import thread_pool_executor

from c4build.errors import WorkerError
from c4build.flow.workers import process

_LONGEST_PATH = 100  # bytes, of a Unix socket; macOS takes 103, Linux 107
_SECONDS = 2  # in which Beam comes back from a failure
_SECONDS_TO_DIE = 1  # in which a death shows that a broken connection told of first
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.max_ping_strikes", 0),
]


class WorkersRunner(fn_runner.FnApiRunner):
    """Runs a pipeline on worker processes.

    Args:
      log: a file for what the workers have to say; None: nowhere.
      ready: workers that wait to be told what to do, which are taken from the list; without them new ones are started.
    """

    def __init__(self, log: str | None, ready: list[process.Forked]):
        super().__init__()  # Beam takes the steps for its own process, should it not know our workers
        self._log, self._ready = log or os.devnull, ready

    def run_stages(self, stage_context, stages):
        """Runs what Beam has made of the pipeline.

        Raises:
          WorkerError: where a worker died, or where this Beam takes no workers of ours.
        """
        if not hasattr(fn_runner, "WorkerHandlerManager"):
            raise WorkerError(
                f"Beam {apache_beam.__version__} takes no workers of c4build, and its own are open to the network: give "
                "--workers 1, or install Beam 2.66 to 2.77"
            )
        managers: list[_Manager] = []

        def make(*arguments) -> "_Manager":
            managers.append(_Manager(self._log, self._ready, *arguments))
            return managers[-1]

        before, fn_runner.WorkerHandlerManager = fn_runner.WorkerHandlerManager, make  # type: ignore[assignment, misc]
        try:
            return super().run_stages(stage_context, stages)
        except BaseException as error:
            for manager in managers:
                if manager.failure.died:
                    raise WorkerError(
                        f"a worker process died ({manager.failure.died}), killed or out of memory; run the same command "
                        "again and it goes on from here, with fewer --workers if it was the memory"
                    ) from error
                if manager.failure.error:  # the first of them: others may follow from it
                    raise RuntimeError(manager.failure.error) from error
            raise
        finally:
            fn_runner.WorkerHandlerManager = before  # type: ignore[misc]


class _Failure:
    """What failed first in any worker."""

    def __init__(self):
        self.error = ""  # a traceback, as Beam's worker sends it
        self.died = ""  # how a process ended
        self.known = threading.Event()


class _Manager(worker_handlers.WorkerHandlerManager):
    """Starts the workers when Beam asks for them, and ends them when it has done or something fails."""

    def __init__(self, log: str, ready: list[process.Forked], *arguments):
        super().__init__(*arguments)
        self.failure = _Failure()
        self._log, self._ready = log, ready
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._closed = threading.Event()
        self._thread = threading.get_ident()  # the one that Beam's runner waits in
        self._server: grpc.Server | None = None
        self.folder = ""

    def get_worker_handlers(self, environment_id: str | None, num_workers: int) -> list["_Worker"]:
        if self._server is None:
            self._serve()
        while len(self._workers) < num_workers:
            if self.failure.known.is_set():
                raise RuntimeError("a worker failed before all were started")
            worker = _Worker(self)
            with self._lock:
                self._workers.append(worker)
            worker.start_worker()
        return self._workers[:num_workers]

    def get_worker(self, worker_id: str) -> "_Worker":
        with self._lock:
            return next(worker for worker in self._workers if worker.worker_id == worker_id)

    def fail(self, error: str = "", died: str = ""):
        """Ends every worker, and whatever waits for one."""
        with self._lock:
            if self._closed.is_set() or self.failure.known.is_set():
                return
            self.failure.error, self.failure.died = error, died
            self.failure.known.set()
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.control_conn.fail(error or died)
        # Beam may wait for something else, such as room to send what no worker takes any more.
        if not self._closed.wait(_SECONDS) and self._thread == threading.main_thread().ident:
            signal.pthread_kill(self._thread, signal.SIGINT)

    def close_all(self):
        error = sys.exc_info()[1]
        if isinstance(error, Exception):  # it may follow from what is not known yet
            self.failure.known.wait(_SECONDS)
        self._closed.set()
        for worker in self._workers:
            worker.close(in_order=error is None)
        if self._server is not None:
            self._server.stop(None).wait()
            shutil.rmtree(self.folder, ignore_errors=True)
        self._workers = []

    @property
    def socket(self) -> str:
        return "unix:" + urllib.parse.quote(os.path.join(self.folder, "beam"))

    def new_process(self, worker_id: str) -> process.Process:
        """A worker process that is at work."""
        started = self._ready.pop() if self._ready else process.start(self._log)
        process.tell(started, process.Told(worker_id, self.socket, self.folder, self._log))
        return started

    def _serve(self):
        self.folder = _private_folder()
        self.data = data_plane.BeamFnDataServicer()
        self._server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=_OPTIONS)
        beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(_Control(self), self._server)
        beam_fn_api_pb2_grpc.add_BeamFnDataServicer_to_server(self.data, self._server)
        beam_fn_api_pb2_grpc.add_BeamFnStateServicer_to_server(
            worker_handlers.GrpcStateServicer(self.state_servicer), self._server
        )
        self._server.add_insecure_port(self.socket)
        self._server.start()


def _private_folder() -> str:
    """A new folder for a socket, which nobody but its owner may enter."""
    candidates = []
    try:
        candidates.append(tempfile.gettempdir())
    except FileNotFoundError:  # no folder that can be written to
        pass
    for candidate in dict.fromkeys([*candidates, "/tmp", "/var/tmp", "/dev/shm"]):
        if len(os.fsencode(candidate)) > _LONGEST_PATH - len("/c4build-12345678/beam"):
            continue
        try:
            return tempfile.mkdtemp(prefix="c4build-", dir=candidate)
        except OSError:
            continue
    raise WorkerError("no folder for temporary files can be written to: set TMPDIR to one, or give --workers 1")


class _Worker(worker_handlers.WorkerHandler):
    """One worker process, as Beam speaks to it."""

    def __init__(self, manager: _Manager):
        super().__init__(None, manager.data, manager.state_servicer, None)  # type: ignore[arg-type]  # only Beam's own workers use it
        self._manager = manager
        self._process: process.Process | None = None
        self.control_conn: _Connection = _Connection()  # type: ignore[assignment]  # Beam calls its `push` alone
        self.data_conn = manager.data.get_conn_by_worker_id(self.worker_id)

    def start_worker(self):
        self._process = self._manager.new_process(self.worker_id)
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def _watch(self, started: process.Process):
        code = started.wait()
        self._manager.fail(died=f"signal {-code}" if code < 0 else f"exit code {code}")

    def kill(self):
        if self._process is not None:
            self._process.kill()

    def close(self, in_order: bool = True):
        if in_order:
            self.data_conn.close()
        self.kill()
        self.control_conn.fail("closed")
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()

    def data_api_service_descriptor(self) -> endpoints_pb2.ApiServiceDescriptor:
        return endpoints_pb2.ApiServiceDescriptor(url=self._manager.socket)

    def state_api_service_descriptor(self) -> endpoints_pb2.ApiServiceDescriptor:
        return endpoints_pb2.ApiServiceDescriptor(url=self._manager.socket)


class _Connection:
    """Requests to one worker and its answers."""

    _numbers = itertools.count(1)

    def __init__(self):
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._waiting: dict[str, worker_handlers.ControlFuture] = {}
        self._error = ""

    def push(self, request: beam_fn_api_pb2.InstructionRequest) -> worker_handlers.ControlFuture:
        if not request.instruction_id:
            request.instruction_id = f"control_{next(self._numbers)}"
        future = worker_handlers.ControlFuture(request.instruction_id)
        with self._lock:
            self._waiting[request.instruction_id] = future
        self._requests.put(request)
        if self._error:
            self.fail(self._error)
        return future

    def requests(self) -> Iterator[beam_fn_api_pb2.InstructionRequest]:
        """The requests, until `fail`."""
        return iter(self._requests.get, None)

    def answer(self, response: beam_fn_api_pb2.InstructionResponse):
        with self._lock:
            future = self._waiting.pop(response.instruction_id, None)
        if future is not None:
            future.set(response)

    def fail(self, error: str):
        """Answers all requests, those to come too, with an error."""
        with self._lock:
            self._error = error
            waiting = list(self._waiting)
        self._requests.put(None)
        for instruction_id in waiting:
            self.answer(beam_fn_api_pb2.InstructionResponse(instruction_id=instruction_id, error=error))


class _Control(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """Beam's service by which workers are told what to do."""

    def __init__(self, manager: _Manager):
        self._manager = manager

    def Control(self, responses, context):
        worker = self._manager.get_worker(dict(context.invocation_metadata())["worker_id"])
        threading.Thread(target=self._read, args=(worker, responses), daemon=True).start()
        yield from worker.control_conn.requests()

    def GetProcessBundleDescriptor(self, request, context=None):
        return self._manager.get_process_bundle_descriptor(request)

    def _read(self, worker: _Worker, responses):
        try:
            for response in responses:
                if response.error:  # the workers that have not failed are not waited for
                    self._manager.fail(error=response.error)
                worker.control_conn.answer(response)
        except grpc.RpcError:
            pass
        # Its process has ended, or does so soon.
        if not self._manager.failure.known.wait(_SECONDS_TO_DIE):
            self._manager.fail(died="its connection ended")
