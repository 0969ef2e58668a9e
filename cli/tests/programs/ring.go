// io_uring from Go, by its system calls alone: the runtime owns the signal handlers, moves
// goroutines between threads and grows their stacks; there is no libc.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	ioUringSetup = 425
	ioUringEnter = 426
	opTimeout    = 11
	opRead       = 22
	opWrite      = 23
)

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, resv uint32
	userAddr                                               uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, resv uint32
	userAddr                                               uint64
}

type params struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wqFd uint32
	resv                                                   [3]uint32
	sq                                                     sqOffsets
	cq                                                     cqOffsets
}

type sqe struct {
	op, flags     uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	length, opArg uint32
	userData      uint64
	rest          [3]uint64
}

type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

type ring struct {
	fd     int
	params params
	queues []byte
	sqes   []byte
}

func open(entries uint32) *ring {
	r := &ring{}
	fd, _, errno := syscall.Syscall(ioUringSetup, uintptr(entries), uintptr(unsafe.Pointer(&r.params)), 0)
	if errno != 0 {
		fail("io_uring_setup", errno)
	}
	r.fd = int(fd)
	size := int(r.params.cq.cqes + 16*r.params.cqEntries)
	if array := int(r.params.sq.array + 4*r.params.sqEntries); array > size {
		size = array
	}
	r.queues = r.mmap(0, size)
	r.sqes = r.mmap(0x10000000, 64*int(r.params.sqEntries))
	return r
}

func (r *ring) mmap(offset int64, size int) []byte {
	mapped, err := syscall.Mmap(r.fd, offset, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		fail("mmap", err)
	}
	return mapped
}

func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queues[offset])) }

// Submits one request and waits for its completion.
func (r *ring) do(request sqe) int32 {
	sq, cq := &r.params.sq, &r.params.cq
	tail := atomic.LoadUint32(r.word(sq.tail))
	slot := tail & *r.word(sq.mask)
	*(*sqe)(unsafe.Pointer(&r.sqes[64*slot])) = request
	*r.word(sq.array + 4*slot) = slot
	atomic.StoreUint32(r.word(sq.tail), tail+1)
	submit := uintptr(1)
	head := atomic.LoadUint32(r.word(cq.head))
	for atomic.LoadUint32(r.word(cq.tail)) == head {
		n, _, errno := syscall.Syscall6(ioUringEnter, uintptr(r.fd), submit, 1, 1, 0, 0)
		if errno != 0 && errno != syscall.EINTR {
			fail("io_uring_enter", errno)
		}
		if errno == 0 {
			submit -= n
		}
	}
	completion := (*cqe)(unsafe.Pointer(&r.queues[cq.cqes+16*(head&*r.word(cq.mask))]))
	res := completion.res
	atomic.StoreUint32(r.word(cq.head), head+1)
	return res
}

func fail(what string, err error) {
	fmt.Println(what, err)
	os.Exit(1)
}

func expect(what string, got, want int32) {
	if got != want {
		fail(what, fmt.Errorf("%d in place of %d", got, want))
	}
}

// Writes and reads back, with a garbage collection and a timeout now and then.
func work() {
	r := open(8)
	defer syscall.Close(r.fd)
	file, err := os.CreateTemp("", "ring")
	if err != nil {
		fail("a file", err)
	}
	os.Remove(file.Name())
	want, got := make([]byte, 4096), make([]byte, 4096)
	for i := 0; i < 200; i++ {
		rand.Read(want)
		request := sqe{op: opWrite, fd: int32(file.Fd()), off: uint64(4096 * i), length: 4096}
		request.addr = uint64(uintptr(unsafe.Pointer(&want[0])))
		expect("write", r.do(request), 4096)
		request.op, request.addr = opRead, uint64(uintptr(unsafe.Pointer(&got[0])))
		expect("read", r.do(request), 4096)
		if !bytes.Equal(want, got) {
			fail("read", fmt.Errorf("other bytes than were written"))
		}
		if i%50 == 0 {
			runtime.GC()
			millisecond := [2]int64{0, 1000000}
			request := sqe{op: opTimeout, fd: -1, addr: uint64(uintptr(unsafe.Pointer(&millisecond))), length: 1}
			expect("timeout", r.do(request), -int32(syscall.ETIME))
		}
	}
}

func main() {
	// All signals, SIGSYS among them.
	signal.Notify(make(chan os.Signal, 16))
	var all sync.WaitGroup
	for i := 0; i < 16; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			work()
		}()
	}
	all.Wait()
	child, err := exec.Command("echo", "child").Output()
	if err != nil {
		fail("a child", err)
	}
	fmt.Printf("16 times 200 blocks; %s", child)
}
