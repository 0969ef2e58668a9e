//! The tests on aarch64: in QEMU's user mode, which has neither io_uring nor seccomp, and on a
//! kernel of its own in a machine that QEMU emulates, where everything works as on a real one.

mod machine;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::emulated::{self, finish};
use crate::files::{target_directory, workspace};
use crate::lanes::say;
use crate::prerequisites;
use crate::report::Report;
use crate::step::{Outcome, Step};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// What builds and runs the tests; [`prerequisites`] installs it where it can be had.
const TOOLS: [&str; 5] =
    ["aarch64-linux-gnu-gcc", "cpio", "dpkg-deb", "qemu-aarch64", "qemu-system-aarch64"];

/// For every cargo here: how to link and to run, and tests that are small enough for memory.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64"),
    ("QEMU_LD_PREFIX", "/usr/aarch64-linux-gnu"),
    ("CARGO_PROFILE_DEV_DEBUG", "false"),
    ("CARGO_PROFILE_DEV_STRIP", "true"),
    ("CARGO_PROFILE_DEV_OPT_LEVEL", "1"),
];

/// Units of three rooms, and those tests of the engine that are not about the host.
const ROOMS: [&str; 17] = [
    "-p",
    "sysring-engine",
    "-p",
    "sysring-sys",
    "-p",
    "sysring-trap",
    "--lib",
    "--test=batches",
    "--test=commands",
    "--test=futex",
    "--test=hearing",
    "--test=native",
    "--test=register",
    "--test=registered",
    "--test=road",
    "--test=sends",
    "--test=setups",
];

/// Units of the libraries, which build for it, then.
const LIBRARIES: [&str; 9] = [
    "-p",
    "sysring-liburing",
    "-p",
    "sysring-capi",
    "-p",
    "sysring-events",
    "-p",
    "sysring-syslet",
    "--lib",
];

/// The client: units, and rings, which the engine serves where there is no io_uring.
const CLIENT: [&str; 6] =
    ["-p", "sysring", "--features=stream,syslet", "--lib", "--test=ring", "--test=owned"];

/// Runs what can be run here; the last line counts.
pub fn run() -> ExitCode {
    let report = report();
    println!("{report}");
    if report.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs what can be run here.
pub fn report() -> Report {
    match missing() {
        Some(missing) => skip(&missing),
        None => {
            let mut report = in_user_mode();
            report += without_libc();
            report += match emulated::mirror() {
                Ok(_) => in_a_machine(),
                Err(why) => skip(&format!("on a kernel of its own: {why}")),
            };
            report
        }
    }
}

fn skip(why: &str) -> Report {
    say(format_args!("skipped: aarch64: {why}"));
    Report::skipped()
}

fn missing() -> Option<String> {
    if let Some(tool) = TOOLS.iter().find(|tool| !prerequisites::is_installed(tool)) {
        return Some(format!("{tool} is not installed"));
    }
    let quietly = |command: &mut Command| {
        command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let has_target = || {
        let asked =
            Command::new("rustc").args(["--print=target-libdir", "--target", TARGET]).output();
        asked.is_ok_and(|asked| Path::new(String::from_utf8_lossy(&asked.stdout).trim()).exists())
    };
    if !has_target() && !quietly(Command::new("rustup").args(["target", "add", TARGET])) {
        return Some(format!("the Rust toolchain has no libraries for {TARGET}"));
    }
    None
}

fn in_user_mode() -> Report {
    let mut report = Report::default();
    for (name, which) in [
        ("aarch64 in QEMU's user mode", &ROOMS[..]),
        ("the libraries on aarch64", &LIBRARIES),
        ("the client on aarch64", &CLIENT),
    ] {
        let command =
            [&["cargo", "test", "--no-fail-fast", "--target", TARGET][..], which].concat();
        let command = [&command[..], &["--", "--show-output", "--test-threads=1"]].concat();
        let outcome = Outcome::Libtest;
        report += Step { name, outcome, command: &command, environment: &ENVIRONMENT }.run();
    }
    report
}

/// The C program that has libsysring and nothing else.
fn without_libc() -> Report {
    const NAME: &str = "libsysring alone on aarch64";

    let program = target_directory().join(TARGET).join("alone");
    if let Err(why) = compile_alone(&program) {
        say(why);
        return Report::failed(NAME);
    }
    let command = ["qemu-aarch64", &program.to_string_lossy()];
    Step { name: NAME, outcome: Outcome::Status, command: &command, environment: &[] }.run()
}

fn compile_alone(program: &Path) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--quiet", "-p", "sysring-capi", "--features", "object"]);
    cargo.args(["--crate-type", "staticlib", "--target", TARGET]).envs(ENVIRONMENT);
    finish(&mut cargo)?;
    let room = workspace().join("capi");
    let mut compiler = Command::new("aarch64-linux-gnu-gcc");
    compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib", "-ffreestanding"]);
    // Nothing unwinds; what a debug build of Rust's own library says of it is left out, but for a name.
    compiler.args(["-Wl,--gc-sections", "-Wl,--defsym=rust_eh_personality=0"]);
    compiler.args(["-fno-stack-protector", "-o"]).arg(program);
    compiler.arg("-I").arg(room.join("include")).arg(room.join("tests/programs/alone.c"));
    compiler.arg(target_directory().join(TARGET).join("debug/libsysring_capi.a"));
    finish(&mut compiler)
}

fn in_a_machine() -> Report {
    const NAME: &str = "aarch64 on a kernel of its own";

    let prepared = machine::prepare().and_then(|machine| {
        const OF_THE_COMMAND: [&str; 6] = [
            "-p",
            "sysring-cli",
            "--test=behaviour",
            "--test=processes",
            "--test=run",
            "--test=security",
        ];
        const PERSONALITIES: [&str; 3] = ["-p", "sysring-engine", "--test=personality"];
        for which in
            [&ROOMS[..], &PERSONALITIES, &["-p", "sysring", "--test=refused"], &OF_THE_COMMAND]
        {
            tests(which)?.iter().try_for_each(|test| machine.add_test(test))?;
        }
        machine.add_folder(&target_directory().join(TARGET).join("tmp"))?;
        machine.add_at_its_place(&target_directory().join(TARGET).join("debug/sysring"))?;
        for program in ["behaviour", "confined", "processes", "shown"] {
            let source = workspace().join(format!("cli/tests/programs/{program}.c"));
            compile(&source, &machine.programs().join(program))?;
        }
        machine.pack()
    });
    match prepared {
        Ok(machine) => machine.run(NAME),
        Err(why) => {
            say(why);
            Report::failed(NAME)
        }
    }
}

/// Builds tests; where cargo has put them.
fn tests(which: &[&str]) -> Result<Vec<PathBuf>, String> {
    let built = Command::new("cargo")
        .args(["test", "--quiet", "--no-run", "--message-format=json", "--target", TARGET])
        .args(which)
        .envs(ENVIRONMENT)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    if !built.status.success() {
        return Err(format!("the tests for {TARGET} do not build"));
    }
    // Programs that are no tests come along: only those in `deps` are.
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let files = messages
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next());
    Ok(files.filter(|file| file.contains("/deps/")).map(PathBuf::from).collect())
}

fn compile(source: &Path, program: &Path) -> Result<(), String> {
    let mut compiler = Command::new("aarch64-linux-gnu-gcc");
    compiler.args(["-O1", "-Wall", "-pthread", "-o"]).arg(program).arg(source);
    finish(&mut compiler)
}
