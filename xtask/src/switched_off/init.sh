#!/bin/sh
# The first process of the emulated machine: switches io_uring off as an administrator does, runs
# programs, and turns the machine off. It says what a test of Rust's would.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for place in /tmp /run; do
	mount -t tmpfs none $place
done
chmod 1777 /tmp
ulimit -n 4096
uname -srm
cases="nothing_held_up descriptor close_lets_go interrupted forked notified few_descriptors overwritten"
passed=0 failed=0

# Whether a command ends with a status as it should.
test_of() {
	name=$1 wanted=$2
	shift 2
	(cd /tmp; exec timeout --kill-after=2 60 "$@" > /tmp/said 2>&1 < /dev/null)
	status=$?
	if [ $status = $wanted ]; then
		passed=$((passed + 1))
		echo "test $name ... ok"
	else
		failed=$((failed + 1))
		echo "status $status"
		cat /tmp/said
		echo "test $name ... FAILED"
	fi
}

echo "running 1 test"
# Before: the programs find io_uring there.
test_of kernel_has_io_uring 0 behaviour descriptor
echo 2 > /proc/sys/kernel/io_uring_disabled
test_of switched_off 1 behaviour descriptor
test_of doctor_names_the_switch 0 sh -c 'sysring doctor | grep -q kernel.io_uring_disabled'
for case in $cases; do
	test_of $case 0 sysring run -- behaviour $case
done
for case in descriptor forked; do
	test_of static_$case 0 sysring run -- behaviour-static $case
	test_of unprivileged_$case 0 setpriv --reuid=65534 --regid=65534 --clear-groups \
		sysring run -- behaviour $case
done
test_of fio 0 sysring run -- fio --ioengine=io_uring --rw=randrw --size=1m --bs=4k --iodepth=16 \
	--verify=crc32c --verify_fatal=1 --verify_state_save=0 --name=verify --directory=/tmp
# Off for those without a privilege alone.
echo 1 > /proc/sys/kernel/io_uring_disabled
test_of others_served_by_the_kernel 0 sh -c \
	'sysring run --stats=json -- behaviour forked 2>&1 | grep -q "\"engine\":\"kernel\""'
test_of unprivileged_served_by_the_engine 0 sh -c \
	'setpriv --reuid=65534 --regid=65534 --clear-groups sysring run --stats=json -- \
		behaviour forked 2>&1 | grep -q "\"engine\":\"user\""'
result=ok
[ $failed = 0 ] || result=FAILED
echo "test result: $result. $passed passed; $failed failed; 0 ignored; 0 measured; 0 filtered out"
echo "== all tests have ended"
echo o > /proc/sysrq-trigger
sleep 60
