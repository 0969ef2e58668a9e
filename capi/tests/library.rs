//! libsysring as it is installed: what it shows and needs, and programs that use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The prefix that `cargo xtask install` has installed to.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix");
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["run", "--quiet", "--package", "xtask", "--", "install", "--prefix"])
            .arg(&prefix)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        stdout(&mut command);
        prefix
    })
}

/// What a command prints; it must succeed.
fn stdout(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles `tests/programs/NAME.c`.
fn compile(name: &str, options: &[&str], library: &str) -> PathBuf {
    compile_in("tests/programs", name, options, library)
}

fn compile_in(folder: &str, name: &str, options: &[&str], library: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{library}"));
    let mut command = Command::new("gcc");
    command.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
    command.arg("-I").arg(prefix().join("include")).args(options).arg(source.with_extension("c"));
    stdout(command.arg(prefix().join("lib").join(library)));
    program
}

/// Runs it; one that hangs ends. What it printed.
fn run(program: &Path) -> String {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "60"]).arg(program);
    stdout(command.env("LD_LIBRARY_PATH", prefix().join("lib")))
}

#[test]
fn a_program_with_the_shared_library() {
    run(&compile("calls", &[], "libsysring.so"));
}

#[test]
fn a_program_with_the_static_library() {
    run(&compile("calls", &["-static"], "libsysring.a"));
}

#[test]
fn attributes_of_ones_own_and_other_credentials() {
    run(&compile("attributes", &[], "libsysring.so"));
}

#[test]
fn batches_and_chains() {
    run(&compile("batches", &[], "libsysring.so"));
}

#[test]
fn errors_that_are_told() {
    run(&compile("errors", &[], "libsysring.so"));
}

#[test]
fn the_example() {
    let said = run(&compile_in("../examples", "extension", &[], "libsysring.so"));
    let calls = ["ann's call 1", "bob's call 1", "ann's call 2"];
    assert!(said.lines().zip(calls).all(|(line, call)| line.starts_with(call)), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_program_with_nothing_else() {
    let options = ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"];
    run(&compile("alone", &options, "libsysring.a"));
}

#[test]
fn any_c_compiler_takes_the_header() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header.c");
    fs::write(&file, "#include <sysring.h>\n").unwrap();
    for standard in ["c99", "c17"] {
        let mut command = Command::new("gcc");
        command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]);
        command.arg(format!("-std={standard}")).arg("-I").arg(prefix().join("include"));
        stdout(command.arg(&file));
    }
}

#[test]
fn it_shows_its_functions_and_needs_nothing() {
    let library = prefix().join("lib/libsysring.so");
    let symbols = stdout(Command::new("nm").args(["-D", "--format=posix"]).arg(&library));
    let header = fs::read_to_string(prefix().join("include/sysring.h")).unwrap();
    let mut shown = 0;
    for line in symbols.lines() {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = name.split('@').next().unwrap();
        match kind.chars().next() {
            Some('A') => {}
            Some('T') => {
                shown += 1;
                assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
            }
            _ => panic!("{line}"),
        }
    }
    // All that the header declares, on lines that begin with a type; one of them is liburing's.
    let declares = |line: &&str| {
        line.contains("sysring_") && line.contains('(') && !line.starts_with(['/', ' ', '#'])
    };
    let functions: Vec<&str> = header.lines().filter(declares).collect();
    assert_eq!(shown, functions.len() - 1, "{symbols}\n{functions:#?}");
    let dynamic = stdout(Command::new("readelf").arg("-d").arg(&library));
    assert!(!dynamic.contains("NEEDED"), "{dynamic}");
    assert!(dynamic.contains("[libsysring.so.0]"), "{dynamic}");

    let archive = prefix().join("lib/libsysring.a");
    let undefined = stdout(Command::new("nm").arg("--undefined-only").arg(&archive));
    let undefined: Vec<&str> = undefined.lines().filter(|line| line.contains(" U ")).collect();
    assert_eq!(undefined, [""; 0]);
    let global = stdout(Command::new("nm").args(["-g", "--defined-only"]).arg(&archive));
    assert_eq!(global.lines().filter(|line| line.contains(' ')).count(), shown, "{global}");
}
