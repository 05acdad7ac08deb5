//! Files that are there and cannot be executed: each reason has its own words, and they are true.

use std::os::unix::fs::symlink;

use super::*;
use crate::sys::acl::tests::let_execute;
use crate::sys::exec_trouble;

/// A directory of files that nobody can execute.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn with(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        self.with_mode(name, bytes, 0o755)
    }

    fn with_mode(&self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> String {
        write_executable(&self.0.path().join(name), bytes.as_ref(), mode);
        self.at(name)
    }
}

fn told(path: &str) -> String {
    let error = fail(&[path], |_| {});
    let is_exec = matches!(error.stage, SpawnStage::Exec | SpawnStage::Interpreter);
    assert!(is_exec && error.subject == path, "{error:?}");
    error.to_string().replace(&format!("cannot execute {path}: "), "")
}

#[test]
fn every_failure_of_exec_is_typed() {
    let files = Files::new();
    let (format, mode) = (files.with("format", "no program\n"), files.with_mode("mode", "#!/bin/sh\n", 0o644));
    let orphan = files.with("orphan", "#!/no/such/interpreter -x\n");
    let directory = files.0.path().to_str().unwrap();
    for (path, stage, errno, is_permanent) in [
        (files.at("missing").as_str(), SpawnStage::Exec, libc::ENOENT, false),
        (&format!("{format}/x"), SpawnStage::Exec, libc::ENOENT, false),
        (&format, SpawnStage::Exec, libc::ENOEXEC, true),
        (&orphan, SpawnStage::Interpreter, libc::ENOENT, false),
        (&mode, SpawnStage::Exec, libc::EACCES, true),
        (directory, SpawnStage::Exec, libc::EACCES, true),
    ] {
        let error = fail(&[path], |_| {});
        assert_eq!((error.stage, error.errno, error.subject.as_str()), (stage, errno, path), "{error}");
        assert_eq!(error.is_permanent(), is_permanent, "{error}");
    }
}

#[test]
fn what_a_script_lacks_is_named() {
    let files = Files::new();
    let carriage = files.with("carriage", "#!/bin/sh\r\nexit 0\r\n");
    assert_eq!(
        told(&carriage),
        format!(
            "its first line ends with a carriage return, which the kernel takes for a part of its interpreter's name \
             (/bin/sh\\r); save it with Unix line ends: sed -i 's/\\r$//' {carriage}"
        )
    );
    assert_eq!(
        told(&files.with("orphan", "#! /no/such/interpreter -x\n")),
        "its interpreter /no/such/interpreter does not exist; correct its first line or install it"
    );
    // An interpreter that is there, and whose own is not.
    let nested = files.with("nested", format!("#!{}\n", files.at("orphan")));
    assert_eq!(
        told(&nested),
        format!(
            "its interpreter {} cannot be executed: its interpreter /no/such/interpreter does not exist; correct its \
             first line or install it",
            files.at("orphan")
        )
    );
    let plain = files.with_mode("plain", "", 0o644);
    assert_eq!(
        told(&files.with("forbidden", format!("#!{plain}\n"))),
        format!(
            "Permission denied: its interpreter {plain} cannot be executed: it has no x bit (mode 0644); chmod +x {plain}"
        )
    );
    let circle = files.at("circle");
    files.with("circle", format!("#!{circle}\n"));
    assert!(told(&circle).contains("its interpreter is a script, whose interpreter is a script, and so on"));
}

#[test]
fn what_the_kernel_does_not_know_is_named() {
    let files = Files::new();
    let plain = files.with("plain", "echo hello\n");
    let found = |name: &str, bytes: &[u8]| told(&files.with(name, bytes));
    for (told, words) in [
        (found("empty", b""), "the file is empty; install it anew".to_owned()),
        (
            found("mark", b"\xef\xbb\xbf#!/bin/sh\n"),
            "it begins with a byte order mark, which hides its #!; save it as UTF-8 without one".to_owned(),
        ),
        (found("nobody", b"#!\nexit\n"), "its first line names no interpreter; write one such as #!/bin/sh".to_owned()),
        (found("data", &[1, 0, 2]), "it is neither a program nor a script; is it the right file?".to_owned()),
        (
            told(&plain),
            format!("it is a script without #!: begin it with a line such as #!/bin/sh, or write command = sh {plain}"),
        ),
    ] {
        assert_eq!(told, format!("Exec format error: {words}"));
    }
}

/// The header of our own program with this changed.
fn elf(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut header = vec![0; 64];
    io::Read::read_exact(&mut fs::File::open("/proc/self/exe").unwrap(), &mut header).unwrap();
    edit(&mut header);
    header
}

#[test]
fn a_program_of_another_machine_is_told_so() {
    let files = Files::new();
    // A number that no machine has, so that no emulator is registered for it.
    let foreign = files.with("foreign", elf(|header| header[18..20].copy_from_slice(&0x1234_u16.to_ne_bytes())));
    assert!(
        told(&foreign).starts_with(
            "Exec format error: it is a program for another architecture (ELF machine 4660), and this machine is "
        ),
        "{}",
        told(&foreign)
    );
    // An object file.
    let object = files.with("object", elf(|header| header[16..18].copy_from_slice(&1_u16.to_ne_bytes())));
    assert!(told(&object).ends_with("it is a damaged program, a library or an object file; install it anew"));
}

#[test]
fn a_missing_dynamic_loader_is_named() {
    if cfg!(not(target_pointer_width = "64")) {
        println!("SKIPPED: the program of this test has 64 bits");
        return;
    }
    // One program header right behind the first: the dynamic loader's name, which follows it.
    let name = b"/no/such/loader.so\0";
    let mut program = elf(|header| {
        header[16..18].copy_from_slice(&2_u16.to_ne_bytes());
        header[32..40].copy_from_slice(&64_u64.to_ne_bytes());
        header[54..56].copy_from_slice(&56_u16.to_ne_bytes());
        header[56..58].copy_from_slice(&1_u16.to_ne_bytes());
    });
    program.extend([3_u32.to_ne_bytes(), 4_u32.to_ne_bytes()].concat());
    let length = name.len() as u64;
    program.extend([120, 0, 0, length, length, 1].map(u64::to_ne_bytes).concat());
    program.extend(name);
    assert_eq!(
        told(&Files::new().with("program", program)),
        "its dynamic loader /no/such/loader.so does not exist: it was built for another system; install that loader, or a \
         build for this one"
    );
}

#[test]
fn a_path_that_leads_nowhere_names_the_part_that_does_not() {
    let files = Files::new();
    let file = files.with("file", "#!/bin/sh\n");
    assert_eq!(told(&format!("{file}/x")), format!("{file} is no directory; correct the path"));
    let gone = files.at("gone");
    assert_eq!(
        told(&format!("{gone}/bin/x")),
        format!("the directory {gone} does not exist; create it, or correct the path")
    );
    assert_eq!(told(&gone), "No such file or directory");
    symlink(files.at("release-7"), files.at("current")).unwrap();
    let dangling = format!("{} is a link to {}, which does not exist", files.at("current"), files.at("release-7"));
    assert_eq!(told(&files.at("current")), dangling);
    assert_eq!(told(&files.at("current/bin")), dangling);
    symlink("loop", files.at("loop")).unwrap();
    let looping = files.at("loop");
    assert!(told(&looping).ends_with(&format!(": its links lead in a circle; see ls -l {looping}")));
}

#[test]
fn what_is_forbidden_says_by_what() {
    let files = Files::new();
    let directory = files.0.path().to_str().unwrap();
    assert_eq!(told(directory), "Permission denied: it is a directory; name a program in it");
    let plain = files.with_mode("plain", "#!/bin/sh\n", 0o644);
    assert_eq!(told(&plain), format!("Permission denied: it has no x bit (mode 0644); chmod +x {plain}"));
    let fifo = files.at("fifo");
    nix::unistd::mkfifo(Path::new(&fifo), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(told(&fifo), "Permission denied: it is no regular file");
}

#[test]
fn what_a_user_may_not_execute_names_the_user() {
    if !is_root("what_a_user_may_not_execute_names_the_user") {
        return;
    }
    let files = Files::new();
    let script = files.with_mode("script", "#!/bin/sh\n", 0o700);
    let as_other = || {
        let edit = |command: &mut Launch<'_>| command.credentials = Some(users::lookup_user("1234").unwrap());
        fail(&[&script], edit).to_string()
    };
    let directory = files.0.path().display();
    fs::set_permissions(files.0.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(
        as_other().ends_with(&format!(
            "Permission denied: user 1234 may not search the directory {directory}; chmod +x {directory}, or put it elsewhere"
        )),
        "{}",
        as_other()
    );
    fs::set_permissions(files.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        as_other().ends_with("user 1234 may not execute it (mode 0700, of 0:0); chmod or chown it"),
        "{}",
        as_other()
    );
}

#[test]
fn a_file_that_an_access_control_list_opens_to_a_user_is_not_said_to_be_closed() {
    if !is_root("a_file_that_an_access_control_list_opens_to_a_user_is_not_said_to_be_closed") {
        return;
    }
    let files = Files::new();
    fs::set_permissions(files.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = files.with_mode("script", "#!/bin/sh\n", 0o700);
    let forbids = || exec_trouble::forbidden_by_mode(Path::new(&script), Some(&users::lookup_user("1234").unwrap()));
    assert!(forbids().is_some());
    if let_execute(Path::new(&script), 1234) {
        assert_eq!(forbids(), None);
    } else {
        println!("SKIPPED: the file system of {script} has no access control lists");
    }
}

#[test]
fn a_file_that_is_being_written_is_told_so() {
    let files = Files::new();
    let script = files.with("script", "#!/bin/sh\nexit 0\n");
    let _writer = fs::OpenOptions::new().append(true).open(&script).unwrap();
    let null = stdio::open_null().unwrap();
    match spawn_with(&[&script], null.as_fd(), |_| {}) {
        Err(error) => {
            assert!(
                error.to_string().contains("somebody has it open for writing; wait until it is written"),
                "{error}"
            );
            assert!(!error.is_permanent(), "it is tried again");
        }
        Ok(child) => {
            exit_of(child.pid);
            println!("SKIPPED: this kernel (6.11 to 6.12) executes what is being written");
        }
    }
}

#[test]
fn a_mount_without_exec_is_told_so() {
    const NAME: &str = "sys::spawn::tests::exec::a_mount_without_exec_is_told_so";
    if !is_root(NAME) {
        return;
    }
    in_own_process(NAME, || {
        use nix::mount::{MsFlags, mount};
        let files = Files::new();
        // SAFETY: plain numbers; this process runs nothing but this test.
        let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
        let none = None::<&str>;
        let is_private = unshared && mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).is_ok();
        let flags = MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
        if !is_private || mount(Some("tmpfs"), files.0.path(), Some("tmpfs"), flags, none).is_err() {
            println!("SKIPPED: {NAME} may not mount here");
            return;
        }
        assert_eq!(
            told(&files.with("script", "#!/bin/sh\n")),
            "Permission denied: its file system is mounted noexec; put it on another one, or remount that with exec"
        );
        nix::mount::umount(files.0.path()).unwrap();
    });
}
