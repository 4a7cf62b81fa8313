"""Work done ahead of need: one thread makes the next items while the caller uses the last ones.

Reading and decoding files happens outside of Python's lock, and so beside the training steps. The
queue is short, so that little memory is used. The thread ends with the iterator, however that
ends: all items taken, the caller's break, an error on either side, Ctrl-C. It does not outlive it.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def ahead(make: Callable[[], Iterator[T]], depth: int = 2) -> Generator[T]:
    """The items of an iterator, made by a thread.

    Args:
        make: Gives the iterator; called in the thread, where the iterator is also closed.
        depth: How many finished items may wait.

    Yields:
        The items in order.

    Raises:
        Exception: Whatever the iterator raises, after the items that came before.
    """
    waiting: queue.Queue[_Item[T] | _End] = queue.Queue(depth)
    stop = threading.Event()

    def work() -> None:
        error = None
        try:
            items = make()
            try:
                for item in items:
                    waiting.put(_Item(item))
                    if stop.is_set():
                        break
            finally:
                if isinstance(items, Generator):
                    items.close()
        except BaseException as raised:
            error = raised
        waiting.put(_End(error))

    thread = threading.Thread(target=work, name="isthmus-ahead", daemon=True)
    thread.start()
    got: _Item[T] | _End | None = None
    try:
        while True:
            got = waiting.get()
            if isinstance(got, _End):
                break
            yield got.value
    finally:
        stop.set()
        while not isinstance(got, _End):
            got = waiting.get()  # makes room for a thread that waits to put its item
        thread.join()
    if got.error is not None:
        raise got.error
