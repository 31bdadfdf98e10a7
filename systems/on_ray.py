"""Any system on a Ray cluster: one actor for each replica, its cases sent in batches.

Nodes need the same environment as this machine, and the project's files under the same paths. API
keys are read from the environment of each node and never sent.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

import systems
from harness.errors import RungError, SystemFailure, ends_the_session
from harness.types import Case, Output, Rung, System, SystemSpec
from systems.answers import describe

BATCH = 64  # cases: two of the local backend's batches
IN_FLIGHT = 2  # batches at a replica: the one it works on, and the next, so that it never waits
ATTEMPTS = 3
CONNECT_S = 10.0
PLACEMENT_S = 600.0  # an autoscaler may first have to start a machine
OBJECT_STORE = 256 * 2**20  # bytes: texts are small, and what does not fit is spilled to disk


def load_on_ray(spec: SystemSpec) -> System:
    """Build a system that answers on the cluster of `RAY_ADDRESS`, or on one of this machine.

    A recorded system stays here: nothing is generated, and each batch would read the whole file.
    """
    if spec.kind == "recorded":
        return systems.load(spec)
    return RaySystem(spec, **spec.options.get("engine", {}))


class RaySystem:
    """Answers cases with replicas of another system, each an actor of its own.

    An actor is lost with its process or its node. The batch that it worked on is then sent to
    another one: whole at first, and case by case at the last attempt, so that a case that kills
    its process takes no other with it. `Output.attempts` counts these.

    Parameters
    ----------
    spec
        The system to run; it is built on the nodes.
    address
        A cluster's address. None stands for `RAY_ADDRESS`, or without that for a cluster of this
        machine, which is started when first needed and ends with the process. A connection that
        the process already has is used as it is.
    replicas
        At most so many actors; by default as many as the cluster has room for.
    num_cpus, num_gpus
        What one replica needs. By default a GPU for a model of the nodes, where they have any.
    batch
        Cases sent at once.
    """

    def __init__(
        self,
        spec: SystemSpec,
        *,
        address: str | None = None,
        replicas: int | None = None,
        num_cpus: float = 1,
        num_gpus: float | None = None,
        batch: int = BATCH,
    ) -> None:
        self.spec = spec
        self.batch = batch
        self._cluster = _cluster(address)
        self._asked = replicas
        self._num_cpus, self._num_gpus = num_cpus, num_gpus
        self._pool: Pool | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield outputs as batches come back. An exception is the error of its batch's cases."""
        if not cases:
            return
        pool = self._ready_pool(-(-len(cases) // self.batch))
        finished = False
        try:
            yield from pool.answer(_batches(cases, self.batch), epoch)
            finished = True
        finally:
            if not finished:  # nobody wants what is still under way
                self.release()

    def release(self) -> None:
        """End the actors, so that another system can have their place."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def close(self) -> None:
        """End the actors, and the cluster where this process started it."""
        self.release()
        self._cluster.close()

    def _ready_pool(self, batches: int) -> Pool:
        self._cluster.lend(self)
        if self._pool is None:
            gpus = self._num_gpus
            if gpus is None:
                local_model = self.spec.model is not None and self.spec.model.kind == "transformers"
                gpus = 1 if local_model and self._cluster.has("GPU") else 0
            self._pool = Pool(self.spec, {"CPU": self._num_cpus, "GPU": gpus})
        room = self._asked or self._cluster.room(self._pool.needs)
        self._pool.grow(min(room, batches))
        return self._pool


class Cluster:
    """The connection of this process to a Ray cluster, which one system at a time makes use of."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._started = False
        self._holder: RaySystem | None = None

    def lend(self, system: RaySystem) -> None:
        """Connect, and end the actors of the system before: they would keep their resources."""
        self._connect()
        if self._holder is not None and self._holder is not system:
            self._holder.release()
        self._holder = system

    def close(self) -> None:
        """Leave the cluster if it was started here."""
        if self._holder is not None:
            self._holder.release()
            self._holder = None
        if self._started:
            ray.shutdown()
            self._started = False

    def has(self, resource: str) -> bool:
        return bool(ray.cluster_resources().get(resource, 0) > 0)

    def room(self, needs: dict[str, float]) -> int:
        """How many replicas the cluster's nodes have room for, at least 1."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return max(1, sum(_fitting(node, needs) for node in nodes))

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        address = self._address or os.environ.get("RAY_ADDRESS")
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if address is not None:
                _knock(address)
                ray.init(address, **quiet)
                return
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read by the processes that init starts
            ray.init("local", include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet)
            self._started = True
        except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise SystemFailure(
                f"no Ray cluster at {address or 'this machine'}: {describe(error)}",
                key="--engine ray",
                hint="Start one with `ray start --head`, or unset RAY_ADDRESS to use this machine.",
            ) from error


def _knock(address: str) -> None:
    """Fail at once where nothing listens: Ray itself keeps trying for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


@lru_cache(maxsize=8)
def _cluster(address: str | None) -> Cluster:
    """The systems of one process share its connection."""
    return Cluster(address)


def _fitting(node: dict[str, float], needs: dict[str, float]) -> int:
    return min(
        (int(node.get(name, 0) // need) for name, need in needs.items() if need > 0), default=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Cases that are sent together."""

    cases: tuple[Case, ...]
    attempt: int = 1

    @property
    def last(self) -> bool:
        return self.attempt >= ATTEMPTS

    def again(self) -> list[Batch]:
        """What to send once the actor was lost that worked on this; nothing after the last."""
        if self.last:
            return []
        attempt = self.attempt + 1
        if attempt < ATTEMPTS:
            return [replace(self, attempt=attempt)]
        return [Batch(cases=(case,), attempt=attempt) for case in self.cases]


def _batches(cases: Sequence[Case], size: int) -> Iterator[Batch]:
    for start in range(0, len(cases), size):
        yield Batch(cases=tuple(cases[start : start + size]))


class Answerer:
    """The actor: one replica of a system."""

    def __init__(self, spec: SystemSpec) -> None:
        self._spec = spec
        self._system: System | None = None

    def ready(self) -> None:
        """Return once the actor has a place."""

    def answer(self, cases: Sequence[Case], epoch: int) -> list[Output]:
        """Answer a batch. When the system fails, the cases it has not answered are errored."""
        waiting = {case.id: case for case in cases}
        outputs = []
        try:
            if self._system is None:
                self._system = systems.load(self._spec)
            for output in self._system.generate(cases, epoch=epoch):
                if waiting.pop(output.case_id, None) is not None:
                    outputs.append(output)
        except BaseException as error:
            if ends_the_session(error):
                raise
            reason = str(error) if isinstance(error, RungError) else describe(error)
            outputs += _errored(waiting.values(), epoch, reason)
        return outputs


def _errored(cases: Iterable[Case], epoch: int, reason: str) -> list[Output]:
    return [Output(case_id=case.id, epoch=epoch, text="", error=reason) for case in cases]


@dataclass(eq=False, slots=True)
class Replica:
    """What the driver knows of an actor."""

    actor: Any
    starting: Any  # the reference of `ready`; None once the actor has a place
    sent: dict[Any, Batch] = field(default_factory=dict)  # by reference, the oldest first

    @property
    def references(self) -> list[Any]:
        return [self.starting] if self.starting is not None else list(self.sent)

    def takes(self, batch: Batch, *, depth: int) -> bool:
        """Whether to send this next.

        What is sent again goes alone: the answer to one batch may be lost when the next one kills
        the process, and the first would take the blame.
        """
        if self.starting is not None or len(self.sent) > depth:
            return False
        return not self.sent or all(one.attempt == 1 for one in (batch, *self.sent.values()))


class Pool:
    """The replicas of one system.

    Ray itself would restart an actor, but keep calls to it waiting for a place that a lost node
    may never give back. Here batches only go to actors that have a place.
    """

    def __init__(self, spec: SystemSpec, needs: dict[str, float]) -> None:
        self.spec, self.needs = spec, needs
        self._replicas: list[Replica] = []
        self._failed_starts = 0  # in a row

    def grow(self, count: int) -> None:
        """Start actors up to this number."""
        while len(self._replicas) < count:
            self._start()

    def close(self) -> None:
        if ray.is_initialized():
            for replica in self._replicas:
                ray.kill(replica.actor)
        self._replicas.clear()

    def answer(self, batches: Iterator[Batch], epoch: int) -> Iterator[Output]:
        """Yield the outputs of all batches, at most two of them under way at a replica."""
        waiting: deque[Batch] = deque()
        while True:
            self._send(waiting, batches, epoch)
            if not waiting and not any(replica.sent for replica in self._replicas):
                return
            replica = self._next()
            if replica.starting is not None:
                self._placed(replica)
            else:
                yield from self._received(replica, waiting, epoch)
            if not self._replicas:
                raise SystemFailure(f"another system took the place of '{self.spec.name}'")

    def _start(self) -> None:
        options = {"num_cpus": self.needs["CPU"], "num_gpus": self.needs["GPU"]}
        actor = ray.remote(Answerer).options(**options, max_restarts=0).remote(self.spec)
        self._replicas.append(Replica(actor=actor, starting=actor.ready.remote()))

    def _send(self, waiting: deque[Batch], batches: Iterator[Batch], epoch: int) -> None:
        """Give every replica one batch before any gets its second."""
        for depth in range(IN_FLIGHT):
            for replica in self._replicas:
                if not waiting:
                    waiting.extend(islice(batches, 1))
                if waiting and replica.takes(waiting[0], depth=depth):
                    batch = waiting.popleft()
                    replica.sent[replica.actor.answer.remote(batch.cases, epoch)] = batch

    def _next(self) -> Replica:
        """Wait for something to happen at a replica."""
        by_reference = {ref: replica for replica in self._replicas for ref in replica.references}
        under_way = any(replica.sent for replica in self._replicas)
        limit = None if under_way else PLACEMENT_S
        done, _ = ray.wait(list(by_reference), num_returns=1, timeout=limit)
        if not done:
            raise SystemFailure(
                f"no node had room for a replica of '{self.spec.name}' within {PLACEMENT_S:g} s: "
                f"it needs {_listed(self.needs)}, the cluster has {_listed(ray.cluster_resources())}"
            )
        return by_reference[done[0]]

    def _placed(self, replica: Replica) -> None:
        try:
            ray.get(replica.starting)
        except RayError as error:
            self._failed_starts += 1
            # All may have been starting on a node that was lost.
            if self._failed_starts > ATTEMPTS * len(self._replicas):
                message = f"no replica of '{self.spec.name}' starts: {_first_line(error)}"
                raise SystemFailure(message) from error
            self._replace(replica)
        else:
            replica.starting = None
            self._failed_starts = 0

    def _received(self, replica: Replica, waiting: deque[Batch], epoch: int) -> Iterator[Output]:
        """Yield what the oldest batch of a replica brought; see to it that a lost one is retried."""
        reference, batch = next(iter(replica.sent.items()))
        try:
            outputs = ray.get(reference)
        except RayTaskError as error:  # its outputs cannot be sent
            outputs = _errored(batch.cases, epoch, describe(error.cause))
        except RayError as error:
            del replica.sent[reference]
            # Those behind it had not begun: for them it is no attempt.
            waiting.extendleft(reversed([*batch.again(), *replica.sent.values()]))
            self._replace(replica)
            if not batch.last:
                return
            reason = f"its process was lost at {ATTEMPTS} attempts: {_first_line(error)}"
            outputs = _errored(batch.cases, epoch, reason)
        replica.sent.pop(reference, None)
        for output in outputs:
            yield replace(output, attempts=output.attempts + batch.attempt - 1)

    def _replace(self, replica: Replica) -> None:
        """Start another actor in place of a lost one, wherever there is room."""
        ray.kill(replica.actor)  # it may be out of reach only, and would answer for nobody
        self._replicas.remove(replica)
        self._start()


def _first_line(error: BaseException) -> str:
    return describe(error).partition("\n")[0]


def _listed(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
