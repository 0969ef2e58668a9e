//! Scopes on a processor that is never idle: their detectors hardly run, and nobody waits for them.

mod common;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{Pipe, READ, in_process, move_once, said, skipped};
use sysring_syslet::scope;

const SCOPES: usize = 100;

fn bind_to_this_processor() {
    // SAFETY: a set of this frame's.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu() as usize, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// How many of this process's threads are detectors.
fn detectors() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks.flatten().filter_map(name).filter(|name| name == "syslet-idle\n").count()
}

/// How many mappings this process has: a scope's memory is two at least.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn scopes_beside_a_busy_thread() {
    let mut pipe = Pipe::new();
    scope(|s| move_once(s, &mut pipe));
    let at_first = mappings();
    let over = AtomicBool::new(false);
    let mut took = Vec::new();
    bind_to_this_processor();
    std::thread::scope(|threads| {
        // It inherits the processor.
        threads.spawn(|| {
            while !over.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        for _ in 0..SCOPES {
            let start = Instant::now();
            scope(|s| {
                // SAFETY: without arguments.
                let done = unsafe { s.call(libc::SYS_getpid as u32, [0; 6]) };
                assert_eq!(common::finish(s, done), Ok(std::process::id() as usize));
            });
            took.push(start.elapsed());
            assert!(detectors() <= 34, "scopes begin without one where many are late");
        }
        // What blocks is taken over as ever.
        scope(|s| {
            let args = pipe.read();
            // SAFETY: the byte stays until the call is answered.
            let read = unsafe { s.call(READ, args) };
            pipe.write(b'b');
            assert_eq!(common::finish(s, read), Ok(1));
        });
        over.store(true, SeqCst);
    });
    took.sort();
    println!("a scope: median {:?}, longest {:?}", took[SCOPES / 2], took[SCOPES - 1]);
    // They end when the processor has time, and their memory is given back.
    let patience = Instant::now();
    while detectors() != 0 || mappings() > at_first + 4 {
        assert!(patience.elapsed() < Duration::from_secs(30), "{}", detectors());
        std::thread::sleep(Duration::from_millis(50));
        scope(|s| move_once(s, &mut pipe));
    }
}

#[test]
fn nobody_waits_for_a_detector() {
    if skipped() {
        return;
    }
    if let Some(output) =
        in_process(&[], "nobody_waits_for_a_detector", scopes_beside_a_busy_thread)
    {
        assert!(output.status.success(), "{}", said(&output));
        println!("{}", said(&output));
    }
}

/// Who has no privilege cannot give a detector another class.
#[test]
fn nor_who_has_no_privilege() {
    if skipped() {
        return;
    }
    let work = || {
        // SAFETY: numbers. Who is not root may do neither, and need not.
        unsafe {
            libc::setresgid(65534, 65534, 65534);
            libc::setresuid(65534, 65534, 65534);
        }
        scopes_beside_a_busy_thread();
    };
    if let Some(output) = in_process(&[], "nor_who_has_no_privilege", work) {
        assert!(output.status.success(), "{}", said(&output));
        println!("{}", said(&output));
    }
}
