//! Programs that were compiled against liburing's headers, on each engine.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::common::{Linked, Place, Upstream, kernel_works, library, program, sources, stdout};

#[test]
fn files_are_written_and_read_back() {
    for linked in [Linked::Shared, Linked::Static] {
        let Some(program) = program("files", linked) else { return };
        for place in Place::all() {
            let said = stdout(&mut place.command(&program));
            assert_eq!(said.trim(), place.engine(), "{linked:?}");
        }
    }
}

/// A program that expects what liburing does, on each engine; and with liburing's own library, which
/// must do so, too.
fn as_liburing(name: &str) {
    let Some(program) = program(name, Linked::Shared) else { return };
    for place in Place::all() {
        stdout(&mut place.command(&program));
    }
    if let Some(upstream) = Upstream::find()
        && kernel_works()
    {
        stdout(&mut upstream.command(&program));
    }
}

#[test]
fn answers_are_liburings() {
    as_liburing("answers");
}

#[test]
fn what_runs_out_is_told_as_liburing_tells_it() {
    as_liburing("exhaustion");
}

#[test]
fn children_have_rings() {
    as_liburing("fork");
}

#[test]
fn threads_have_rings() {
    as_liburing("threads");
}

/// What the engine knows of newer kernels than 6.18, and what it does not claim to know.
const NOT_6_18: [&str; 4] = [
    "newer: ",
    "io_uring_register_bpf_filter",
    "io_uring_register_zcrx_ctrl",
    "io_uring_set_iowait",
];

#[test]
fn wrong_arguments_are_answered_as_by_liburing() {
    let Some(upstream) = Upstream::find() else { return };
    if !kernel_works() {
        println!("skipped: the kernel's io_uring does not work here");
        return;
    }
    let program = upstream.program("bad", Linked::Shared);
    let [expected, kernel, user] = std::thread::scope(|scope| {
        let run = |mut command| scope.spawn(move || stdout(&mut command));
        let runs = [
            run(upstream.command(&program)),
            run(Place::Kernel.command(&program)),
            run(Place::User.command(&program)),
        ];
        runs.map(|run| run.join().unwrap())
    });
    assert!(expected.lines().count() > 25_000, "{}", expected.lines().count());
    same_lines(&kernel, &expected, &[]);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    if release.starts_with("6.18.") {
        same_lines(&user, &expected, &NOT_6_18);
    } else {
        println!("skipped: the engine answers as Linux 6.18, and this is {release}");
    }
}

/// Compares what was said, but for lines with these words.
fn same_lines(said: &str, expected: &str, but: &[&str]) {
    let kept = |line: &&str| !but.iter().any(|word| line.contains(word));
    let (mut said, mut expected) = (said.lines().filter(kept), expected.lines().filter(kept));
    let mut wrong = Vec::new();
    loop {
        match (said.next(), expected.next()) {
            (None, None) => break,
            (said, expected) if said == expected => {}
            (said, expected) => wrong.push(format!("{said:?}, and not {expected:?}")),
        }
    }
    let first = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} lines differ:\n{first}", wrong.len());
}

#[test]
fn every_function_is_called_by_a_program() {
    let mut called = BTreeSet::new();
    for file in fs::read_dir(sources()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        called.extend(words.filter(|word| word.contains("io_uring_")).map(str::to_owned));
    }
    let lists = [include_str!("../liburing.symbols"), include_str!("../liburing-ffi.symbols")];
    let all =
        lists.iter().flat_map(|list| list.lines()).map(|line| line.split('@').next().unwrap());
    let functions: BTreeSet<&str> = all.filter(|name| name.contains("io_uring_")).collect();
    assert!(functions.len() > 200, "{}", functions.len());
    let missing: Vec<_> = functions.iter().filter(|name| !called.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_thread_without_libc_has_rings() {
    let Some(program) = program("bare_thread", Linked::Shared) else { return };
    for place in Place::all() {
        stdout(&mut place.command(&program));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_wait_that_ends_has_a_completion() {
    let Some(program) = program("race", Linked::Shared) else { return };
    stdout(&mut Place::User.command(&program));
}

#[test]
fn signal_handlers_may_use_rings() {
    let Some(program) = program("signals", Linked::Shared) else { return };
    for place in Place::all() {
        stdout(&mut place.command(&program));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_without_libc_has_rings() {
    let Some(program) = program("no_libc", Linked::Alone) else { return };
    let text = "through a ring\n".repeat(20_000);
    for place in Place::all() {
        let mut command = place.command(&program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let sent = text.clone();
        let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{place:?}: {}", output.status);
        assert_eq!(output.stdout, text.as_bytes(), "{place:?}");
    }
}

#[test]
fn ffi_functions_do_what_inline_ones_do() {
    let Some(upstream) = Upstream::find() else { return };
    let program = upstream.program("prepare", Linked::Later);
    let said = stdout(Place::User.command(&program).arg(library("liburing-ffi.so.2")));
    let count: u32 = said.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap();
    assert!(count >= 105, "{said}");
    let program = upstream.program("inline", Linked::Ffi);
    stdout(&mut Place::User.command(&program));
}
