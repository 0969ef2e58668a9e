//! The handler goes wherever the filter goes: into children, by every kind of `exec`.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use common::{
    DYNAMIC, Flavour, Outer, REFUSALS, STATIC, engines_answer, has, program, served, stdout, told,
};

#[test]
fn every_kind_of_dynamic_program_is_served() {
    for flavour in DYNAMIC {
        let Some(setup) = program("setup", flavour) else { continue };
        for outer in [Outer::Nothing].into_iter().chain(REFUSALS) {
            assert_eq!(
                stdout(&mut served(&setup, outer)),
                engines_answer(),
                "{flavour:?} {outer:?}"
            );
        }
    }
}

#[test]
fn so_are_children_of_a_shell_dynamic_and_static() {
    for flavour in DYNAMIC.into_iter().chain(STATIC) {
        let Some(setup) = program("setup", flavour) else { continue };
        for outer in REFUSALS {
            let mut shell = served("sh", outer);
            shell.args(["-c", "\"$0\"; sh -c \"$0 | cat\"; exec \"$0\""]).arg(&setup);
            let expected = engines_answer().repeat(3);
            assert_eq!(stdout(&mut shell), expected, "{flavour:?} {outer:?}");
        }
    }
}

#[test]
fn an_emptied_environment_gets_the_object_back() {
    for flavour in [Flavour::Glibc, Flavour::Musl, Flavour::GlibcStatic] {
        let Some(setup) = program("setup", flavour) else { continue };
        let mut env = served("env", REFUSALS[0]);
        env.args(["-i", "/bin/sh", "-c", "env -i \"$0\"; unset LD_PRELOAD; \"$0\""]).arg(&setup);
        assert_eq!(stdout(&mut env), engines_answer().repeat(2), "{flavour:?}");
    }
}

#[test]
fn scripts_run_by_dynamic_and_static_interpreters() {
    let setup = match program("setup", Flavour::Glibc) {
        Some(setup) => setup,
        None => return,
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for flavour in [Flavour::Glibc, Flavour::GlibcStatic, Flavour::MuslStatic] {
        let Some(arguments) = program("arguments", flavour) else { continue };
        let script = directory.join(format!("script-{flavour:?}"));
        write_script(&script, &format!("#!{} one argument\nrest\n", arguments.display()));
        // Scripts that are interpreted by scripts, with an argument and without.
        let nested = directory.join(format!("nested-{flavour:?}"));
        write_script(&nested, &format!("#!{}\nrest\n", script.display()));
        let deep = directory.join(format!("deep-{flavour:?}"));
        write_script(&deep, &format!("#! {} two  \nrest\n", nested.display()));
        let run = |command: &mut Command| {
            let each = "for i do \"$i\" a ''; done";
            stdout(command.arg(each).arg("sh").args([&script, &nested, &deep]).env_clear())
        };
        // Started by a shell that is not served, then by one that is.
        let bare = run(Command::new("/bin/sh").arg("-c"));
        let mut shell = common::inside("/bin/sh", REFUSALS[0]);
        shell.args([
            "-c",
            &format!(
                "each=$0; LD_PRELOAD={} exec /bin/sh -c \"$each\" \"$@\"",
                common::object().display()
            ),
        ]);
        let ours = run(&mut shell);
        assert_eq!(without_own_lines(&ours), without_own_lines(&bare), "{flavour:?}");
    }

    let script = directory.join("script-sh");
    write_script(&script, &format!("#!/bin/sh -e\n{}\n", setup.display()));
    assert_eq!(stdout(&mut served(&script, REFUSALS[0])), engines_answer());
}

/// By another process: a descriptor of ours would be open in what other tests start meanwhile, and what
/// somebody may write to is not executed (`ETXTBSY`).
fn write_script(path: &Path, text: &str) {
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let written = Command::new("/bin/sh").args(["-c", write]).arg(path).arg(text).status().unwrap();
    assert!(written.success());
}

/// The environment of a served program names the object, and that is the only difference.
fn without_own_lines(text: &str) -> String {
    text.lines().filter(|line| !line.contains("LD_PRELOAD=")).map(|l| format!("{l}\n")).collect()
}

#[test]
fn a_loaded_program_sees_the_arguments_and_environment_it_was_given() {
    for flavour in STATIC {
        let Some(arguments) = program("arguments", flavour) else { continue };
        let bare = stdout(Command::new(&arguments).arg0("name").args(["a", "", "b c"]).env_clear());
        let mut shell = served("env", REFUSALS[0]);
        // `env -a` is younger than some systems: a subshell's exec -a is not in every sh either.
        shell.args([
            "-i",
            "bash",
            "-c",
            "unset PWD OLDPWD SHLVL _; exec -a name \"$0\" a '' 'b c'",
        ]);
        let ours = stdout(shell.arg(&arguments));
        let kept = |text: &str| -> String {
            without_own_lines(text)
                .lines()
                .filter(|l| {
                    !l.starts_with("environment _=") && !l.starts_with("environment SHLVL=")
                })
                .map(|l| format!("{l}\n"))
                .collect()
        };
        assert_eq!(kept(&ours), kept(&bare), "{flavour:?}");
    }
}

#[test]
fn a_program_executes_itself_by_the_name_that_the_kernel_has_for_it() {
    for flavour in DYNAMIC.into_iter().chain(STATIC) {
        let Some(itself) = program("itself", flavour) else { continue };
        let (directory, name) = (itself.parent().unwrap(), itself.file_name().unwrap());
        let bare = stdout(&mut Command::new(&itself));
        let mut shell = served("sh", REFUSALS[0]);
        shell.args(["-c", "./\"$0\""]).arg(name).current_dir(directory);
        assert_eq!(stdout(&mut shell), bare, "{flavour:?}");
    }
}

#[test]
fn exit_status_and_signals_are_the_programs_own() {
    for script in ["exit 0", "exit 77", "kill -TERM $$", "kill -SYS $$", "kill -KILL $$"] {
        let bare = Command::new("sh").args(["-c", script]).status().unwrap();
        let ours = served("sh", REFUSALS[0]).args(["-c", script]).status().unwrap();
        assert_eq!((ours.code(), ours.signal()), (bare.code(), bare.signal()), "{script}");
    }
}

#[test]
fn what_cannot_be_executed_fails_as_it_does_without() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let not_executable = directory.join("not-executable");
    fs::write(&not_executable, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&not_executable, fs::Permissions::from_mode(0o644)).unwrap();
    let nonsense = directory.join("nonsense");
    fs::write(&nonsense, "\x7fELF nonsense").unwrap();
    fs::set_permissions(&nonsense, fs::Permissions::from_mode(0o755)).unwrap();
    for path in [
        "/nonexistent".as_ref(),
        "/".as_ref(),
        "/dev/null".as_ref(),
        not_executable.as_path(),
        nonsense.as_path(),
    ] {
        let script = "\"$0\"; echo $?";
        let bare = Command::new("sh").args(["-c", script]).arg(path).output().unwrap();
        let ours = served("sh", REFUSALS[0]).args(["-c", script]).arg(path).output().unwrap();
        assert_eq!(told(&ours), told(&bare));
    }
}

#[test]
fn every_way_to_start_a_child_works() {
    let Some(setup) = program("setup", Flavour::Glibc) else { return };
    for flavour in DYNAMIC.into_iter().chain(STATIC) {
        let Some(spawn) = program("spawn", flavour) else { continue };
        for child in [Flavour::Glibc, Flavour::GlibcStatic, Flavour::Musl] {
            let Some(child) = program("setup", child) else { continue };
            let mut shell = served("sh", REFUSALS[0]);
            shell.args(["-c", "exec \"$@\"", "sh"]).arg(&spawn).arg(&child);
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{flavour:?}: {}", told(&output));
            let expected = engines_answer().repeat(7);
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{flavour:?}");
        }
    }
    drop(setup);
}

#[test]
fn tracers_see_the_program_and_do_not_disturb_it() {
    if !has("strace") {
        return;
    }
    let Some(setup) = program("setup", Flavour::Glibc) else { return };
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-E"]);
    strace.arg(format!("LD_PRELOAD={}", common::object().display()));
    strace.args(["sh", "-c", "\"$0\"; true"]).arg(&setup);
    assert_eq!(stdout(&mut strace), engines_answer());
}
