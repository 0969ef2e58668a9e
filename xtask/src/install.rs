//! Building liburing's libraries and libsysring, and placing them under a prefix.
//!
//! rustc makes a static library of a room; the linker makes the others of it, because rustc knows
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
    version: &'static str,
    /// The number in its soname.
    abi: &'static str,
    /// What the static library shows beyond the shared one.
    static_alone: &'static [&'static str],
}

/// Its own tests use these.
const LIBURING_ALONE: &[&str] = &["__io_uring_queue_init_params", "io_uring_unmap_rings"];

const LIBURING: [Library; 2] = [
    Library {
        name: "liburing",
        short: "uring",
        description: "io_uring library (sysring)",
        version: VERSION,
        abi: "2",
        static_alone: LIBURING_ALONE,
    },
    Library {
        name: "liburing-ffi",
        short: "uring-ffi",
        description: "io_uring FFI library (sysring)",
        version: VERSION,
        abi: "2",
        static_alone: LIBURING_ALONE,
    },
];

const LIBSYSRING: [Library; 1] = [Library {
    name: "libsysring",
    short: "sysring",
    description: "any system call, asynchronous",
    version: env!("CARGO_PKG_VERSION"),
    abi: "0",
    static_alone: &[],
}];

type Outcome<T = ()> = Result<T, String>;

/// Builds everything and installs it; libraries go to `PREFIX/lib`. libsysring is the engine, and
/// goes without.
pub fn install(prefix: &Path, with_engine: bool) -> Outcome {
    let prefix = std::path::absolute(prefix).map_err(|e| format!("{}: {e}", prefix.display()))?;
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let include_dir = prefix.join("include");
    fs::create_dir_all(&include_dir).map_err(|e| format!("{}: {e}", include_dir.display()))?;
    let liburing = rooms.join("liburing");
    let code = build(&liburing, with_engine)?.join("libsysring_liburing.a");
    place(&LIBURING, &liburing, &code, &prefix)?;
    let capi = rooms.join("capi");
    if with_engine {
        let code = build(&capi, true)?.join("libsysring_capi.a");
        place(&LIBSYSRING, &capi, &code, &prefix)?;
    }
    let header = include_dir.join("sysring.h");
    fs::copy(capi.join("include/sysring.h"), &header)
        .map_err(|e| format!("{}: {e}", header.display()))?;
    let libraries = if with_engine { "liburing and libsysring" } else { "liburing" };
    println!("installed {libraries} in {}", prefix.join("lib").display());
    println!("installed sysring.h in {}", include_dir.display());
    println!("for liburing, programs use its own headers (Debian: liburing-dev)");
    Ok(())
}

/// Makes the libraries of a room, of which `code` is what rustc has made.
fn place(libraries: &[Library], room: &Path, code: &Path, prefix: &Path) -> Outcome {
    let library_dir = prefix.join("lib");
    let package_dir = library_dir.join("pkgconfig");
    fs::create_dir_all(&package_dir).map_err(|e| format!("{}: {e}", package_dir.display()))?;
    for library in libraries {
        let map = room.join(format!("{}.map", library.name));
        let symbols = exported(&map)?;
        link_shared(library, code, &map, &symbols, &library_dir)?;
        link_static(library, code, &symbols, &library_dir)?;
        let package = package_dir.join(format!("{}.pc", library.name));
        write(&package, &describe(library, prefix))?;
    }
    Ok(())
}

/// A room as a static library; the folder that it is in.
fn build(room: &Path, with_engine: bool) -> Outcome<PathBuf> {
    let target =
        room.join("../target").join(if with_engine { "liburing" } else { "liburing-client" });
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["rustc", "--release", "--features", "object"])
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
    Ok(target.join("release"))
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
    let file = format!("{}.so.{}", library.name, library.version);
    let soname = format!("{}.so.{}", library.name, library.abi);
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
    let symbols: Vec<&str> =
        symbols.iter().map(String::as_str).chain(library.static_alone.iter().copied()).collect();
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
         Version: {version}\n\
         Description: {description}\n\
         Libs: -L${{libdir}} -l{short}\n\
         Cflags: -I${{includedir}}\n",
        prefix = prefix.display(),
        name = library.name,
        version = library.version,
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
