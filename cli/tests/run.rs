//! io_uring programs under `sysring run`, io_uring refused.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{SYSRING, Scratch, assert_code, build, output, stderr, stdout};

/// The bundled program on a small tree of its own.
fn copy_command(scratch: &Path) -> Vec<String> {
    let original = scratch.join("original");
    if !original.exists() {
        fs::create_dir_all(original.join("below")).expect("a new directory");
        for (number, size) in [0, 1, 4096, 300_000].into_iter().enumerate() {
            let content: Vec<u8> = (0..size).map(|byte| (byte * 7 + number) as u8).collect();
            fs::write(original.join("below").join(number.to_string()), content).expect("a file");
        }
    }
    let copy = scratch.join("copy");
    [SYSRING, "demo-client", &original.to_string_lossy(), &copy.to_string_lossy()]
        .map(str::to_owned)
        .into()
}

/// Compares the copy with its original, and removes it.
fn assert_copied(scratch: &Path) {
    for number in 0..4 {
        let read = |tree: &str| {
            fs::read(scratch.join(tree).join("below").join(number.to_string())).expect("a file")
        };
        assert!(read("original") == read("copy"), "file {number} differs");
    }
    fs::remove_dir_all(scratch.join("copy")).expect("the copy is removed");
}

fn refused(errno: &str, rest: &[&str], program: &[String]) -> std::process::Output {
    let mut arguments = vec!["refuse", "--errno", errno, "--"];
    arguments.extend(rest);
    arguments.extend(program.iter().map(String::as_str));
    output(&arguments)
}

fn report(stderr: &str) -> serde_json::Value {
    let line = stderr.lines().next_back().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {stderr}"))
}

#[test]
fn without_sysring_the_program_fails() {
    let scratch = Scratch::new();
    let ended = refused("EPERM", &[], &copy_command(scratch.path()));
    assert_code(&ended, 1);
    assert!(stderr(&ended).contains("Operation not permitted"), "{}", stderr(&ended));
}

#[test]
fn with_sysring_it_works_and_the_engine_served() {
    let scratch = Scratch::new();
    for errno in ["EPERM", "ENOSYS"] {
        let run = [SYSRING, "run", "--stats=json", "--"];
        let ended = refused(errno, &run, &copy_command(scratch.path()));
        assert_code(&ended, 0);
        assert_copied(scratch.path());
        let report = report(&stderr(&ended));
        assert_eq!(report["engine"], "user");
        let counters = &report["counters"];
        assert_eq!(counters["rings"], 1, "{report}");
        let submitted = counters["submitted"].as_u64().unwrap_or(0);
        assert!(submitted >= 40, "four files take more than {submitted} requests");
        assert_eq!(counters["submitted"], counters["completed"], "{report}");
    }
}

#[test]
fn it_works_without_statistics() {
    let scratch = Scratch::new();
    let ended = refused("EPERM", &[SYSRING, "run", "--"], &copy_command(scratch.path()));
    assert_code(&ended, 0);
    assert_eq!(stderr(&ended), "");
    assert_copied(scratch.path());
}

#[test]
fn children_and_grandchildren_are_served() {
    let scratch = Scratch::new();
    let program = copy_command(scratch.path()).join(" ");
    for script in [
        program.clone(),
        format!("sh -c '{program}; true'; true"),
        format!("echo {program} | xargs env"),
        format!("env -i {program}"),
    ] {
        let run = [SYSRING, "run", "--", "sh", "-c", &script];
        let ended = refused("EPERM", &run, &[]);
        assert_code(&ended, 0);
        assert!(stdout(&ended).contains("checksum"), "{script}: {}", stderr(&ended));
        assert_copied(scratch.path());
    }
}

#[test]
fn the_kernel_serves_where_it_works() {
    if !common::kernel_has_io_uring() {
        println!("skipped: the kernel's io_uring does not work here");
        return;
    }
    let scratch = Scratch::new();
    let program = copy_command(scratch.path());
    for engine in ["--engine=auto", "--engine=kernel"] {
        let mut arguments = vec!["run", engine, "--stats=json", "--"];
        arguments.extend(program.iter().map(String::as_str));
        let ended = output(&arguments);
        assert_code(&ended, 0);
        assert_copied(scratch.path());
        let report = report(&stderr(&ended));
        assert_eq!(report["engine"], "kernel");
        assert!(report["counters"].is_null(), "{report}");
    }
}

#[test]
fn verbose_says_which_engine_and_why() {
    let ended = refused("EPERM", &[SYSRING, "run", "--verbose", "--", "true"], &[]);
    assert_code(&ended, 0);
    assert!(stderr(&ended).contains("EPERM by a seccomp filter"), "{}", stderr(&ended));
}

#[test]
fn what_was_preloaded_stays_so() {
    let ended = common::sysring(&["run", "--engine=user", "--", "sh", "-c", "echo $LD_PRELOAD"])
        .env("LD_PRELOAD", "libdl.so.2")
        .output()
        .expect("sysring starts");
    assert_code(&ended, 0);
    assert!(stdout(&ended).trim().ends_with(":libdl.so.2"), "{}", stdout(&ended));
}

#[test]
fn the_text_of_the_statistics_names_the_engine() {
    let ended = output(&["run", "--engine=user", "--stats", "--", "true"]);
    assert_code(&ended, 0);
    let said = stderr(&ended);
    assert!(said.contains("served by sysring's engine in userspace (as asked)"), "{said}");
    assert!(said.lines().any(|line| line.contains("rings made") && line.ends_with(" 0")), "{said}");
}

#[test]
fn a_statically_linked_program_is_served_too() {
    let scratch = Scratch::new();
    let (source, program) = (scratch.path().join("setup.c"), scratch.path().join("setup"));
    // 425 is io_uring_setup, on every architecture.
    fs::write(
        &source,
        "#include <errno.h>\n#include <stdio.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
         int main(int argc, char **argv) {\n\
           char params[120] = {0};\n\
           long fd = syscall(425, 8, params);\n\
           printf(\"%s %d\\n\", argc > 1 ? argv[1] : \"\", fd < 0 ? errno : 0);\n\
         }\n",
    )
    .expect("a file");
    let mut compiler = std::process::Command::new("gcc");
    compiler.arg("-static").arg("-o").args([&program, &source]);
    if !compiler.status().is_ok_and(|status| status.success()) {
        println!("skipped: gcc cannot link statically here (apt-get install gcc libc6-dev)");
        return;
    }
    let program = program.to_string_lossy().into_owned();
    let command = [program, "argument".to_owned()];
    let plain = refused("EPERM", &[], &command);
    assert_eq!(stdout(&plain).trim(), format!("argument {}", libc::EPERM));
    // Before Linux 5.8 there is no faccessat2 to ask whether it may be executed.
    let old = [SYSRING, "refuse", "--profile", "linux-5.4", "--"];
    let run = [SYSRING, "run", "--"];
    for way in [&run[..], &[SYSRING, "run", "--", "env"], &[&old[..], &run, &["env"]].concat()] {
        let served = refused("EPERM", way, &command);
        assert_code(&served, 0);
        assert_eq!(stdout(&served).trim(), "argument 0", "{way:?}");
    }

    // It interprets a script, which interprets another one.
    let (script, nested) = (scratch.path().join("script"), scratch.path().join("nested"));
    // Written by another process: a descriptor of ours would be open in what other tests start meanwhile,
    // and what somebody may write to is not executed (`ETXTBSY`).
    let write = "printf '#!%s option\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    for (path, interpreter) in [(&script, command[0].as_str()), (&nested, script.to_str().unwrap())]
    {
        let mut shell = std::process::Command::new("/bin/sh");
        let written = shell.args(["-c", write]).arg(path).arg(interpreter).status();
        assert!(written.expect("a shell").success());
        for way in [&run[..], &[SYSRING, "run", "--", "env"]] {
            let served = refused("EPERM", way, &[path.to_string_lossy().into_owned()]);
            assert_code(&served, 0);
            assert_eq!(stdout(&served).trim(), "option 0", "{way:?}");
        }
    }

    // What may not be executed is not.
    fs::set_permissions(&command[0], fs::Permissions::from_mode(0o644)).expect("our own file");
    assert_code(&refused("EPERM", &run, &command), 126);
}

/// A 32-bit program that exits with 7, or a reason why it does not run here.
fn narrow(scratch: &Path) -> Result<String, String> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err("the program is for x86".to_owned());
    }
    const AT: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    // mov eax, 1 (exit); mov ebx, 7; int 0x80
    let code = [0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80];
    let len = HEADERS + code.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec();
    for word in [1, AT + HEADERS, 52, 0, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, 0, AT, AT, len, len, 5, 4096] {
        file.extend(u32::to_le_bytes(word));
    }
    file.extend(code);
    let program = scratch.join("narrow");
    fs::write(&program, file).expect("a file");
    let all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&program, all).expect("our own file");
    match std::process::Command::new(&program).status() {
        Ok(status) if status.code() == Some(7) => Ok(program.to_string_lossy().into_owned()),
        Ok(status) => Err(format!("a 32-bit program ends with {status}")),
        Err(error) => Err(format!("32-bit programs do not run here: {error}")),
    }
}

#[test]
fn that_a_32_bit_program_is_not_served_is_said_once() {
    const SAID: &str = "is a 32-bit program: io_uring is not served in it";
    let scratch = Scratch::new();
    let program = match narrow(scratch.path()) {
        Ok(program) => program,
        Err(why) => {
            println!("skipped: {why}");
            return;
        }
    };
    let run = |more: &[&str], command: &[&str]| {
        let run = [&["run", "--engine=user"], more, &["--"], command].concat();
        let ended = output(&run);
        (ended.status.code(), stderr(&ended))
    };
    assert_eq!(run(&[], &[&program]), (Some(7), format!("sysring: {program} {SAID}\n")));
    let (code, said) = run(&["--verbose"], &[&program]);
    assert!(
        code == Some(7) && said.matches(SAID).count() == 1 && !said.contains("serves"),
        "{said}"
    );
    let (code, said) = run(&["--stats"], &[&program]);
    let report = format!("sysring: {program} {SAID}; the rest was served by");
    assert!(code == Some(7) && said.contains(&report), "{said}");
    let (code, said) = run(&["--stats=json"], &[&program]);
    assert_eq!(code, Some(7));
    assert!(
        self::report(&said)["unserved"].as_str().is_some_and(|why| why.contains(SAID)),
        "{said}"
    );

    // Anywhere among the children, however they are started.
    let script = format!("{program}; sh -c '{program}; {program}'; env -i {program}; {program}");
    for command in [&["sh", "-c", &script][..], &["env", &program]] {
        let (code, said) = run(&[], command);
        assert_eq!((code, said.matches(SAID).count()), (Some(7), 1), "{said}");
        assert!(said.contains(&format!("sysring: {program} {SAID}")), "{said}");
    }
}

#[test]
fn that_processes_cannot_be_served_is_said_once() {
    let script = "/bin/true; /bin/true; env -i /bin/true; sh -c '/bin/true; /bin/true'";
    let refuse = ["refuse", "--call", "seccomp", "--call", "io_uring_setup", "--"];
    let run = [SYSRING, "run", "--engine=user", "--stats", "--", "sh", "-c", script];
    let ended = output(&[&refuse[..], &run].concat());
    assert_code(&ended, 0);
    let said = stderr(&ended);
    assert_eq!(said.matches("cannot serve io_uring in this process").count(), 1, "{said}");
    assert!(said.contains("installing the seccomp filter"), "{said}");
    assert!(said.contains("sysring: not every process could be served"), "{said}");
}

#[test]
fn where_no_file_can_be_placed_the_object_stays_in_memory() {
    const CANNOT_MOUNT: i32 = 77;
    let script = format!(
        // The program under test may lie below one of them: it is kept open.
        "exec 9< {SYSRING}; \
         for place in /tmp /var/tmp /dev/shm /run; do \
           mount -t tmpfs -o noexec none $place || exit {CANNOT_MOUNT}; \
         done; \
         exec /proc/self/fd/9 run --engine=user --verbose -- env -u LD_PRELOAD /bin/true"
    );
    let ended = std::process::Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .output()
        .expect("unshare starts");
    let said = stderr(&ended);
    if ended.status.code() == Some(CANNOT_MOUNT) || said.starts_with("unshare: ") {
        println!("skipped: no file systems can be mounted here: {said}");
        return;
    }
    assert_code(&ended, 0);
    assert!(!said.contains("cannot be preloaded"), "{said}");
    assert_eq!(said.matches("served by the engine").count(), 2, "env, and its child: {said}");
}

#[test]
fn an_inner_run_leaves_the_work_to_the_outer_one() {
    let run = ["run", "--engine=user", "--", SYSRING, "run", "--stats=json", "--", "true"];
    let ended = output(&run);
    assert_code(&ended, 0);
    let report = report(&stderr(&ended));
    assert_eq!(report["engine"], "user");
    assert!(report["served_by"].as_str().is_some_and(|by| by.contains("outer")), "{report}");
    let kernel = ["run", "--engine=user", "--", SYSRING, "run", "--engine=kernel", "--", "true"];
    assert_code(&output(&kernel), 125);
}

/// Its descriptors are all numbers that there are not: the program is left to its fallback, and it is said.
#[test]
fn a_limit_on_open_files_that_leaves_no_room_is_said() {
    let under = |limit: u32, command: &str| {
        let script = format!("ulimit -n {limit} && exec {SYSRING} refuse -- {SYSRING} {command}");
        std::process::Command::new("sh").args(["-c", &script]).output().expect("sh starts")
    };
    let ended = under(900, "run -v --stats=json -- sh -c 'exit 7'");
    assert_code(&ended, 7);
    let said = stderr(&ended);
    assert!(
        said.contains("sysring: io_uring is not served: the hard limit on open files"),
        "{said}"
    );
    assert!(said.contains("is 900") && said.contains("raise it to 4096"), "{said}");
    assert!(!said.contains("served by the engine"), "{said}");
    assert_eq!(report(&said)["engine"], "none", "{said}");
    let doctor = under(900, "doctor --json");
    assert_code(&doctor, 1);
    assert!(stdout(&doctor).contains("\"engine\": \"none\""), "{}", stdout(&doctor));

    // Where there is room for a ring, one is served.
    let program = build("behaviour").display().to_string();
    let ended = under(976, &format!("run --stats=json -- {program} nothing_held_up"));
    assert_code(&ended, 0);
    assert_eq!(report(&stderr(&ended))["counters"]["rings"], 1, "{}", stderr(&ended));
    assert_code(&under(976, "doctor"), 0);
}

#[test]
fn the_engine_gets_room_for_its_descriptors() {
    let script = format!("ulimit -Sn 256 && {SYSRING} run --engine=user -- sh -c 'ulimit -Sn'");
    let ended = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh starts");
    assert_code(&ended, 0);
    assert!(stdout(&ended).trim().parse::<u64>().is_ok_and(|n| n > 960), "{}", stdout(&ended));
}
