//! Building liburing's libraries, and placing them under a prefix.
//!
//! rustc makes a static library of the room; the linker makes the others of it, because rustc knows
//! no version nodes, and because a static library's hidden symbols would still be seen by a
//! program's linker: those become local here.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The liburing that the libraries stand in for.
const VERSION: &str = "2.15";

struct Library {
    name: &'static str,
    short: &'static str,
    description: &'static str,
}

const LIBRARIES: [Library; 2] = [
    Library { name: "liburing", short: "uring", description: "io_uring library" },
    Library { name: "liburing-ffi", short: "uring-ffi", description: "io_uring FFI library" },
];

/// What liburing's static libraries show beyond the shared ones; its own tests use it.
const STATIC_ALONE: [&str; 2] = ["__io_uring_queue_init_params", "io_uring_unmap_rings"];

type Outcome<T = ()> = Result<T, String>;

/// Builds everything and installs it; libraries go to `PREFIX/lib`.
pub fn install(prefix: &Path, with_engine: bool) -> Outcome {
    let prefix = std::path::absolute(prefix).map_err(|e| format!("{}: {e}", prefix.display()))?;
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("../liburing");
    let code = build(&room, with_engine)?;
    let library_dir = prefix.join("lib");
    let include_dir = prefix.join("include");
    let package_dir = library_dir.join("pkgconfig");
    for folder in [&library_dir, &include_dir, &package_dir] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    for library in &LIBRARIES {
        let map = room.join(format!("{}.map", library.name));
        let symbols = exported(&map)?;
        link_shared(library, &code, &map, &symbols, &library_dir)?;
        link_static(library, &code, &symbols, &library_dir)?;
        let package = package_dir.join(format!("{}.pc", library.name));
        write(&package, &describe(library, &prefix))?;
    }
    let header = include_dir.join("sysring.h");
    fs::copy(room.join("include/sysring.h"), &header)
        .map_err(|e| format!("{}: {e}", header.display()))?;
    println!("installed liburing {VERSION} of sysring in {}", library_dir.display());
    println!("programs are compiled against liburing's own headers (Debian: liburing-dev)");
    Ok(())
}

/// The room as a static library.
fn build(room: &Path, with_engine: bool) -> Outcome<PathBuf> {
    let target =
        room.join("../target").join(if with_engine { "liburing" } else { "liburing-client" });
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["rustc", "--quiet", "--release", "--features", "object"])
        .args(["--crate-type", "staticlib", "--config", "profile.release.strip=\"debuginfo\""])
        .arg("--manifest-path")
        .arg(room.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS");
    if !with_engine {
        command.arg("--no-default-features");
    }
    run(&mut command)?;
    Ok(target.join("release/libsysring_liburing.a"))
}

/// The symbols that a version script names.
fn exported(map: &Path) -> Outcome<Vec<String>> {
    let script = fs::read_to_string(map).map_err(|e| format!("{}: {e}", map.display()))?;
    let names = script.lines().filter_map(|line| line.strip_prefix("\t\t")?.strip_suffix(';'));
    Ok(names.filter(|name| *name != "*").map(str::to_owned).collect())
}

fn link_shared(
    library: &Library,
    code: &Path,
    map: &Path,
    symbols: &[String],
    folder: &Path,
) -> Outcome {
    let file = format!("{}.so.{VERSION}", library.name);
    let soname = format!("{}.so.2", library.name);
    let mut command = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(["-shared", "-nostdlib", "-nostartfiles", "-o"]).arg(folder.join(&file));
    command.args(symbols.iter().map(|name| format!("-Wl,-u,{name}")));
    command.arg(format!("-Wl,--version-script={}", map.display()));
    command.arg(format!("-Wl,-soname,{soname}"));
    command.args([
        "-Wl,--gc-sections",
        "-Wl,--build-id=none",
        // Both kinds of hash table: older linkers look for the other one.
        "-Wl,--hash-style=both",
        // Nothing may be left to be resolved, now or later.
        "-Wl,-z,defs",
        "-Wl,-z,now",
        "-Wl,-z,relro",
        "-Wl,-z,noexecstack",
        // The engine's threads run this code: it stays when a program closes it.
        "-Wl,-z,nodelete",
        "-Wl,-Bsymbolic",
    ]);
    run(command.arg(code))?;
    link(&file, &folder.join(&soname))?;
    link(&soname, &folder.join(format!("{}.so", library.name)))
}

fn link_static(library: &Library, code: &Path, symbols: &[String], folder: &Path) -> Outcome {
    let object = code.with_file_name(format!("{}.o", library.name));
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).chain(STATIC_ALONE).collect();
    let mut command = Command::new("ld");
    command.args(["--relocatable", "--gc-sections", "-o"]).arg(&object);
    command.args(symbols.iter().map(|name| format!("--undefined={name}")));
    run(command.arg(code))?;

    let list = object.with_extension("symbols");
    write(&list, &(symbols.join("\n") + "\n"))?;
    let mut command = Command::new("objcopy");
    command.arg(format!("--keep-global-symbols={}", list.display()));
    run(command.arg(&object))?;

    let archive = folder.join(format!("{}.a", library.name));
    match fs::remove_file(&archive) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {e}", archive.display()));
        }
        _ => {}
    }
    run(Command::new("ar").arg("rcsD").args([&archive, &object]))
}

/// The file for pkg-config.
fn describe(library: &Library, prefix: &Path) -> String {
    format!(
        "prefix={prefix}\n\
         libdir=${{prefix}}/lib\n\
         includedir=${{prefix}}/include\n\n\
         Name: {name}\n\
         Version: {VERSION}\n\
         Description: {description} (sysring)\n\
         Libs: -L${{libdir}} -l{short}\n\
         Cflags: -I${{includedir}}\n",
        prefix = prefix.display(),
        name = library.name,
        description = library.description,
        short = library.short,
    )
}

fn link(to: &str, at: &Path) -> Outcome {
    let _ = fs::remove_file(at);
    symlink(to, at).map_err(|e| format!("{}: {e}", at.display()))
}

fn write(file: &Path, text: &str) -> Outcome {
    fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}

fn run(command: &mut Command) -> Outcome {
    let name = command.get_program().to_owned();
    let name = Path::new(&name).file_name().unwrap_or(OsStr::new("a tool")).to_string_lossy();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed: {status}")),
        Err(e) => Err(format!("{name} cannot be run: {e} (Debian: apt-get install gcc binutils)")),
    }
}
