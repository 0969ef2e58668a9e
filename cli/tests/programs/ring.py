"""io_uring from Python, through libc's syscall(): a pipe read that must wait, linked writes, a
timer, and a poll of the ring's descriptor."""

import ctypes
import mmap
import os
import select
import struct
import sys

SETUP, ENTER = 425, 426
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    answer = libc.syscall(number, *[ctypes.c_long(argument) for argument in arguments])
    if answer < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return answer


class Ring:
    def __init__(self, entries):
        params = ctypes.create_string_buffer(120)
        self.fd = call(SETUP, entries, ctypes.addressof(params))
        words = struct.unpack("30I", params.raw)
        self.sq, self.cq = words[10:20], words[20:30]
        size = max(self.sq[6] + 4 * words[0], self.cq[5] + 16 * words[1])
        self.queues = mmap.mmap(self.fd, size, mmap.MAP_SHARED)
        self.sqes = mmap.mmap(self.fd, 64 * words[0], mmap.MAP_SHARED, offset=0x10000000)
        self.pending = 0

    def word(self, offset, value=None):
        if value is None:
            return struct.unpack_from("I", self.queues, offset)[0]
        struct.pack_into("I", self.queues, offset, value)

    def push(self, op, fd, addr=0, length=0, off=0, flags=0, user_data=0):
        tail = self.word(self.sq[1])
        slot = tail & self.word(self.sq[2])
        struct.pack_into("<BBHiQQIIQ24x", self.sqes, 64 * slot,
                         op, flags, 0, fd, off, addr, length, 0, user_data)
        self.word(self.sq[6] + 4 * slot, slot)
        self.word(self.sq[1], tail + 1)
        self.pending += 1

    def enter(self, wait):
        self.pending -= call(ENTER, self.fd, self.pending, wait, 1, 0, 0)

    def completions(self):
        head, tail = self.word(self.cq[0]), self.word(self.cq[1])
        found = {}
        while head != tail:
            at = self.cq[5] + 16 * (head & self.word(self.cq[2]))
            user_data, res, _ = struct.unpack_from("<QiI", self.queues, at)
            found[user_data] = res
            head += 1
        self.word(self.cq[0], head)
        return found


TIMEOUT, READ, WRITE = 11, 22, 23
LINK = 4
ring = Ring(8)
reader, writer = os.pipe()
buffer = ctypes.create_string_buffer(16)
words = [ctypes.create_string_buffer(word) for word in (b"hello ", b"world")]

ring.push(READ, reader, ctypes.addressof(buffer), 16, user_data=1)
ring.enter(0)
poll = select.poll()
poll.register(ring.fd, select.POLLIN)
assert poll.poll(20) == [], "nothing was written yet"
for i, word in enumerate(words):
    ring.push(WRITE, writer, ctypes.addressof(word), len(word.value), flags=LINK * (i == 0),
              user_data=2 + i)
ring.enter(0)
assert poll.poll(2000) == [(ring.fd, select.POLLIN)], "the ring's descriptor is readable"
ring.enter(3)
done = ring.completions()
assert (done[2], done[3]) == (6, 5), done
assert done[1] in (6, 11), done
print("read:", "hello world".startswith(buffer.raw[:done[1]].decode()))

time = ctypes.create_string_buffer(struct.pack("qq", 0, 5_000_000))
ring.push(TIMEOUT, -1, ctypes.addressof(time), 1, user_data=4)
ring.enter(1)
print("timeout:", ring.completions())
os.close(ring.fd)
sys.exit(0)
