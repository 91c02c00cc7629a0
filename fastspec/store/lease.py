"""One writer at a time behind a URL, where no lock dies with its process: a numbered object beside the store that says who writes.

Object n + 1 is created, in one conditional request, by whoever finds none or only such as were not heard of for a minute; so of several
that find the same one wins. Its holder renews it every few seconds and, where it could not for long, asks before it writes on: a machine
that slept finds that another took over, and stops. The clocks of the machines have to agree within half a minute.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastspec.corpus.place import one_line
from fastspec.errors import StoreError
from fastspec.store.place import StoreUrl, list_files

BEAT_S = 10.0
FORGOTTEN_S = 60.0


class Lease:
    """The right to write the store at `place`, held until `release`.

    Raises:
        StoreError: another run has it, or nothing can be written there.
    """

    def __init__(self, place: StoreUrl) -> None:
        if not place.parent.name:
            raise StoreError(f"{place} is a whole bucket; give the store a name in it, such as {place}/features.zarr")
        self._place = place
        self._folder = lease_folder(place)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        left = refuse_held(place)
        self._number = max(left, default=0) + 1
        self._take(left)
        self._thread = threading.Thread(target=self._renew, daemon=True, name="fastspec-lease")
        self._thread.start()

    def check(self) -> None:
        """That this run still has it. StoreError: another has taken over, or the store cannot be reached."""
        with self._lock:
            if time.time() - self._heard_s > FORGOTTEN_S / 2:
                self._beat()

    def release(self) -> None:
        """Let others write."""
        self._ended.set()
        self._thread.join()
        self._object().unlink(missing_ok=True)

    def _take(self, left: list[int]) -> None:
        try:
            self._heard_s = time.time()
            self._object().create(self._content())
            for number in left:
                (self._folder / str(number)).unlink(missing_ok=True)
        except FileExistsError:
            raise StoreError(f"{self._place} is being written by another run, which began just now; wait until it has ended") from None
        except OSError as error:
            raise StoreError(f"{self._place} cannot be created: {error}; check the address and your access to it") from None

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                with self._lock:
                    self._beat()
            except StoreError:  # whoever writes next is told by `check`
                continue

    def _beat(self) -> None:
        if list_files(self._folder) != {str(self._number)}:
            raise StoreError(f"{self._place} was taken over by another run, since this one was not heard of for a minute; wait for it")
        heard_s = time.time()
        try:
            self._object().write(self._content())
        except OSError as error:
            raise StoreError(f"{self._place} cannot be written: {error}; what is done is kept, go on with --resume") from None
        self._heard_s = heard_s

    def _object(self) -> StoreUrl:
        return self._folder / str(self._number)

    def _content(self) -> bytes:
        return json.dumps({"holder": f"process {os.getpid()} on {socket.gethostname()}", "heard_s": time.time()}).encode()


_HELD: dict[str, Lease] = {}


@contextmanager
def leased(place: StoreUrl) -> Iterator[None]:
    """Be the only one that writes the store at `place`."""
    lease = Lease(place)
    _HELD[str(place)] = lease
    try:
        yield
    finally:
        del _HELD[str(place)]
        lease.release()


def check_lease(place: StoreUrl) -> None:
    """That this process may still write the store at `place`, where it began to. StoreError: another has taken over."""
    if lease := _HELD.get(str(place)):
        lease.check()


def lease_folder(place: StoreUrl) -> StoreUrl:
    """Where the leases of a store lie."""
    return place.parent / f".{place.name}.lock"


def refuse_held(place: StoreUrl) -> list[int]:
    """Numbers of leases that are left of runs that died. StoreError: one is in use."""
    folder = lease_folder(place)
    numbers = [int(name) for name in list_files(folder) if name.isdecimal()]
    for number in numbers:
        silent_s = time.time() - (content := _read(folder / str(number))).get("heard_s", 0.0)
        if content and silent_s < FORGOTTEN_S:
            raise StoreError(
                f"{place} is being written by another run ({content.get('holder')}, heard of {max(0.0, silent_s):.0f} s ago); wait until "
                f"it has ended, or choose another name; one that died is forgotten after {FORGOTTEN_S:.0f} s"
            )
    return numbers


def _read(file: StoreUrl) -> dict[str, Any]:
    """What a lease says; nothing where it has just been released."""
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} cannot be read: {one_line(error)}; check your access to it, or remove it") from None
    return content
