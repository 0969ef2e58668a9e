#!/usr/bin/env python3
"""Reads sysring's events from the memory file of a ring: events.py /proc/PID/fd/N

The layout is described in docs/events.md. This reader must be the only one: it moves the heads by
plain stores, where several would compare and swap.
"""
import ctypes, mmap, os, struct, sys, time

HEADER = struct.Struct("<8sIIIIQ")      # magic, version, flags, sizes of ring and overflow, world
RECORD = struct.Struct("<IHHQqQ")       # length, kind, flags, id, result, handled
DATA = 65536                            # where the ring begins; the overflow area lies behind it
VALUES = ["3Q timing", "Q path", "2Q cache", "Q deadline", "Q full", " ioprio", " rw_flags",
          " credentials", "2I place", "Q retry", "Q trace", "2Q checksum"]
PATHS = [None, "inline", "readiness", "kernel AIO", "worker", "in place", "io_uring",
         "taken over"]


class Band:
    def __init__(self, memory, start, size, head, tail):
        self.memory, self.start, self.size = memory, start, size
        self.head = ctypes.c_uint32.from_buffer(memory, head)
        self.tail = ctypes.c_uint32.from_buffer(memory, tail)

    def bytes(self, count, length):     # a record may go round the end
        at = self.start + count % self.size
        first = self.memory[at:min(at + length, self.start + self.size)]
        return first + self.memory[self.start:self.start + length - len(first)]

    def take(self):
        head = self.head.value
        length, kind, flags, ident, result, handled = RECORD.unpack(self.bytes(head, RECORD.size))
        if not 32 <= length <= 4096 or length % 8:
            raise ValueError(f"a record of {length} bytes")
        values, event = self.bytes(head, length)[RECORD.size:], {"id": ident, "result": result}
        for bit, (form, name) in enumerate(value.split(" ") for value in VALUES):
            if handled >> bit & 1:
                event[name] = struct.unpack_from("<" + form, values)
                values = values[struct.calcsize("<" + form):]
        if "path" in event:
            event["path"] = PATHS[event["path"][0]]
        self.head.value = (head + length) % 2**32
        return event


def events(path):
    file = os.open(path, os.O_RDWR)
    memory = mmap.mmap(file, os.fstat(file).st_size)
    magic, version, flags, size, overflow, _ = HEADER.unpack_from(memory)
    if magic != b"SYSRINGE" or version != 2 or flags & ~1:
        raise ValueError("not a ring of events that this reader knows")
    ring = Band(memory, DATA, size, 64, 128)
    behind = Band(memory, DATA + size, overflow, 72, 132)
    while True:
        more = behind.head.value != behind.tail.value      # before the ring is looked at
        if ring.head.value != ring.tail.value:
            yield ring.take()
        elif more:
            yield behind.take()
        else:
            time.sleep(0.001)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} /proc/PID/fd/N")
    for event in events(sys.argv[1]):
        print(event, flush=True)
