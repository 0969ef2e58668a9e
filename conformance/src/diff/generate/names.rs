//! Paths: opening, looking, making, moving and removing.

use sysring_sys::abi::io_uring::op;

use super::{Generator, bytes};
use crate::diff::layout::*;
use crate::diff::program::{Entry, Scrub};

impl Generator {
    pub(super) fn open(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.opens = true;
        entry.sqe.fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED]);
        entry.sqe.addr = place;
        let flags = self.random.pick(&[
            libc::O_RDONLY,
            libc::O_RDWR,
            libc::O_WRONLY | libc::O_CREAT,
            libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
            libc::O_WRONLY | libc::O_TRUNC,
            libc::O_RDONLY | libc::O_DIRECTORY,
            libc::O_RDONLY | libc::O_CLOEXEC,
            libc::O_PATH,
        ]) as u32;
        self.path(
            entry,
            place,
            &["a", "d", "n0", "n1", "n2", "n3", "n4", "n4/in", "n0/x", "", "."],
        );
        if self.random.percent(50) {
            entry.sqe.opcode = op::OPENAT;
            entry.sqe.op_flags = flags;
            entry.sqe.len = 0o640;
        } else {
            entry.sqe.opcode = op::OPENAT2;
            entry.sqe.off = place + 0x100;
            let mode = if flags & libc::O_CREAT as u32 != 0 { 0o640 } else { 0 };
            let resolve = self.random.pick(&[0u64, 0, 8, 4, 0x20, 0x1000]);
            entry.memory.push((place + 0x100, bytes(&[u64::from(flags), mode, resolve])));
            entry.sqe.len = self.random.pick(&[24, 24, 24, 24, 8, 40]);
        }
        if self.program.register_files && self.random.percent(20) {
            entry.opens = false;
            entry.sqe.file_index =
                self.random.pick(&[FREE_SLOTS + 2, FREE_SLOTS + 3, 17, u32::MAX]);
        }
    }

    pub(super) fn close(&mut self, entry: &mut Entry) {
        entry.sqe.opcode = op::CLOSE;
        entry.sqe.fd = self.random.pick(&[
            200, 201, 210, 211, 212, 213, 220, 230, 231, 233, 236, 251, 256, 261, CLOSED, -1,
            EPOLL, RING_MARK,
        ]);
        if self.random.percent(10) {
            entry.sqe.fd = 0;
            entry.sqe.file_index = self.random.pick(&[FREE_SLOTS + 4, 99]);
        }
    }

    pub(super) fn statx(&mut self, entry: &mut Entry, number: u64) {
        let slot = ARENA + number * SLOT;
        entry.sqe.opcode = op::STATX;
        entry.sqe.fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED, 210]);
        entry.sqe.addr = slot + AUX;
        entry.sqe.off = slot;
        entry.sqe.len = self.random.pick(&[0x7ff, 0x200, 0, 0x8000_0000]);
        entry.sqe.op_flags = self.random.pick(&[0, 0x1000, 0x100, 0x2000, 0x4000, 0x1]);
        self.path(entry, slot + AUX, &["a", "d", "n0", "n2", "n3", "", "n4/in"]);
        entry.scrub = Scrub::Statx;
    }

    pub(super) fn paths(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        entry.sqe.fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED]);
        entry.sqe.addr = place;
        let names = ["n0", "n1", "n2", "n3", "n4", "n5", "n2/x", ""];
        self.path(entry, place, &names);
        match self.random.below(3) {
            0 => {
                entry.sqe.opcode = op::UNLINKAT;
                entry.sqe.op_flags = self.random.pick(&[0, 0, libc::AT_REMOVEDIR as u32, 1]);
            }
            1 => {
                entry.sqe.opcode = op::MKDIRAT;
                entry.sqe.len = 0o750;
            }
            _ => {
                entry.sqe.opcode = op::RENAMEAT;
                entry.sqe.off = place + 0x100;
                entry.sqe.len = self.random.pick(&[libc::AT_FDCWD, FOLDER, CLOSED]) as u32;
                entry.sqe.op_flags = self.random.pick(&[0, 0, 1, 2, 16]);
                self.path(entry, place + 0x100, &names);
            }
        }
    }

    pub(super) fn path(&mut self, entry: &mut Entry, at: u64, choices: &[&str]) {
        let name = self.random.pick(choices);
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        entry.memory.push((at, text));
    }

    /// LINKAT and SYMLINKAT. Links lead to nowhere: what is opened has one name.
    pub(super) fn links(&mut self, entry: &mut Entry, number: u64) {
        let place = ARENA + number * SLOT + AUX;
        let fd = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, 200, CLOSED]);
        entry.sqe.addr = place;
        entry.sqe.off = place + 0x100;
        entry.sqe.fd = fd;
        if self.random.percent(50) {
            entry.sqe.opcode = op::SYMLINKAT;
            self.path(entry, place, &["n9/none", "n9/none", ""]);
        } else {
            entry.sqe.opcode = op::LINKAT;
            entry.sqe.len = self.random.pick(&[libc::AT_FDCWD, FOLDER, FOLDER, CLOSED]) as u32;
            entry.sqe.op_flags = self.random.pick(&[0, 0, 0, 0x400, 0x1000, 1]);
            self.path(entry, place, &["n1", "n1", "n2", "n3", "l0", ""]);
        }
        self.path(entry, place + 0x100, &["l0", "l1", "l0", "n2", "n4/in", ""]);
    }

    /// Extended attributes.
    pub(super) fn attributes(&mut self, entry: &mut Entry, number: u64) {
        let slot = ARENA + number * SLOT;
        entry.sqe.opcode = self.random.pick(&[
            op::FSETXATTR,
            op::FSETXATTR,
            op::FGETXATTR,
            op::SETXATTR,
            op::GETXATTR,
        ]);
        entry.sqe.addr = slot + AUX;
        self.path(entry, slot + AUX, &["user.one", "user.one", "user.two", "nonsense", ""]);
        entry.sqe.off = slot;
        entry.sqe.len = self.random.pick(&[0, 4, 4, 100, 70_000]);
        if matches!(entry.sqe.opcode, op::FSETXATTR | op::SETXATTR) {
            entry.sqe.op_flags = self.random.pick(&[0, 0, 1, 2, 4]);
        }
        if matches!(entry.sqe.opcode, op::FSETXATTR | op::FGETXATTR) {
            self.aim(entry, &[200, 201, 200, 203, 205, 206, 210]);
        } else {
            entry.sqe.fd = -1;
            entry.sqe.addr3 = slot + AUX + 0x100;
            self.path(entry, slot + AUX + 0x100, &["a", "b", "n0", "n3", ""]);
        }
    }
}
