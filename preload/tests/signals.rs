//! A program cannot tell from its signals that it is served.

mod common;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use common::{DYNAMIC, Flavour, Outer, REFUSALS, STATIC, inside, object, program, served, stdout};

#[test]
fn masks_and_actions_look_the_same() {
    for flavour in DYNAMIC.into_iter().chain(STATIC) {
        let Some(signals) = program("signals", flavour) else { continue };
        let bare = stdout(&mut Command::new(&signals));
        for outer in [Outer::Nothing, REFUSALS[0]] {
            let mut shell = served("sh", outer);
            shell.args(["-c", "exec \"$0\""]).arg(&signals);
            let ours = stdout(&mut shell);
            for (ours, bare) in ours.lines().zip(bare.lines()) {
                assert_eq!(ours, bare, "{flavour:?} {outer:?}");
            }
            assert_eq!(ours, bare);
        }
    }
}

#[test]
fn a_process_started_with_sigsys_blocked_or_ignored_lives() {
    for flavour in [Flavour::Glibc, Flavour::Musl] {
        let Some(setup) = program("setup", flavour) else { continue };
        for ignored in [false, true] {
            let mut command = served(&setup, REFUSALS[0]);
            // SAFETY: only system calls, on memory of the closure.
            unsafe {
                command.pre_exec(move || {
                    let mut set = std::mem::zeroed();
                    libc::sigfillset(&mut set);
                    libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
                    if ignored {
                        libc::signal(libc::SIGSYS, libc::SIG_IGN);
                    }
                    Ok(())
                })
            };
            assert_eq!(stdout(&mut command), common::engines_answer(), "{flavour:?}");
        }
    }
}

#[test]
fn a_filter_of_the_programs_own_still_reaches_its_handler() {
    for flavour in DYNAMIC {
        let Some(filter) = program("filter", flavour) else { continue };
        let bare = stdout(&mut Command::new(&filter));
        assert_eq!(stdout(&mut served(&filter, REFUSALS[0])), bare, "{flavour:?}");
        // And without a handler it dies of it, as it should.
        let bare = Command::new(&filter).arg("die").status().unwrap();
        let ours = served(&filter, REFUSALS[0]).arg("die").status().unwrap();
        assert_eq!(ours.signal(), Some(libc::SIGSYS));
        assert_eq!(ours.signal(), bare.signal());
    }
}

#[test]
fn copies_of_user_memory_need_no_process_vm_readv() {
    let Some(signals) = program("signals", Flavour::Glibc) else { return };
    let Some(refuse) = program("refuse", Flavour::GlibcStatic) else { return };
    let bare = stdout(&mut Command::new(&signals));
    let mut command = inside(&refuse, REFUSALS[0]);
    command.arg("310").arg("env").arg(format!("LD_PRELOAD={}", object().display())).arg(&signals);
    let ours = stdout(&mut command);
    for (ours, bare) in ours.lines().zip(bare.lines()) {
        assert_eq!(ours, bare);
    }
    assert_eq!(ours, bare);
}
