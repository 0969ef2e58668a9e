//! Programs of the distribution's, bound to this library in place of their own.

use std::fs;
use std::path::Path;

use crate::common::{Place, has, library, stdout};

#[test]
fn qemu_writes_and_reads_back() {
    if !has("qemu-io") {
        return;
    }
    for place in Place::all() {
        let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{place:?}"));
        fs::write(&disk, vec![0; 8 << 20]).unwrap();
        let mut command = place.command("qemu-io");
        // The dynamic linker says on standard error which libraries it takes.
        command.env("LD_DEBUG", "files").args(["-f", "raw", "-n", "-i", "io_uring"]);
        for action in [
            "aio_write -P 7 0 1M",
            "aio_write -P 9 1M 4M",
            "aio_flush",
            "read -P 7 0 1M",
            "read -P 9 1M 4M",
            "flush",
        ] {
            command.args(["-c", action]);
        }
        let output = command.arg(&disk).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let loaded = String::from_utf8_lossy(&output.stderr);
        let ours = library("liburing.so.2");
        assert!(loaded.contains(&*ours.to_string_lossy()), "{place:?}: not bound to the library");
        assert!(output.status.success(), "{place:?}: {said}");
        assert!(!said.contains("failed") && said.contains("read 4194304/4194304"), "{said}");
        let content = fs::read(&disk).unwrap();
        assert!(content[..1 << 20].iter().all(|&b| b == 7), "{place:?}");
        assert!(content[1 << 20..5 << 20].iter().all(|&b| b == 9), "{place:?}");
    }
}

#[test]
fn mariadb_keeps_its_tables() {
    if !has("mariadbd") {
        return;
    }
    let script = r#"
        set -e; rm -rf "$1"; mkdir -p "$1"; cd "$1"; mkdir data; user=$(id -un)
        mariadb-install-db --no-defaults --datadir="$PWD/data" --user=$user \
            --auth-root-authentication-method=normal > install 2>&1 || { cat install; exit 2; }
        mariadbd --no-defaults --datadir="$PWD/data" --user=$user --socket="$PWD/socket" \
            --skip-networking --innodb-buffer-pool-size=8M --innodb-flush-method=O_DIRECT \
            --pid-file="$PWD/pid" --log-error="$PWD/log.err" &
        for i in $(seq 300); do [ -S socket ] && break; sleep 0.1; done
        grep -om1 '/[^ ]*liburing.so[^ ]*' /proc/$!/maps
        mariadb --no-defaults --user=root --socket="$PWD/socket" --skip-column-names <<'END'
            create database t; use t;
            create table a(i int primary key, s varchar(2000)) engine=innodb;
            insert into a select seq, repeat(md5(seq), 50) from seq_1_to_5000;
            select count(*), sum(crc32(s)) from a;
            shutdown;
END
        wait
        grep -o 'Using io_uring' log.err
        "#;
    for place in Place::all().into_iter().filter(|place| *place != Place::Refused) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mariadb-{place:?}"));
        let mut command = place.command("sh");
        let said = stdout(command.args(["-c", script, "sh"]).arg(&folder));
        let ours = fs::canonicalize(library("liburing.so.2")).unwrap();
        let expected = format!("{}\n5000\t10836224963880\nUsing io_uring\n", ours.display());
        assert_eq!(said, expected, "{place:?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
